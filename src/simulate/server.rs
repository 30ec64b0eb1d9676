//! The upstreams: each keeps the limits that the configuration says its deployment has. [`Server`], [`World`].

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
    Scenario, Unreadable,
    arrivals::normal,
    gate::{Gate, Window},
};
use crate::{
    body::Wire,
    config::{Config, Deployment, TokenAccounting},
    deployment::upstream::{Call, Calling, Upstream},
    error::WireError,
};

/// How much the time that an answer takes varies: the standard deviation of its logarithm.
const SPREAD: f64 = 0.5;

/// What all upstreams have in common, and what happens to some of them.
#[derive(Clone, Debug)]
pub struct Upstreams {
    /// Over what they judge their limits.
    pub window: Window,
    /// How long a call is under way at most, and an answer on its way back.
    pub jitter: Duration,
    /// The median time that an answer takes (log-normal).
    pub latency: Duration,
    /// What goes wrong.
    pub troubles: Vec<Trouble>,
}

impl Default for Upstreams {
    fn default() -> Self {
        Self {
            window: Window::default(),
            jitter: Duration::from_millis(20),
            latency: Duration::from_secs(1),
            troubles: Vec::new(),
        }
    }
}

/// Something that is wrong with one deployment for a while: `GROUP/ID@30-60`, and `x10` behind it for one that is
/// only slow. The id may be the deployment's place in its group, from 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Trouble {
    /// Which group.
    pub group: String,
    /// Which deployment of it.
    pub deployment: String,
    /// When it begins, after the beginning.
    pub from: Duration,
    /// When it is over.
    pub until: Duration,
    /// How many times slower it answers; infinitely: 503, at once.
    pub slower: f64,
}

impl FromStr for Trouble {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let seconds = |text: &str| Duration::try_from_secs_f64(text.trim_end_matches('s').parse().ok()?).ok();
        let read = || {
            let (who, when) = text.rsplit_once('@')?;
            let (group, deployment) = who.rsplit_once('/')?;
            let (from, until) = when.split_once('-')?;
            let (until, slower) = match until.split_once('x') {
                Some((until, slower)) => (until, slower.parse().ok().filter(|slower| *slower >= 1.0)?),
                None => (until, f64::INFINITY),
            };
            let (from, until) = (seconds(from)?, seconds(until)?);
            let (group, deployment) = (group.to_owned(), deployment.to_owned());
            (from < until).then_some(Self { group, deployment, from, until, slower })
        };
        read().ok_or(Unreadable("GROUP/ID@30-60, in seconds, and x10 behind it for one that is only slow"))
    }
}

impl Trouble {
    /// Whether it happens to the deployment at this place of its group, counted from 1.
    fn is_at(&self, deployment: &Deployment, place: usize) -> bool {
        self.group == *deployment.group
            && (self.deployment == *deployment.id || self.deployment == place.to_string())
    }

    /// Whether it happens to any.
    pub(super) fn is_of(&self, config: &Config) -> bool {
        let mut places = config.groups.iter().flat_map(|group| (1..).zip(&group.deployments));
        places.any(|(place, deployment)| self.is_at(deployment, place))
    }
}

/// What a deployment's upstream has seen in one second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Second {
    /// Calls that came.
    pub sent: u32,
    /// Of those, the ones beyond a limit: 429.
    pub refused: u32,
    /// Of those, the ones that met an outage: 503.
    pub failed: u32,
    /// Tokens as this server counts them.
    pub tokens: u64,
}

/// All upstreams, by the id of their deployment.
#[derive(Debug)]
pub(super) struct World {
    servers: HashMap<Arc<str>, Arc<Server>>,
}

impl World {
    pub(super) fn new(config: &Config, scenario: &Scenario, began: Instant) -> Self {
        let places = config.groups.iter().flat_map(|group| (1..).zip(&group.deployments));
        let servers = places.zip(1..).map(|((place, deployment), number)| {
            let seed = scenario.seed.wrapping_mul(1_000).wrapping_add(number);
            let server = Server::new(deployment, place, &scenario.upstreams, (seed, began));
            (Arc::clone(&deployment.id), Arc::new(server))
        });
        Self { servers: servers.collect() }
    }

