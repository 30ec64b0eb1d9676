//! Tests of the retry layer over a small balancer.

mod properties;
mod with_attempts;
mod without_attempts;

use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::time::{sleep, sleep_until};
use tower::{ServiceExt as _, service_fn};

use super::*;
use crate::{
    Attempts, Class, Outcome,
    attempts::{Directive, EndpointKey},
    testing::Strict,
};

const SECOND: Duration = Duration::from_secs(1);
const GOOD: Outcome = Outcome::new(Class::Success);
const DOWN: Outcome = Outcome::new(Class::Unavailable);
const NEVER_SENT: Outcome = DOWN.never_sent();
const LIMITED: Outcome = Outcome::new(Class::RateLimited);
const DENIED: Outcome = Outcome::new(Class::Unauthorized);
const REFUSED: Outcome = LIMITED.refused();

fn limited_for(wait: Duration) -> Outcome {
    LIMITED.with_retry_after(Some(wait))
}

/// A response: the backend, if it is not a refusal of the balancer, and the outcome.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Answer(Option<usize>, Outcome);

fn classify(result: Result<&Answer, &Infallible>) -> Outcome {
    result.map_or(DOWN, |answer| answer.1)
}

/// A request: its record of attempts.
type Ask = Arc<Attempts>;

fn attempts(ask: &Ask) -> Option<&Attempts> {
    Some(ask)
}

/// A backend: the outcomes of its calls in order; later calls succeed.
#[derive(Debug)]
struct Backend {
    key: EndpointKey,
    script: Mutex<VecDeque<Outcome>>,
    /// The time before which it has no capacity.
    full: Option<Instant>,
}

impl Backend {
    fn of(script: &[Outcome]) -> Self {
        let script = Mutex::new(script.iter().copied().collect());
        Self { key: EndpointKey::unique(), script, full: None }
    }
}

/// A group of backends, and a log of the calls with their times.
#[derive(Clone, Debug)]
struct Group {
    backends: Arc<[Backend]>,
    log: Arc<Mutex<Vec<(usize, Duration)>>>,
    start: Instant,
    takes: Duration,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Group {
    fn of<const N: usize>(scripts: [&[Outcome]; N]) -> Self {
        Self {
            backends: scripts.into_iter().map(Backend::of).collect(),
            log: Arc::default(),
            start: Instant::now(),
            takes: Duration::ZERO,
        }
    }

    /// Creates backends that each repeat one outcome, 100 times.
    fn always(outcomes: &[Outcome]) -> Self {
        let scripts: Vec<_> = outcomes.iter().map(|outcome| [*outcome; 100]).collect();
        let mut group = Self::of::<0>([]);
        group.backends = scripts.iter().map(|script| Backend::of(script)).collect();
        group
    }

    /// Picks the first untried backend with capacity for an immediate call, else the first with capacity for the time at which
    /// it may be called again, if that is within two seconds.
    fn pick(&self, ask: &Ask) -> Option<(usize, Instant)> {
        let (now, directive) = (Instant::now(), ask.take_directive());
        let mut open = self.backends.iter().enumerate().filter(|(_, backend)| backend.full <= Some(now));
        if let Some((at, _)) = open.clone().find(|(_, backend)| !ask.tried(backend.key)) {
            return Some((at, now));
        }
        let when = if let Directive::NotBefore(at) = directive { at.max(now) } else { now };
        let wait = directive != Directive::Untried && when <= now + 2 * SECOND;
        open.next().filter(|_| wait).map(|(at, _)| (at, when))
    }

    async fn answer(self, ask: Ask) -> Result<Answer, Infallible> {
        let Some((at, when)) = self.pick(&ask) else {
            return Ok(Answer(None, REFUSED));
        };
        sleep_until(when).await;
        ask.picked(self.backends[at].key);
        lock(&self.log).push((at, self.start.elapsed()));
        let outcome = lock(&self.backends[at].script).pop_front().unwrap_or(GOOD);
        sleep(self.takes).await;
        Ok(Answer(Some(at), outcome))
    }

    /// Sends a request through this layer.
    async fn ask<L>(&self, layer: &L, ask: &Ask) -> Answer
    where
        L: Layer<Strict<BoxService>>,
        L::Service: Service<Ask, Response = Answer, Error = Infallible>,
    {
        let Ok(answer) = layer.layer(self.service()).oneshot(Arc::clone(ask)).await;
        answer
    }

    /// Sends a new request through this layer.
    async fn once<L>(&self, layer: &L) -> Answer
    where
        L: Layer<Strict<BoxService>>,
        L::Service: Service<Ask, Response = Answer, Error = Infallible>,
    {
        self.ask(layer, &Ask::default()).await
    }

    fn service(&self) -> Strict<BoxService> {
        let group = self.clone();
        Strict::new(tower::util::BoxCloneService::new(service_fn(move |ask| group.clone().answer(ask))))
    }

    fn calls(&self) -> Vec<usize> {
        lock(&self.log).iter().map(|(at, _)| *at).collect()
    }

    /// When each call was made, in seconds, from the first on.
    fn times(&self) -> Vec<f64> {
        lock(&self.log).iter().map(|(_, when)| when.as_secs_f64()).collect()
    }
}

type BoxService = tower::util::BoxCloneService<Ask, Answer, Infallible>;
