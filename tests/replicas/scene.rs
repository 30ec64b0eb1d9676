//! Several gateways, an upstream that counts their calls, and the server between them: [`Scene`].

use std::time::Duration;

use serde_json::json;
use tokio::{
    sync::Mutex,
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tollgate_test_support::redis::{RedisServer, programs};

use crate::support::{PATIENCE, client::Client, gateway::Gateway, upstream::Upstream};

/// The difference between the delays of two calls on their way from gateways to the upstream, on a busy machine.
const JITTER: Duration = Duration::from_millis(50);

/// The parts of the load of four gateways: one of them has most of it.
pub(crate) const UNEVEN: [f64; 4] = [0.7, 0.1, 0.1, 0.1];

/// Gateways with one deployment and one server.
pub(crate) struct Scene {
    pub(crate) upstream: Upstream,
    pub(crate) redis: RedisServer,
    pub(crate) gateways: Vec<Gateway>,
    /// The parameters of the deployment, and the settings.
    yaml: (String, String),
}

/// The results of a load.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// The number of calls.
    pub(crate) asked: usize,
    /// The number of responses 200.
    pub(crate) served: usize,
    /// The number of responses 429.
    pub(crate) refused: usize,
    /// The durations of the served calls, in order.
    pub(crate) durations: Vec<Duration>,
}

impl Report {
    /// Returns the number of responses that were neither 200 nor 429.
    pub(crate) fn failed(&self) -> usize {
        self.asked - self.served - self.refused
    }
}

impl Scene {
    /// Starts a server, and as many gateways. `params` are those of the deployment, `settings` those of the router.
    pub(crate) async fn start(program: &'static str, count: usize, params: &str, settings: &str) -> Self {
        let (upstream, redis) = (Upstream::start().await, RedisServer::start(program).unwrap());
        let yaml = (params.to_owned(), settings.to_owned());
        let mut scene = Self { upstream, redis, gateways: Vec::new(), yaml };
        for _ in 0..count {
            scene.join().await;
        }
        scene
    }

    /// Starts one more gateway.
    pub(crate) async fn join(&mut self) {
        let params = self.yaml.0.clone();
        self.join_with(&params).await;
    }

    /// Starts one more gateway with other parameters.
    pub(crate) async fn join_with(&mut self, params: &str) {
        let (url, redis, settings) = (self.upstream.url(), self.redis.url(), &self.yaml.1);
        let yaml = format!(
            "model_list: [{{model_name: m, litellm_params: {{model: openai/m, api_base: '{url}/v1', api_key: k, {params}}}}}]\n\
             router_settings: {{redis_url: '{redis}', num_retries: 0, {settings}}}\n"
        );
        self.gateways.push(Gateway::start(&yaml).await);
    }

    /// Waits until the ledger counts this many replicas at every gateway.
    pub(crate) async fn together(&self) {
        for gateway in &self.gateways {
            until(gateway, "tollgate_ledger_replicas", |live| live == self.gateways.len() as f64).await;
        }
    }

    /// Sends `rate` calls a second over the gateways, in these parts, for a time. The times are random.
    pub(crate) async fn load(&self, rate: f64, parts: &[f64], seconds: f64) -> Report {
        let mut loads = JoinSet::new();
        for (gateway, part) in self.gateways.iter().zip(parts) {
            loads.spawn(calls(gateway.client.clone(), rate * part, seconds));
        }
        let mut report = Report::default();
        while let Some(some) = loads.join_next().await {
            let some = some.unwrap();
            report.asked += some.asked;
            report.served += some.served;
            report.refused += some.refused;
            report.durations.extend(some.durations);
        }
        report.durations.sort();
        report
    }

    /// Returns the largest number of calls that the upstream received within any `window`.
    pub(crate) fn fullest(&self, window: Duration) -> usize {
        let mut times: Vec<Instant> = self.upstream.calls().iter().map(|call| call.at).collect();
        times.sort();
        let within =
            |(i, at): (usize, &Instant)| times[i..].partition_point(|later| *later < *at + window - JITTER);
        times.iter().enumerate().map(within).max().unwrap_or_default()
    }

    /// Returns the number of calls that the upstream received from `from` seconds after a time on, for `seconds`.
    pub(crate) fn received(&self, since: Instant, from: f64, seconds: f64) -> usize {
        let begin = since + Duration::from_secs_f64(from);
        let end = begin + Duration::from_secs_f64(seconds);
        self.upstream.calls().iter().filter(|call| (begin..end).contains(&call.at)).count()
    }
}

/// Waits until a metric of a gateway has such a value.
pub(crate) async fn until(gateway: &Gateway, name: &str, expected: impl Fn(f64) -> bool) {
    let end = Instant::now() + PATIENCE;
    loop {
        let text = gateway.get("/metrics").await.text();
        let samples = text.lines().filter_map(|line| line.rsplit_once(' '));
        let mut values = samples.filter(|(series, _)| series.split('{').next() == Some(name));
        if values.any(|(_, value)| value.parse().is_ok_and(&expected)) {
            return;
        }
        assert!(Instant::now() < end, "{name} in\n{text}\n{}", gateway.said());
        sleep_until(Instant::now() + Duration::from_millis(20)).await;
    }
}

/// Makes calls at random times with this mean rate.
async fn calls(client: Client, rate: f64, seconds: f64) -> Report {
    let (mut at, end) = (Instant::now(), Instant::now() + Duration::from_secs_f64(seconds));
    let (mut calls, mut report) = (JoinSet::new(), Report::default());
    loop {
        at += Duration::from_secs_f64(-fastrand::f64().max(1e-9).ln() / rate);
        if at >= end {
            break;
        }
        sleep_until(at).await;
        let client = client.clone();
        calls.spawn(async move {
            let answer = client.chat("m", json!({})).await;
            (answer.status.as_u16(), answer.took)
        });
    }
    while let Some(call) = calls.join_next().await {
        report.asked += 1;
        match call.unwrap() {
            (200, took) => {
                report.served += 1;
                report.durations.push(took);
            }
            (429, _) => report.refused += 1,
            _ => {}
        }
    }
    report
}

/// Runs a test on one of the programs, on each in turn, and no other test at the same time: a scene has many processes.
pub(crate) async fn on_one<F: Future<Output = ()>>(test: impl Fn(&'static str) -> F) {
    static TURN: Mutex<usize> = Mutex::const_new(0);
    let mut turn = TURN.lock().await;
    let programs = programs();
    if !programs.is_empty() {
        test(programs[*turn % programs.len()]).await;
    }
    *turn += 1;
}
