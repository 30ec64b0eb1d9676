//! Simulated upstreams that enforce the configured limits of their deployments: [`SimulatedUpstream`].

use std::{
    collections::HashMap,
    str::FromStr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use fastrand::Rng;
use http::{HeaderValue, Response, StatusCode, header};
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{
    InvalidArgument, Scenario,
    arrivals::normal,
    limiter::{ServerWindow, WindowLimiter},
};
use crate::{
    body::UpstreamBody,
    config::{Config, Deployment, TokenAccounting},
    deployment::upstream::{Upstream, UpstreamCall, UpstreamFuture},
    error::TransportError,
};

/// The standard deviation of the logarithm of the response time.
const SPREAD: f64 = 0.5;

/// The common properties of all upstreams, and the outages of some.
#[derive(Clone, Debug)]
pub struct Upstreams {
    /// The window over which the upstreams enforce request limits.
    pub window: ServerWindow,
    /// The maximum network delay of a call, and of its response.
    pub jitter: Duration,
    /// The median response time (log-normal).
    pub latency: Duration,
    /// The outages.
    pub outages: Vec<Outage>,
}

impl Default for Upstreams {
    fn default() -> Self {
        Self {
            window: ServerWindow::default(),
            jitter: Duration::from_millis(20),
            latency: Duration::from_secs(1),
            outages: Vec::new(),
        }
    }
}

/// An outage of a deployment for a period: `GROUP/ID@30-60`. With `x10` appended, the deployment is slower instead.
/// The id may be the position of the deployment in its group, from 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Outage {
    /// The name of the group.
    pub group: String,
    /// The id of the deployment, or its position.
    pub deployment: String,
    /// The beginning, counted from the start of the run.
    pub from: Duration,
    /// The end, counted from the start of the run.
    pub until: Duration,
    /// The factor on the response time. Infinite means an immediate 503.
    pub slower: f64,
}

impl FromStr for Outage {
    type Err = InvalidArgument;

    fn from_str(text: &str) -> Result<Self, InvalidArgument> {
        let read = || {
            let (target, period) = text.rsplit_once('@')?;
            let (group, deployment) = target.rsplit_once('/')?;
            let (period, slower) = match period.split_once('x') {
                Some((period, slower)) => (period, slower.parse().ok().filter(|slower| *slower >= 1.0)?),
                None => (period, f64::INFINITY),
            };
            let (from, until) = read_period(period)?;
            let (group, deployment) = (group.to_owned(), deployment.to_owned());
            Some(Self { group, deployment, from, until, slower })
        };
        read().ok_or(InvalidArgument("GROUP/ID@30-60, in seconds, with x10 appended for a slow deployment"))
    }
}

/// Reads a period in seconds, such as `30-60`, which does not end before it begins.
pub(super) fn read_period(text: &str) -> Option<(Duration, Duration)> {
    let (from, until) = text.split_once('-')?;
    let (from, until) = (read_seconds(from)?, read_seconds(until)?);
    (from < until).then_some((from, until))
}

/// Reads a time in seconds: `30` or `30s`.
pub(super) fn read_seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.trim_end_matches('s').parse().ok()?).ok()
}

impl Outage {
    /// Returns true if the outage is of this deployment, which has this position in its group, from 1.
    fn is_at(&self, deployment: &Deployment, position: usize) -> bool {
        self.group == *deployment.group
            && (self.deployment == *deployment.id || self.deployment == position.to_string())
    }

    /// Returns true if the deployment responds to no call.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.slower.is_infinite()
    }

    /// Returns true if the outage is of any deployment of the configuration.
    pub(super) fn is_in(&self, config: &Config) -> bool {
        let mut positions = config.groups.iter().flat_map(|group| (1..).zip(&group.deployments));
        positions.any(|(position, deployment)| self.is_at(deployment, position))
    }
}

/// The counts of an upstream in one second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SecondStats {
    /// The number of calls.
    pub sent: u32,
    /// The number of these calls that were refused with a 429.
    pub refused: u32,
    /// The number of these calls that failed with a 503 in an outage.
    pub failed: u32,
    /// The number of tokens, as this upstream counts them.
    pub tokens: u64,
}

/// All upstreams, by the id of the deployment.
#[derive(Debug)]
pub(super) struct SimulatedUpstreams {
    servers: HashMap<Arc<str>, Arc<SimulatedUpstream>>,
}

impl SimulatedUpstreams {
    pub(super) fn new(config: &Config, scenario: &Scenario, start: Instant) -> Self {
        let positions = config.groups.iter().flat_map(|group| (1..).zip(&group.deployments));
        let servers = positions.zip(1..).map(|((position, deployment), number)| {
            let seed = scenario.seed.wrapping_mul(1_000).wrapping_add(number);
            let server = SimulatedUpstream::new(deployment, position, &scenario.upstreams, (seed, start));
            (Arc::clone(&deployment.id), Arc::new(server))
        });
        Self { servers: servers.collect() }
    }

