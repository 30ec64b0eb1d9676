//! Several gateways, an upstream that counts their calls, and the server between them: [`Scene`].

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use http::Method;
use serde_json::json;
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tollgate_test_support::redis::{RedisServer, programs};

use crate::support::{
    PATIENCE,
    client::{Client, request},
    gateway::Gateway,
    upstream::{Call, Upstream},
};

/// The difference between the delays of two calls on their way from gateways to the upstream, on a busy machine.
const JITTER: Duration = Duration::from_millis(50);

/// The key that may read metrics, if a gateway has keys.
pub(crate) const MASTER_KEY: &str = "tr0ub4dor";

/// The parts of the load of four gateways: one of them has most of it.
pub(crate) const UNEVEN: [f64; 4] = [0.7, 0.1, 0.1, 0.1];

/// 600 a minute, judged over ten seconds: a hundred.
pub(crate) const TENS: &str = "rpm: 600, rate_window: 10";
pub(crate) const TEN: Duration = Duration::from_secs(10);

/// Gateways with one deployment, and the servers of their ledger.
pub(crate) struct Scene {
    pub(crate) upstream: Upstream,
    pub(crate) redis: RedisServer,
    pub(crate) gateways: Vec<Gateway>,
    yaml: Yaml,
    pub(crate) ledger: Ledger,
}

/// The settings that name the ledger.
#[derive(Clone, Default)]
pub(crate) struct Ledger {
    /// The settings of the router.
    pub(crate) router: String,
    /// The settings of LiteLLM.
    pub(crate) litellm: String,
}

/// The parts of a gateway's file.
#[derive(Clone, Default)]
pub(crate) struct Yaml {
    /// The parameters of the deployment.
    pub(crate) params: &'static str,
    /// The settings of the router.
    pub(crate) settings: &'static str,
    /// More deployments. `URL` is that of the upstream.
    pub(crate) models: &'static str,
    /// The general settings. A master key is [`MASTER_KEY`].
    pub(crate) general: &'static str,
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
    pub(crate) async fn start(
        program: &'static str,
        count: usize,
        params: &'static str,
        settings: &'static str,
    ) -> Self {
        Self::start_with(program, count, Yaml { params, settings, ..Yaml::default() }).await
    }

    /// Starts a server, and as many gateways with this file.
    pub(crate) async fn start_with(program: &'static str, count: usize, yaml: Yaml) -> Self {
        let redis = RedisServer::start(program).unwrap();
        let ledger = Ledger { router: format!("redis_url: '{}'", redis.url()), ..Ledger::default() };
        Self::over((redis, ledger), count, yaml).await
    }

    /// Starts as many gateways over a server that was started.
    pub(crate) async fn over((redis, ledger): (RedisServer, Ledger), count: usize, yaml: Yaml) -> Self {
        let upstream = Upstream::start().await;
        let mut scene = Self { upstream, redis, gateways: Vec::new(), yaml, ledger };
        for _ in 0..count {
            scene.join().await;
        }
        scene
    }

    /// Starts one more gateway.
    pub(crate) async fn join(&mut self) {
        let params = self.yaml.params;
        self.join_with(params).await;
    }

