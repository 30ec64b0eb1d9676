//! The layer and its service: [`RateLimitBalanceLayer`], [`RateLimitBalance`].

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

use super::{
    exhausted::Exhausted,
    future::ResponseFuture,
    load::InFlight,
    members::Members,
    picker::Picker,
    queue::{QueueListener, WaitQueue},
    strategy::Strategy,
};
use crate::{
    AtResponse, Attempts, Endpoint, IntoServiceError, Setting, TrackOutcome,
    attempts::NoAttempts,
    endpoint::{CapacityListener, Unlimited},
    setting::Constant,
};

/// The layer that balances requests over many [`Endpoint`]s.
///
/// `T` attaches an [`InFlight`] handle to each response. The other parameters are the settings that read a request.
#[derive(Clone)]
pub struct RateLimitBalanceLayer<T, A = NoAttempts, D = Constant<Option<Instant>>, K = Constant<u8>> {
    strategy: Strategy,
    seed: Option<u64>,
    track: T,
    reader: RequestSettings<A, D, K>,
    max_wait: Duration,
    max_queue: usize,
    queue_listener: Option<Arc<dyn QueueListener>>,
}

impl<T, A, D, K> fmt::Debug for RateLimitBalanceLayer<T, A, D, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitBalanceLayer")
            .field("strategy", &self.strategy)
            .field("max_wait", &self.max_wait)
            .field("max_queue", &self.max_queue)
            .finish_non_exhaustive()
    }
}

impl<C> RateLimitBalanceLayer<AtResponse<C>> {
    /// Returns a layer that chooses by `strategy`, and classifies the response of each call.
    ///
    /// A request without capacity waits for up to 2 s, in a queue of at most 1,000 requests.
    pub const fn new(strategy: Strategy, classify: C) -> Self {
        Self::tracking(strategy, AtResponse(classify))
    }
}

impl<T> RateLimitBalanceLayer<T> {
    pub(crate) const fn tracking(strategy: Strategy, track: T) -> Self {
        Self {
            strategy,
            seed: None,
            track,
            reader: RequestSettings::NONE,
            max_wait: Duration::from_secs(2),
            max_queue: 1_000,
            queue_listener: None,
        }
    }
}

impl<T, A, D, K> RateLimitBalanceLayer<T, A, D, K> {
    /// Sets a [`TrackOutcome`] in place of the classifier: for responses that end after their head.
    pub fn with_tracking<U>(self, track: U) -> RateLimitBalanceLayer<U, A, D, K> {
        let Self { strategy, seed, reader, max_wait, max_queue, queue_listener, .. } = self;
        RateLimitBalanceLayer { strategy, seed, track, reader, max_wait, max_queue, queue_listener }
    }

    /// Returns a balancer of plain services, which have no limit of their own; an error or a slow response only changes how
    /// many requests they receive.
    pub fn services<S>(
        &self,
        services: impl IntoIterator<Item = S>,
    ) -> RateLimitBalance<Unlimited<S>, T, RequestSettings<A, D, K>>
    where
        T: Clone,
        A: Clone,
        D: Clone,
        K: Clone,
    {
        self.layer(services.into_iter().map(Unlimited::new).collect())
    }

    /// Sets the maximum wait of a request for capacity, and the maximum length of the queue. If either is zero, no request
    /// waits.
    #[must_use]
    pub const fn with_queue(mut self, timeout: Duration, max: usize) -> Self {
        self.max_wait = timeout;
        self.max_queue = max;
        self
    }

    /// Sets a listener that is notified of the requests that wait for capacity.
    #[must_use]
    pub fn with_queue_listener(mut self, listener: Arc<dyn QueueListener>) -> Self {
        self.queue_listener = Some(listener);
        self
    }

    /// Sets the seed of all random choices: the same seed and the same calls give the same choices.
    #[must_use]
    pub const fn with_seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Sets the access to the attempts of a request: a
    /// [`Setting`](crate::Setting)`<&Req, Value = Option<&Attempts>>`. Use a function: the compiler does not infer for a
    /// closure that the result borrows from the request.
    pub fn with_attempts<B>(self, attempts: B) -> RateLimitBalanceLayer<T, B, D, K> {
        self.map_reader(|RequestSettings { deadline, kind, .. }| RequestSettings { attempts, deadline, kind })
    }

    /// Sets the deadline of a request, after which it needs no response: a
    /// [`Setting`](crate::Setting)`<&Req, Value = Option<Instant>>`.
    pub fn with_deadline<E>(self, deadline: E) -> RateLimitBalanceLayer<T, A, E, K> {
        self.map_reader(|RequestSettings { attempts, kind, .. }| RequestSettings { attempts, deadline, kind })
    }