    /// Returns the upstream of a deployment. A deployment that is in several groups has one upstream.
    pub(super) fn upstream(&self, deployment: &Deployment) -> Arc<dyn Upstream> {
        Arc::new(SimulatedConnection(self.servers.get(&deployment.id).cloned()))
    }

    /// Returns the outages of an upstream.
    pub(super) fn outages(&self, deployment: &Deployment) -> Vec<Outage> {
        let server = self.servers.get(&deployment.id);
        server.map_or_else(Vec::new, |server| server.outages.clone())
    }

    /// Returns the number of calls of an upstream in the fullest window, as a fraction of its limit of requests.
    pub(super) fn fullest(&self, deployment: &Deployment) -> Option<f64> {
        WindowLimiter::fullest(&self.servers.get(&deployment.id)?.rules().requests)
    }

    /// Returns the counts of an upstream until `until`, one entry for each second.
    pub(super) fn seconds(&self, deployment: &Deployment, until: Duration) -> Vec<SecondStats> {
        let server = self.servers.get(&deployment.id);
        let mut seconds = server.map_or_else(Vec::new, |server| server.rules().seconds.clone());
        seconds.resize(usize::try_from(until.as_secs()).unwrap_or(usize::MAX), SecondStats::default());
        seconds
    }
}

/// A simulated upstream.
#[derive(Debug)]
struct SimulatedUpstream {
    rules: Mutex<AdmissionRules>,
    start: Instant,
    jitter: Duration,
    latency: Duration,
    outages: Vec<Outage>,
}

/// The limiters and counters of an upstream.
#[derive(Debug)]
struct AdmissionRules {
    rng: Rng,
    requests: Vec<WindowLimiter>,
    tokens: Option<WindowLimiter>,
    accounting: TokenAccounting,
    seconds: Vec<SecondStats>,
}

/// The part of a request that the upstream reads.
#[derive(Debug, Deserialize)]
struct ChatRequest<'a> {
    max_tokens: Option<u64>,
    #[serde(borrow)]
    messages: Vec<Message<'a>>,
}

#[derive(Debug, Deserialize)]
struct Message<'a> {
    content: &'a str,
}

/// The cost of a call, in tokens.
#[derive(Clone, Copy, Debug)]
struct Cost {
    /// The estimate of the prompt: a quarter of its bytes.
    estimated: u64,
    /// The count of the tokenizer.
    prompt: u64,
    max: u64,
    output: u64,
}

/// The status and the `Retry-After` of a call that is not admitted.
#[derive(Clone, Copy, Debug)]
struct Refusal {
    status: StatusCode,
    wait: Option<Duration>,
}

impl AdmissionRules {
    fn new(deployment: &Deployment, window: ServerWindow, seed: u64, now: Instant) -> Self {
        let mut rng = Rng::with_seed(seed);
        let phase = Duration::from_secs_f64(60.0 * rng.f64());
        let limits = &deployment.limits;
        Self {
            requests: limits
                .rpm
                .map_or_else(Vec::new, |rpm| WindowLimiter::requests(window, rpm, phase, now)),
            tokens: limits.tpm.map(|tpm| WindowLimiter::tokens(window, tpm, phase, now)),
            accounting: limits.accounting,
            seconds: Vec::new(),
            rng,
        }
    }

    /// Admits a call, or returns the time to wait.
    fn admit(&mut self, cost: &Cost, now: Instant) -> Result<(), Duration> {
        // Azure counts the maximum in advance. Others count the used tokens, which are unknown until the response.
        let known = match self.accounting {
            TokenAccounting::Azure => cost.estimated + cost.max,
            TokenAccounting::Billed => 1,
        };
        let tokens = self.tokens.as_mut().map_or(Ok(()), |limiter| limiter.check(known, now));
        WindowLimiter::admit(&mut self.requests, now).and(tokens)?;
        if let (TokenAccounting::Azure, Some(limiter)) = (self.accounting, &mut self.tokens) {
            limiter.add(known, now);
        }
        Ok(())
    }

    fn second(&mut self, at: Duration) -> &mut SecondStats {
        let second = usize::try_from(at.as_secs()).unwrap_or(usize::MAX);
        if self.seconds.len() <= second {
            self.seconds.resize(second + 1, SecondStats::default());
        }
        &mut self.seconds[second]
    }

    fn cost(&mut self, body: &[u8]) -> Cost {
        let request =
            serde_json::from_slice(body).unwrap_or(ChatRequest { max_tokens: None, messages: Vec::new() });
        let bytes: usize = request.messages.iter().map(|message| message.content.len()).sum();
        let (estimated, max) = (bytes as u64 / 4, request.max_tokens.unwrap_or(256));
        // The count of a tokenizer is within a tenth of that estimate.
        let prompt = self.rng.u64(estimated * 9 / 10..=estimated * 11 / 10);
        Cost { estimated, prompt, max, output: self.rng.u64(1.min(max)..=max) }
    }