    /// Starts one more gateway with other parameters.
    pub(crate) async fn join_with(&mut self, params: &str) {
        let url = self.upstream.url();
        let Yaml { settings, models, general, .. } = &self.yaml;
        let (models, Ledger { router, litellm }) = (models.replace("URL", &url), &self.ledger);
        let router = ["num_retries: 0", router.as_str(), settings];
        let router = router.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ");
        let yaml = format!(
            "model_list: [{{model_name: m, litellm_params: {{model: openai/m, api_base: '{url}/v1', api_key: k, {params}}}}}, {models}]\n\
             router_settings: {{{router}}}\n\
             litellm_settings: {{{litellm}}}\n\
             general_settings: {{{general}}}\n"
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
        self.load_each(rate, parts, seconds).await.0
    }

    /// Sends a load as [`load`](Self::load) does. Returns the number of served calls of each gateway besides.
    pub(crate) async fn load_each(&self, rate: f64, parts: &[f64], seconds: f64) -> (Report, Vec<usize>) {
        let loads = self
            .gateways
            .iter()
            .zip(parts)
            .map(|(gateway, part)| tokio::spawn(calls(gateway.client.clone(), rate * part, seconds)));
        let (mut report, mut each) = (Report::default(), Vec::new());
        for load in loads.collect::<Vec<_>>() {
            let some = load.await.unwrap();
            each.push(some.served);
            report.asked += some.asked;
            report.served += some.served;
            report.refused += some.refused;
            report.durations.extend(some.durations);
        }
        report.durations.sort();
        (report, each)
    }

    /// Returns the largest number of calls that the upstream received within any `window`.
    pub(crate) fn fullest(&self, window: Duration) -> usize {
        self.fullest_of(window, |_| true)
    }

    /// Returns the largest number of such calls that the upstream received within any `window`.
    pub(crate) fn fullest_of(&self, window: Duration, counts: impl Fn(&Call) -> bool) -> usize {
        let calls = self.upstream.calls();
        let mut times: Vec<Instant> = calls.iter().filter(|call| counts(call)).map(|call| call.at).collect();
        times.sort();
        let within =
            |(i, at): (usize, &Instant)| times[i..].partition_point(|later| *later < *at + window - JITTER);
        times.iter().enumerate().map(within).max().unwrap_or_default()
    }

    /// Waits until the leases of all gateways are this limit, but for a fiftieth, and no more. Returns the time that took.
    pub(crate) async fn leased(&self, limit: f64) -> Duration {
        let start = Instant::now();
        loop {
            let mut sum = 0.0;
            for gateway in &self.gateways {
                sum += values(gateway, "tollgate_deployment_lease").await.iter().sum::<f64>();
            }
            if (0.98 * limit..=limit).contains(&sum) {
                return start.elapsed();
            }
            assert!(start.elapsed() < PATIENCE, "{sum} of {limit}");
            sleep_until(Instant::now() + Duration::from_millis(20)).await;
        }
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
        let values = values(gateway, name).await;
        if values.iter().any(|value| expected(*value)) {
            return;
        }
        assert!(Instant::now() < end, "{name} is {values:?}\n{}", gateway.said());
        sleep_until(Instant::now() + Duration::from_millis(20)).await;
    }
}

/// Returns the values of a metric of a gateway.
async fn values(gateway: &Gateway, name: &str) -> Vec<f64> {
    let authorization = format!("Bearer {MASTER_KEY}");
    let metrics = request(Method::GET, "/metrics", "", &[("authorization", &*authorization)]);
    let text = gateway.send(metrics).await.text();
    let samples = text.lines().filter_map(|line| line.rsplit_once(' '));
    let values = samples.filter(|(series, _)| series.split('{').next() == Some(name));
    values.filter_map(|(_, value)| value.parse().ok()).collect()
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

/// Runs a test on one of the programs, on each in turn, and at most one other at the same time: a scene has many processes.
pub(crate) async fn on_one<F: Future<Output = ()>>(test: impl Fn(&'static str) -> F) {
    run(1, test).await;
}

/// Runs a test with a high load as [`on_one`] does, and no other at the same time.
pub(crate) async fn alone_on_one<F: Future<Output = ()>>(test: impl Fn(&'static str) -> F) {
    run(SCENES, test).await;
}

const SCENES: u32 = 2;

async fn run<F: Future<Output = ()>>(scenes: u32, test: impl Fn(&'static str) -> F) {
    static FREE: Semaphore = Semaphore::const_new(SCENES as usize);
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let _scenes = FREE.acquire_many(scenes).await.unwrap();
    let programs = programs();
    if !programs.is_empty() {
        test(programs[NUMBER.fetch_add(1, Ordering::Relaxed) % programs.len()]).await;
    }
}