    /// Sets the kind of a request for the comparison of latencies: 0 if the response head arrives when all work is done, so
    /// that the latency is divided by the cost; 1 if the response starts before, as a stream does. A
    /// [`Setting`](crate::Setting)`<&Req, Value = u8>`.
    pub fn with_kind<L>(self, kind: L) -> RateLimitBalanceLayer<T, A, D, L> {
        self.map_reader(|RequestSettings { attempts, deadline, .. }| RequestSettings {
            attempts,
            deadline,
            kind,
        })
    }

    /// Replaces the settings that read a request.
    fn map_reader<B, E, L>(
        self,
        map: impl FnOnce(RequestSettings<A, D, K>) -> RequestSettings<B, E, L>,
    ) -> RateLimitBalanceLayer<T, B, E, L> {
        let Self { strategy, seed, track, reader, max_wait, max_queue, queue_listener } = self;
        let reader = map(reader);
        RateLimitBalanceLayer { strategy, seed, track, reader, max_wait, max_queue, queue_listener }
    }
}

impl<S, T: Clone, A: Clone, D: Clone, K: Clone> Layer<Vec<S>> for RateLimitBalanceLayer<T, A, D, K> {
    type Service = RateLimitBalance<S, T, RequestSettings<A, D, K>>;

    fn layer(&self, endpoints: Vec<S>) -> Self::Service {
        let seed = self.seed.unwrap_or_else(|| fastrand::u64(..));
        let queue = Arc::new(WaitQueue::new(self.queue_listener.clone()));
        let listener: Arc<dyn CapacityListener> = Arc::<WaitQueue>::clone(&queue);
        RateLimitBalance {
            shared: Arc::new(Shared {
                picker: Arc::new(Picker::new(endpoints, self.strategy, seed, Arc::downgrade(&listener))),
                queue,
                track: self.track.clone(),
                reader: self.reader.clone(),
                max_wait: self.max_wait,
                max_queue: self.max_queue,
            }),
        }
    }
}

/// The service that balances requests over endpoints: see [`RateLimitBalanceLayer`].
#[derive(Debug)]
pub struct RateLimitBalance<S, T, R = RequestSettings> {
    shared: Arc<Shared<S, T, R>>,
}

/// The state shared by all clones and all response futures.
#[derive(Debug)]
pub(super) struct Shared<S, T, R> {
    pub(super) picker: Arc<Picker<S>>,
    pub(super) queue: Arc<WaitQueue>,
    pub(super) track: T,
    pub(super) reader: R,
    pub(super) max_wait: Duration,
    pub(super) max_queue: usize,
}

impl<S, C: Clone> RateLimitBalance<S, AtResponse<C>> {
    /// Creates the service of [`RateLimitBalanceLayer::new`] over these endpoints.
    pub fn new(endpoints: Vec<S>, strategy: Strategy, classify: C) -> Self {
        RateLimitBalanceLayer::new(strategy, classify).layer(endpoints)
    }
}

impl<S, T, R> RateLimitBalance<S, T, R> {
    /// Returns a handle that inserts and removes endpoints.
    #[must_use]
    pub fn members<K>(&self) -> Members<K, S> {
        Members::new(Arc::clone(&self.shared.picker), Arc::clone(&self.shared.queue))
    }
}

/// A clone only increments a reference count.
impl<S, T, R> Clone for RateLimitBalance<S, T, R> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<S, T, R, Req> Service<Req> for RateLimitBalance<S, T, R>
where
    S: Endpoint<Req>,
    Exhausted: IntoServiceError<S::Error>,
    T: TrackOutcome<InFlight, S::Response, S::Error>,
    R: RequestReader<Req>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S, Req, T, R>;

    /// Returns ready always: the choice of an endpoint depends on the request, and is made in the future.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, req: Req) -> Self::Future {
        ResponseFuture::new(Arc::clone(&self.shared), req)
    }
}

/// The settings through which the balancer reads a request.
#[derive(Clone, Copy, Debug)]
pub struct RequestSettings<A = NoAttempts, D = Constant<Option<Instant>>, K = Constant<u8>> {
    pub(super) attempts: A,
    pub(super) deadline: D,
    pub(super) kind: K,
}

impl RequestSettings {
    pub(super) const NONE: Self = Self { attempts: NoAttempts, deadline: Constant(None), kind: Constant(0) };
}

/// The properties of a request that the balancer reads. Implemented by [`RequestSettings`] of suitable types.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not read requests of type `{Req}`: it is not a `RequestReader<{Req}>`",
    label = "not the settings of a balancer",
    note = "`with_attempts`, `with_deadline` and `with_kind` of the layer take functions of `&{Req}`; the first must be a function, not a closure"
)]
pub trait RequestReader<Req> {
    /// Returns the attempts of the request so far, if it keeps a record.
    fn attempts<'a>(&self, req: &'a Req) -> Option<&'a Attempts>;

    /// Returns the time after which the request needs no response.
    fn deadline(&self, req: &Req) -> Option<Instant>;

    /// Returns the kind of the request for the comparison of latencies, 0 or 1.
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