    fn network_delay(&mut self, jitter: Duration) -> Duration {
        jitter.mul_f64(self.rng.f64())
    }
}

impl SimulatedUpstream {
    fn new(
        deployment: &Deployment,
        position: usize,
        upstreams: &Upstreams,
        (seed, start): (u64, Instant),
    ) -> Self {
        let outages = upstreams.outages.iter().filter(|outage| outage.is_at(deployment, position));
        Self {
            rules: Mutex::new(AdmissionRules::new(deployment, upstreams.window, seed, start)),
            start,
            jitter: upstreams.jitter,
            latency: upstreams.latency,
            outages: outages.cloned().collect(),
        }
    }

    fn rules(&self) -> MutexGuard<'_, AdmissionRules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn respond(self: Arc<Self>, body: Bytes, sent: Instant) -> Response<UpstreamBody> {
        let outbound = self.rules().network_delay(self.jitter);
        sleep(outbound).await;
        let response = match self.admit(&body) {
            Ok((cost, latency)) => {
                sleep(latency).await;
                self.bill(&cost);
                success(&cost, sent - self.start)
            }
            Err(refusal) => error(&refusal),
        };
        let inbound = self.rules().network_delay(self.jitter);
        sleep(inbound).await;
        response
    }

    /// Admits a call on its arrival. Returns its cost and its response time, or the refusal.
    fn admit(&self, body: &[u8]) -> Result<(Cost, Duration), Refusal> {
        let now = Instant::now();
        let at = now - self.start;
        let outage = self.outages.iter().find(|outage| (outage.from..outage.until).contains(&at));
        let slower = outage.map_or(1.0, |outage| outage.slower);
        let mut rules = self.rules();
        rules.second(at).sent += 1;
        if outage.is_some_and(Outage::is_down) {
            rules.second(at).failed += 1;
            return Err(Refusal { status: StatusCode::SERVICE_UNAVAILABLE, wait: None });
        }
        let cost = rules.cost(body);
        if let Err(wait) = rules.admit(&cost, now) {
            rules.second(at).refused += 1;
            return Err(Refusal { status: StatusCode::TOO_MANY_REQUESTS, wait: Some(wait) });
        }
        if rules.accounting == TokenAccounting::Azure {
            rules.second(at).tokens += cost.estimated + cost.max;
        }
        let latency = self.latency.mul_f64((SPREAD * normal(&mut rules.rng)).exp() * slower);
        Ok((cost, latency))
    }

    /// Counts the tokens of a call with its response.
    fn bill(&self, cost: &Cost) {
        let now = Instant::now();
        let mut rules = self.rules();
        if rules.accounting == TokenAccounting::Billed {
            let billed = cost.prompt + cost.output;
            rules.second(now - self.start).tokens += billed;
            if let Some(limiter) = &mut rules.tokens {
                limiter.add(billed, now);
            }
        }
    }
}

/// The [`Upstream`] of a [`SimulatedUpstream`].
#[derive(Debug)]
struct SimulatedConnection(Option<Arc<SimulatedUpstream>>);

impl Upstream for SimulatedConnection {
    fn call(&self, call: UpstreamCall) -> UpstreamFuture {
        let (server, sent) = (self.0.clone(), Instant::now());
        let body = call.request.into_body().to_bytes();
        Box::pin(async move {
            match server {
                Some(server) => Ok(server.respond(body, sent).await),
                None => Err(TransportError {
                    sent: false,
                    timed_out: false,
                    evidence: true,
                    stale: false,
                    what: "This deployment has no simulated upstream.".into(),
                }),
            }
        })
    }

    fn speaks_openai(&self) -> bool {
        true
    }
}

/// Returns a successful response. Its id is the time at which the call left the gateway, so that the client can compute the
/// wait.
fn success(cost: &Cost, sent: Duration) -> Response<UpstreamBody> {
    let (prompt, output) = (cost.prompt, cost.output);
    let usage =
        json!({"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output});
    let message = json!({"role": "assistant", "content": "Yes."});
    let body = json!({
        "id": sent.as_nanos().to_string(), "object": "chat.completion", "created": 0, "model": "simulated",
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}], "usage": usage,
    });
    respond(StatusCode::OK, &body)
}

/// Returns the response to a refused call. `Retry-After` is in whole seconds, as from most servers.
fn error(&Refusal { status, wait }: &Refusal) -> Response<UpstreamBody> {
    let object = json!({"message": "Refused by the simulated upstream.", "type": "error", "param": null, "code": status.as_str()});
    let mut response = respond(status, &json!({"error": object}));
    if let Some(wait) = wait {
        let seconds = u64::try_from(wait.as_nanos().div_ceil(1_000_000_000)).unwrap_or(u64::MAX).max(1);
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn respond(status: StatusCode, body: &serde_json::Value) -> Response<UpstreamBody> {
    let mut response = Response::new(UpstreamBody::full(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
