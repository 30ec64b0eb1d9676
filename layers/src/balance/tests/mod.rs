//! The balancer's tests, and their common request, upstream and group.

mod many;
mod outcomes;
mod queue;
mod random;
mod repeats;
mod simulation;
mod spread;
mod stories;
mod threads;
mod unready;

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep};
use tower::{Layer, Service, ServiceExt, service_fn};

use super::{Exhausted, InFlight, RateLimitBalanceLayer, Strategy};
use crate::{
    AtResponse, Attempts, Class, Endpoint, OnComplete, Outcome, TrackOutcome,
    attempts::Directive,
    cooldown::CoolingDown,
    endpoint::EndpointWeight,
    quota::{Limits, Meters, QuotaGuard, QuotaLayer, RateWindow},
    testing::Strict,
};

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[derive(Clone, Debug, Default)]
struct Ask {
    cost: u64,
    attempts: Arc<Attempts>,
    deadline: Option<Instant>,
}

impl Ask {
    fn attempts(&self) -> Option<&Attempts> {
        Some(&self.attempts)
    }
}

#[derive(Debug, PartialEq)]
enum Failed {
    Exhausted(Exhausted),
}

impl From<CoolingDown> for Failed {
    fn from(error: CoolingDown) -> Self {
        unreachable!("each call is reserved: {error}")
    }
}

impl From<Exhausted> for Failed {
    fn from(exhausted: Exhausted) -> Self {
        Self::Exhausted(exhausted)
    }
}

impl Failed {
    fn retry_after(&self) -> Duration {
        match self {
            Self::Exhausted(exhausted) => exhausted.retry_after().expect("a time"),
        }
    }
}

/// A response, with the index of its server and the outcome of the call.
#[derive(Clone, Copy, Debug)]
struct Answer {
    by: usize,
    outcome: Outcome,
}

fn classify(result: Result<&Answer, &Failed>) -> Outcome {
    match result {
        Ok(answer) => answer.outcome,
        Err(Failed::Exhausted(full)) => {
            Outcome::new(Class::RateLimited).refused().with_retry_after(full.retry_after())
        }
    }
}

type Classifier = fn(Result<&Answer, &Failed>) -> Outcome;
const CLASSIFY: Classifier = classify;

/// An upstream with a latency, and optionally a rate limit of its own.
#[derive(Debug)]
struct Server {
    by: usize,
    takes: Mutex<Duration>,
    broken: Mutex<Option<Class>>,
    judge: Option<(u64, Duration)>,
    jitter: Mutex<fastrand::Rng>,
    seen: Mutex<VecDeque<Instant>>,
    called: AtomicUsize,
    refused: AtomicUsize,
}

impl Server {
    fn new(by: usize, takes: Duration) -> Arc<Self> {
        Arc::new(Self::made(by, takes))
    }

    /// Returns a server that accepts `most` calls in any window, and counts the calls that it refuses.
    fn judging(by: usize, takes: Duration, most: u64, window: Duration) -> Arc<Self> {
        Arc::new(Self { judge: Some((most, window)), ..Self::made(by, takes) })
    }

    fn made(by: usize, takes: Duration) -> Self {
        Self {
            by,
            takes: Mutex::new(takes),
            broken: Mutex::new(None),
            judge: None,
            jitter: Mutex::new(fastrand::Rng::with_seed(by as u64)),
            seen: Mutex::default(),
            called: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
        }
    }

    fn called(&self) -> usize {
        self.called.load(Ordering::Relaxed)
    }

    fn refused(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
    }

    fn set_takes(&self, takes: Duration) {
        *self.takes.lock().unwrap() = takes;
    }

    fn set_broken(&self, class: Option<Class>) {
        *self.broken.lock().unwrap() = class;
    }

    async fn answer(&self) -> Result<Answer, Failed> {
        if self.judge.is_some() {
            // On the way.
            let jitter = self.jitter.lock().unwrap().u64(..20);
            sleep(ms(jitter)).await;
        }
        self.called.fetch_add(1, Ordering::Relaxed);
        if let Some(after) = self.verdict() {
            self.refused.fetch_add(1, Ordering::Relaxed);
            let outcome = Outcome::new(Class::RateLimited).with_retry_after(Some(after));
            return Ok(Answer { by: self.by, outcome });
        }
        let takes = *self.takes.lock().unwrap();
        sleep(takes).await;
        let class = self.broken.lock().unwrap().unwrap_or(Class::Success);
        Ok(Answer { by: self.by, outcome: Outcome::new(class) })
    }

    /// Returns the Retry-After in whole seconds if this call exceeds the limit.
    fn verdict(&self) -> Option<Duration> {
        let (most, window) = self.judge?;
        let (mut seen, now) = (self.seen.lock().unwrap(), Instant::now());
        while seen.front().is_some_and(|at| now.duration_since(*at) >= window) {
            seen.pop_front();
        }
        seen.push_back(now);
        let over = (seen.len() as u64).checked_sub(most).filter(|over| *over > 0)?;
        let frees = seen[usize::try_from(over).unwrap()] + window - now;
        Some(Duration::from_secs(frees.as_secs() + 1))
    }
}

/// A server behind its meters.
fn deployment(
    server: &Arc<Server>,
    meters: &Meters,
    share: EndpointWeight,
) -> impl Endpoint<Ask, Response = Answer, Error = Failed, Future: Send> + Send + Sync + use<> {
    let server = Arc::clone(server);
    let inner = service_fn(move |_: Ask| {
        let server = Arc::clone(&server);
        async move { server.answer().await }
    });
    QuotaLayer::new(meters.clone(), CLASSIFY)
        .with_cost(|ask: &Ask| ask.cost.max(1))
        .with_weight(share)
        .layer(Strict::new(inner))
}

fn rpm(limit: u64) -> EndpointWeight {
    EndpointWeight { rpm: Some(limit as f64), ..EndpointWeight::default() }
}

fn meters(limit: u64) -> Meters {
    Meters::new(Limits { requests: Some(limit), ..Limits::default() })
}

/// Meters that let the whole minute's limit come at once.
fn bursting(limit: u64) -> Meters {
    Meters::new(Limits { requests: Some(limit), window: Some(RateWindow::S60), ..Limits::default() })
}

fn layer(strategy: Strategy) -> RateLimitBalanceLayer<AtResponse<Classifier>> {
    RateLimitBalanceLayer::new(strategy, CLASSIFY).with_seed(7)
}

/// Makes one call, from start to end.
async fn call<S>(balance: &S, ask: Ask) -> Result<Answer, Failed>
where
    S: Service<Ask, Response = Answer, Error = Failed> + Clone,
{
    balance.clone().oneshot(ask).await
}