    pub(super) fn len(&self) -> usize {
        self.servers.len()
    }

    /// The upstream of this deployment, the same for each group that it is in.
    pub(super) fn upstream(&self, deployment: &Deployment) -> Arc<dyn Upstream> {
        Arc::new(Line(self.servers.get(&deployment.id).cloned()))
    }

    /// What it has seen until then, second by second.
    pub(super) fn seconds(&self, deployment: &Deployment, until: Duration) -> Vec<Second> {
        let server = self.servers.get(&deployment.id);
        let mut seconds = server.map_or_else(Vec::new, |server| server.door().seconds.clone());
        seconds.resize(usize::try_from(until.as_secs()).unwrap_or(usize::MAX), Second::default());
        seconds
    }
}

/// One upstream.
#[derive(Debug)]
struct Server {
    door: Mutex<Door>,
    began: Instant,
    jitter: Duration,
    latency: Duration,
    troubles: Vec<Trouble>,
}

/// Who is let in.
#[derive(Debug)]
struct Door {
    rng: Rng,
    requests: Vec<Gate>,
    tokens: Option<Gate>,
    accounting: TokenAccounting,
    seconds: Vec<Second>,
}

/// What there is to know of a call.
#[derive(Debug, Deserialize)]
struct Asked<'a> {
    max_tokens: Option<u64>,
    #[serde(borrow)]
    messages: Vec<Message<'a>>,
}

#[derive(Debug, Deserialize)]
struct Message<'a> {
    content: &'a str,
}

/// What a call costs, in tokens.
#[derive(Clone, Copy, Debug)]
struct Cost {
    /// Of the text: a quarter of its bytes. And as the tokenizer counts it.
    guessed: u64,
    prompt: u64,
    max: u64,
    output: u64,
}

/// Why a call is not let in, and when it may return.
#[derive(Clone, Copy, Debug)]
struct Refusal {
    status: StatusCode,
    wait: Option<Duration>,
}

impl Door {
    fn new(deployment: &Deployment, window: Window, seed: u64, now: Instant) -> Self {
        let mut rng = Rng::with_seed(seed);
        let phase = Duration::from_secs_f64(60.0 * rng.f64());
        let limits = &deployment.limits;
        Self {
            requests: limits.rpm.map_or_else(Vec::new, |rpm| Gate::requests(window, rpm, phase, now)),
            tokens: limits.tpm.map(|tpm| Gate::tokens(window, tpm, phase, now)),
            accounting: limits.accounting,
            seconds: Vec::new(),
            rng,
        }
    }

    /// Lets a call in, or says after how long it may come back.
    fn judge(&mut self, cost: &Cost, now: Instant) -> Result<(), Duration> {
        // Azure counts what may come of it; others what came, so that nothing but the prompt is known yet.
        let known = match self.accounting {
            TokenAccounting::Azure => cost.guessed + cost.max,
            TokenAccounting::Billed => 1,
        };
        let dear = self.tokens.as_mut().map_or(Ok(()), |gate| gate.check(known, now));
        Gate::judge(&mut self.requests, now).and(dear)?;
        if let (TokenAccounting::Azure, Some(gate)) = (self.accounting, &mut self.tokens) {
            gate.add(known, now);
        }
        Ok(())
    }

    fn second(&mut self, at: Duration) -> &mut Second {
        let second = usize::try_from(at.as_secs()).unwrap_or(usize::MAX);
        if self.seconds.len() <= second {
            self.seconds.resize(second + 1, Second::default());
        }
        &mut self.seconds[second]
    }

    fn cost(&mut self, body: &[u8]) -> Cost {
        let asked = serde_json::from_slice(body).unwrap_or(Asked { max_tokens: None, messages: Vec::new() });
        let bytes: usize = asked.messages.iter().map(|message| message.content.len()).sum();
        let (guessed, max) = (bytes as u64 / 4, asked.max_tokens.unwrap_or(256));
        // A tokenizer makes a tenth more or less of it than a quarter of its bytes.
        let prompt = self.rng.u64(guessed * 9 / 10..=guessed * 11 / 10);
        Cost { guessed, prompt, max, output: self.rng.u64(1.min(max)..=max) }
    }

