//! Deployments are killed and restarted under load, over real sockets: how many requests fail?
//!
//! `cargo bench --bench failover` asks 500 times a second for 60 s, while one of three upstreams is killed and the one
//! before it restarted in every second; then 200 times a second for 20 s with all three well, and as long with all
//! three down, to compare what a request costs. It says what it saw, and fails when a request failed that need not.
//! A shorter run is a test: `tests/failover.rs`.

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpSocket},
    task::{JoinHandle, JoinSet},
    time::{Instant, MissedTickBehavior, interval, sleep},
};
use tollgate::{Gateway, config::Config, stack, state::State};
use tollgate_layers::BoxError;
use tower::ServiceExt;

const ANSWER: &str = r#"{"id":"x","object":"chat.completion","created":0,"model":"m","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"hello"}}],"usage":{"prompt_tokens":5,"completion_tokens":1,"total_tokens":6}}"#;
const QUESTION: &str = r#"{"model":"m","messages":[{"role":"user","content":"hello"}]}"#;

/// An upstream that can be killed, and restarted at the same address.
struct Victim {
    address: SocketAddr,
    server: Option<JoinHandle<()>>,
}

impl Victim {
    async fn start() -> Result<Self, BoxError> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        Ok(Self { address, server: Some(tokio::spawn(serve(listener))) })
    }

    /// All its connections break, and new ones are refused.
    fn kill(&mut self) {
        if let Some(server) = self.server.take() {
            server.abort();
        }
    }

    fn restart(&mut self) -> Result<(), BoxError> {
        if self.server.is_none() {
            let socket = TcpSocket::new_v4()?;
            socket.set_reuseaddr(true)?;
            socket.bind(self.address)?;
            self.server = Some(tokio::spawn(serve(socket.listen(1024)?)));
        }
        Ok(())
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Dropped, it drops its connections with it.
async fn serve(listener: TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let answer = service_fn(|request: Request<Incoming>| async {
            drop(request.into_body().collect().await);
            // Long enough that some are under way whenever it is killed.
            sleep(Duration::from_millis(fastrand::u64(2..30))).await;
            let answer = Response::builder().header("content-type", "application/json");
            Ok::<_, Infallible>(answer.body(Full::<Bytes>::from(ANSWER)).unwrap_or_default())
        });
        connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
        while connections.try_join_next().is_some() {}
    }
}

/// The results of a run.
#[derive(Debug, Default)]
pub struct Report {
    /// Requests that were made.
    pub asked: usize,
    /// The number of requests without a 200.
    pub failed: usize,
    /// Calls that the gateway made more than once.
    pub repeats: u64,
    /// The duration of the slowest request.
    pub slowest: Duration,
}

/// A gateway over three upstreams.
pub struct Scene {
    victims: Vec<Victim>,
    gateway: Gateway,
    state: State,
}

impl Scene {
    /// All well.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn new() -> Result<Self, BoxError> {
        let mut yaml = "model_list:\n".to_owned();
        let mut victims = Vec::new();
        for _ in 0..3 {
            let victim = Victim::start().await?;
            yaml += &format!(
                "- {{model_name: m, litellm_params: {{model: openai/m, api_base: 'http://{}', api_key: k}}}}\n",
                victim.address
            );
            victims.push(victim);
        }
        let (config, _) = Config::from_yaml(&yaml, "failover.yaml", &|_| None)?;
        let state = State::new()?;
        let gateway = stack::gateway(&config, &state, stack::Options::default())?;
        Ok(Self { victims, gateway, state })
    }

    /// Asks so often a second for so long, while in every second one is killed and the one before it restarted.
    ///
    /// # Errors
    /// When an address cannot be had again.
    pub async fn rotate(&mut self, per_second: u32, seconds: usize) -> Result<Report, BoxError> {
        let load = tokio::spawn(load(self.gateway.clone(), per_second, seconds));
        for second in 0..seconds {
            sleep(Duration::from_millis(500)).await;
            self.victims[(second + 2) % 3].restart()?;
            self.victims[second % 3].kill();
            sleep(Duration::from_millis(500)).await;
        }
        let report = load.await?;
        self.victims.iter_mut().try_for_each(Victim::restart)?;
        Ok(Report { repeats: self.repeats()?, ..report })
    }

    /// Runs with all deployments healthy, or with all of them down.
    ///
    /// # Errors
    /// When an address cannot be had again.
    pub async fn steady(&mut self, per_second: u32, seconds: usize, well: bool) -> Result<Report, BoxError> {
        for victim in &mut self.victims {
            if well { victim.restart()? } else { victim.kill() }
        }
        let before = self.repeats()?;
        let report = load(self.gateway.clone(), per_second, seconds).await;
        Ok(Report { repeats: self.repeats()? - before, ..report })
    }

    fn repeats(&self) -> Result<u64, BoxError> {
        let text = self.state.render_metrics();
        let line = text.lines().find_map(|line| line.strip_prefix("tollgate_retry_budget_repeats_total "));
        Ok(line.unwrap_or("0").parse()?)
    }
}

async fn load(gateway: Gateway, per_second: u32, seconds: usize) -> Report {
    let (mut asked, mut clock) = (JoinSet::new(), interval(Duration::from_secs(1) / per_second));
    // Late ticks are made up for: the load does not fall when the machine is slow.
    clock.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for _ in 0..per_second as usize * seconds {
        clock.tick().await;
        asked.spawn(ask(gateway.clone()));
    }
    let mut report = Report::default();
    for (good, took) in asked.join_all().await {
        report.asked += 1;
        report.failed += usize::from(!good);
        report.slowest = report.slowest.max(took);
    }
    report
}

async fn ask(gateway: Gateway) -> (bool, Duration) {
    let start = Instant::now();
    let mut request = Request::new(Full::new(Bytes::from_static(QUESTION.as_bytes())));
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = http::Uri::from_static("/v1/chat/completions");
    let good = match gateway.oneshot(request).await {
        Ok(answer) => answer.status() == 200 && answer.into_body().collect().await.is_ok(),
        Err(never) => match never {},
    };
    (good, start.elapsed())
}

/// Processor time of this process so far, in hundredths of a second; its upstreams' too.
fn processor_time() -> Option<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

/// The repeats that the budget allows.
const fn budget(asked: usize, seconds: usize) -> u64 {
    (asked / 5 + 10 * seconds + 100) as u64
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut scene = Scene::new().await?;
    let rotation = scene.rotate(500, 60).await?;
    println!("one killed and one restarted in every second: {rotation:?}");
    let mut spent = [0; 2];
    let mut outage = Report::default();
    for (spent, well) in spent.iter_mut().zip([true, false]) {
        let before = processor_time().unwrap_or_default();
        outage = scene.steady(200, 20, well).await?;
        *spent = processor_time().unwrap_or_default() - before;
        println!("all {}: {outage:?}, {spent}0 ms of processor time", if well { "well" } else { "down" });
    }
    let kept = [
        ("no request failed that need not", rotation.failed == 0),
        ("repeats within the budget", rotation.repeats <= budget(rotation.asked, 60)),
        ("no fuel for an outage", outage.repeats <= budget(outage.asked, 20)),
        ("an outage costs at most twice the processor time", spent[1] <= 2 * spent[0]),
    ];
    match kept.iter().find(|(_, kept)| !kept) {
        Some((promise, _)) => Err(format!("not kept: {promise}").into()),
        None => Ok(()),
    }
}
