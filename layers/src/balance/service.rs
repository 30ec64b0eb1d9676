//! The layer and its service: [`RateLimitBalanceLayer`], [`RateLimitBalance`].

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

use super::{
    exhausted::Exhausted, future::ResponseFuture, load::InFlight, picker::Picker, queue::WaitQueue,
    strategy::Strategy,
};
use crate::{
    Attempts, Endpoint, Setting, TrackOutcome, attempts::NoAttempts, endpoint::CapacityListener,
    setting::Constant,
};

/// Makes one service of many [`Endpoint`]s.
///
/// `T` fastens an [`InFlight`] to each answer; the other parameters say how a request is read.
#[derive(Clone, Debug)]
pub struct RateLimitBalanceLayer<T, A = NoAttempts, D = Constant<Option<Instant>>, K = Constant<u8>> {
    strategy: Strategy,
    seed: Option<u64>,
    track: T,
    reads: RequestSettings<A, D, K>,
    max_wait: Duration,
    max_queue: usize,
}

impl<T> RateLimitBalanceLayer<T> {
    /// Chooses by `strategy`, and hears of each answer's end by `track`.
    ///
    /// A request that finds no room waits for up to 2 s, as one of at most 1,000.
    pub const fn new(strategy: Strategy, track: T) -> Self {
        Self {
            strategy,
            seed: None,
            track,
            reads: RequestSettings::NONE,
            max_wait: Duration::from_secs(2),
            max_queue: 1_000,
        }
    }
}

impl<T, A, D, K> RateLimitBalanceLayer<T, A, D, K> {
    /// With how long a request may wait for room, and how many may at one time. Zero of either: none waits.
    #[must_use]
    pub const fn with_queue(mut self, timeout: Duration, max: usize) -> Self {
        self.max_wait = timeout;
        self.max_queue = max;
        self
    }

    /// With the seed of all that is drawn: the same seed and the same calls give the same choices.
    #[must_use]
    pub const fn with_seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// With where a request keeps what it has tried: a
    /// [`Setting`](crate::Setting)`<&Req, Value = Option<&Attempts>>`. A function will do; a closure cannot say
    /// that what it returns lives in the request.
    pub fn with_attempts<B>(self, attempts: B) -> RateLimitBalanceLayer<T, B, D, K> {
        self.reading(|RequestSettings { deadline, kind, .. }| RequestSettings { attempts, deadline, kind })
    }

    /// With when a request need not be answered any more: a
    /// [`Setting`](crate::Setting)`<&Req, Value = Option<Instant>>`.
    pub fn with_deadline<E>(self, deadline: E) -> RateLimitBalanceLayer<T, A, E, K> {
        self.reading(|RequestSettings { attempts, kind, .. }| RequestSettings { attempts, deadline, kind })
    }

    /// With of which kind a request is, where speed is compared: 0 for one whose head comes when all of it is done,
    /// so that its time is divided by its cost, 1 for one that begins to answer at once. A
    /// [`Setting`](crate::Setting)`<&Req, Value = u8>`.
    pub fn with_kind<L>(self, kind: L) -> RateLimitBalanceLayer<T, A, D, L> {
        self.reading(|RequestSettings { attempts, deadline, .. }| RequestSettings {
            attempts,
            deadline,
            kind,
        })
    }

    /// The same, with requests read otherwise.
    fn reading<B, E, L>(
        self,
        how: impl FnOnce(RequestSettings<A, D, K>) -> RequestSettings<B, E, L>,
    ) -> RateLimitBalanceLayer<T, B, E, L> {
        let Self { strategy, seed, track, reads, max_wait, max_queue } = self;
        RateLimitBalanceLayer { strategy, seed, track, reads: how(reads), max_wait, max_queue }
    }
}

impl<S, T: Clone, A: Clone, D: Clone, K: Clone> Layer<Vec<S>> for RateLimitBalanceLayer<T, A, D, K> {
    type Service = RateLimitBalance<S, T, RequestSettings<A, D, K>>;

    fn layer(&self, endpoints: Vec<S>) -> Self::Service {
        let seed = self.seed.unwrap_or_else(|| fastrand::u64(..));
        let queue = Arc::new(WaitQueue::new());
        let listener: Arc<dyn CapacityListener> = Arc::<WaitQueue>::clone(&queue);
        RateLimitBalance {
            shared: Arc::new(Shared {
                picker: Picker::new(endpoints, self.strategy, seed, Arc::downgrade(&listener)),
                queue,
                track: self.track.clone(),
                reads: self.reads.clone(),
                max_wait: self.max_wait,
                max_queue: self.max_queue,
            }),
        }
    }
}

/// Spreads requests over endpoints: see [`RateLimitBalanceLayer`].
#[derive(Debug)]
pub struct RateLimitBalance<S, T, R = RequestSettings> {
    shared: Arc<Shared<S, T, R>>,
}

/// What all clones, and all requests under way, share.
#[derive(Debug)]
pub(super) struct Shared<S, T, R> {
    pub(super) picker: Picker<S>,
    pub(super) queue: Arc<WaitQueue>,
    pub(super) track: T,
    pub(super) reads: R,
    pub(super) max_wait: Duration,
    pub(super) max_queue: usize,
}

/// A clone is a count.
impl<S, T, R> Clone for RateLimitBalance<S, T, R> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<S, T, R, Req> Service<Req> for RateLimitBalance<S, T, R>
where
    S: Endpoint<Req>,
    S::Error: From<Exhausted>,
    T: TrackOutcome<InFlight, S::Response, S::Error>,
    R: RequestReader<Req>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S, Req, T, R>;

    /// Always ready: which endpoint will do depends on the request.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, req: Req) -> Self::Future {
        ResponseFuture::new(Arc::clone(&self.shared), req)
    }
}

/// The settings by which the balancer reads a request.
#[derive(Clone, Copy, Debug)]
pub struct RequestSettings<A = NoAttempts, D = Constant<Option<Instant>>, K = Constant<u8>> {
    pub(super) attempts: A,
    pub(super) deadline: D,
    pub(super) kind: K,
}

impl RequestSettings {
    pub(super) const NONE: Self = Self { attempts: NoAttempts, deadline: Constant(None), kind: Constant(0) };
}

/// What [`RequestSettings`] of the right kinds say about a request. Implemented for those alone.
pub trait RequestReader<Req> {
    /// What it has tried so far.
    fn attempts<'a>(&self, req: &'a Req) -> Option<&'a Attempts>;

    /// After which it need not be answered.
    fn deadline(&self, req: &Req) -> Option<Instant>;

    /// 0 or 1: of which kind it is, where speed is compared.
    fn kind(&self, req: &Req) -> usize;
}

impl<Req, A, D, K> RequestReader<Req> for RequestSettings<A, D, K>
where
    A: for<'a> Setting<&'a Req, Value = Option<&'a Attempts>>,
    D: for<'a> Setting<&'a Req, Value = Option<Instant>>,
    K: for<'a> Setting<&'a Req, Value = u8>,
{
    fn attempts<'a>(&self, req: &'a Req) -> Option<&'a Attempts> {
        self.attempts.get(req)
    }

    fn deadline(&self, req: &Req) -> Option<Instant> {
        self.deadline.get(req)
    }

    fn kind(&self, req: &Req) -> usize {
        usize::from(self.kind.get(req) != 0)
    }
}