    fn on_the_way(&mut self, jitter: Duration) -> Duration {
        jitter.mul_f64(self.rng.f64())
    }
}

impl Server {
    fn new(
        deployment: &Deployment,
        place: usize,
        upstreams: &Upstreams,
        (seed, began): (u64, Instant),
    ) -> Self {
        let troubles = upstreams.troubles.iter().filter(|trouble| trouble.is_at(deployment, place));
        Self {
            door: Mutex::new(Door::new(deployment, upstreams.window, seed, began)),
            began,
            jitter: upstreams.jitter,
            latency: upstreams.latency,
            troubles: troubles.cloned().collect(),
        }
    }

    fn door(&self) -> MutexGuard<'_, Door> {
        self.door.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(self: Arc<Self>, body: Bytes, sent: Instant) -> Response<Wire> {
        let there = self.door().on_the_way(self.jitter);
        sleep(there).await;
        let answer = match self.admit(&body) {
            Ok((cost, takes)) => {
                sleep(takes).await;
                self.bill(&cost);
                answered(&cost, sent - self.began)
            }
            Err(refusal) => refused(&refusal),
        };
        let back = self.door().on_the_way(self.jitter);
        sleep(back).await;
        answer
    }

    /// At the door: what the call costs and how long the answer takes, or the refusal.
    fn admit(&self, body: &[u8]) -> Result<(Cost, Duration), Refusal> {
        let now = Instant::now();
        let at = now - self.began;
        let trouble = self.troubles.iter().find(|trouble| (trouble.from..trouble.until).contains(&at));
        let slower = trouble.map_or(1.0, |trouble| trouble.slower);
        let mut door = self.door();
        door.second(at).sent += 1;
        if slower.is_infinite() {
            door.second(at).failed += 1;
            return Err(Refusal { status: StatusCode::SERVICE_UNAVAILABLE, wait: None });
        }
        let cost = door.cost(body);
        if let Err(wait) = door.judge(&cost, now) {
            door.second(at).refused += 1;
            return Err(Refusal { status: StatusCode::TOO_MANY_REQUESTS, wait: Some(wait) });
        }
        if door.accounting == TokenAccounting::Azure {
            door.second(at).tokens += cost.guessed + cost.max;
        }
        let takes = self.latency.mul_f64((SPREAD * normal(&mut door.rng)).exp() * slower);
        Ok((cost, takes))
    }

    /// The answer is done.
    fn bill(&self, cost: &Cost) {
        let now = Instant::now();
        let mut door = self.door();
        if door.accounting == TokenAccounting::Billed {
            let billed = cost.prompt + cost.output;
            door.second(now - self.began).tokens += billed;
            if let Some(gate) = &mut door.tokens {
                gate.add(billed, now);
            }
        }
    }
}

/// What leads to a server.
#[derive(Debug)]
struct Line(Option<Arc<Server>>);

impl Upstream for Line {
    fn call(&self, call: Call) -> Calling {
        let (server, sent) = (self.0.clone(), Instant::now());
        let body = call.request.into_body().to_bytes();
        Box::pin(async move {
            match server {
                Some(server) => Ok(server.answer(body, sent).await),
                None => Err(WireError {
                    sent: false,
                    timed_out: false,
                    evidence: true,
                    what: "Nobody is there.".into(),
                }),
            }
        })
    }
}

/// The id says when the call left the gateway, so that the client knows how long it waited there.
fn answered(cost: &Cost, sent: Duration) -> Response<Wire> {
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

/// The wait is told in whole seconds, as most servers do.
fn refused(&Refusal { status, wait }: &Refusal) -> Response<Wire> {
    let error = json!({"message": "Not now.", "type": "error", "param": null, "code": status.as_str()});
    let mut response = respond(status, &json!({"error": error}));
    if let Some(wait) = wait {
        let seconds = u64::try_from(wait.as_nanos().div_ceil(1_000_000_000)).unwrap_or(u64::MAX).max(1);
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn respond(status: StatusCode, body: &serde_json::Value) -> Response<Wire> {
    let mut response = Response::new(Wire::full(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
