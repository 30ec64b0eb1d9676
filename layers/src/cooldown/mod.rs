//! Cooldown of unhealthy endpoints, followed by a probe: [`CooldownLayer`].
//!
//! Alone the layer is a circuit breaker: while the service cools down, a call fails at once with [`CoolingDown`], and then
//! one call probes it. Below a [balancer](crate::balance) the layer wraps each endpoint: outside
//! [`Timeout`](crate::timeout::Timeout), so that an elapsed call counts as a failure, and outside
//! [`Quota`](crate::quota::Quota), the [`Endpoint`] that it decorates. There it refuses no call. It reports the endpoint's
//! [`Health`] and the balancer decides; so a group is never closed because of health, and an endpoint that cools down is
//! still called if there is no better one.
//!
//! Failures of the backend count (of `poll_ready`, too) and timeouts count. A credential or a resource that is not valid at
//! the backend starts a cooldown at once. The caller's own errors do not count, nor does a reached limit, which the meter
//! handles, nor an outcome without evidence ([`Outcome::is_evidence`](crate::Outcome::is_evidence)), such as a cancelled
//! call, or one that exceeded a shorter limit of its caller.
//!
//! ```text
//!              too many failures                           cooldown over
//! healthy ─────────────────────────► cooling down ─────────────────────────► half-open ──taken──► probing
//!  ▲  ▲                               ▲  │ ▲                                  ▲                  │  │  │
//!  │  │                               │  └─┘ a failure renews it              └──probe dropped───┘  │  │
//!  │  └────a call begun meanwhile─────┘  ▲                                                          │  │
//!  │       succeeds                      └────────────────failed: twice as long─────────────────────┘  │
//!  └──10 s──  slow start  ◄────────────────────────────────succeeded───────────────────────────────────┘
//! ```
//!
//! The first cooldown lasts `cooldown_time`, each further one twice as long, up to 5 minutes; each full minute of health
//! halves the next one. Until a call proves that the endpoint is healthy, the end of a cooldown is only ever postponed.
//!
//! An operator can begin and end a cooldown by hand ([`EndpointHealth::cool_down`], [`EndpointHealth::revive`]), or drain
//! the endpoint ([`EndpointHealth::set_drained`]): a drained endpoint is not called even where there is no other.
//!
//! # How it differs from other circuit breakers
//! A breaker such as tower-resilience's opens at a rate of failures over a window of calls, closes after a fixed time, and
//! wraps the error type. Here a cooldown doubles with each failed probe, ends with a slow start, and is also health that a
//! balancer reads. tower has no equivalent: its `balance` drops an endpoint for good when `poll_ready` fails, and its `load` measures count
//! a fast failure as a fast response. Here each call has its own clone of the service and only that clone is dropped, so the
//! next call may find the endpoint healthy.
//!
//! ```
//! use std::time::Duration;
//! use tollgate_layers::{BoxError, Class, Outcome, cooldown::{CooldownConfig, CooldownLayer, CoolingDown, EndpointHealth, HealthState}};
//! use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
//! let classify = |result: Result<&u32, &BoxError>| match result {
//!     Ok(_) => Outcome::new(Class::Success),
//!     Err(_) => Outcome::new(Class::Unavailable),
//! };
//! let health = EndpointHealth::new(CooldownConfig::new(Duration::from_secs(5)).with_allowed_fails(Some(0)));
//! let mut service = ServiceBuilder::new()
//!     .layer(CooldownLayer::new(health.clone(), classify))
//!     .service(service_fn(|n: u32| std::future::ready(if n == 0 { Err(BoxError::from("down")) } else { Ok(n) })));
//! let _ = service.ready().await?.call(0).await;
//! assert_eq!(health.snapshot().state, HealthState::CoolingDown);
//! assert!(service.ready().await?.call(1).await.unwrap_err().is::<CoolingDown>());
//! tokio::time::advance(Duration::from_secs(5)).await;
//! assert_eq!(service.ready().await?.call(1).await?, 1);
//! assert_eq!(health.snapshot().state, HealthState::SlowStart);
//! # Ok::<(), BoxError>(()) }).map_err(|error| error.to_string())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Hazards: with a [`TrackOutcome`] that waits for the end of the body, a long stream holds the probe until then, unless [`CooldownLayer::with_head`] sets a classifier of
//! heads. A call that hangs holds the probe until a timeout below ends it.

mod breaker;
mod health;
mod shared;
#[cfg(test)]
mod tests;

use std::{
    error::Error,
    fmt,
    pin::Pin,
    sync::Weak,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

use self::health::Probe;
pub use self::health::{CooldownConfig, EndpointHealth, HealthGuard, HealthSnapshot, HealthState};
pub(crate) use self::shared::WeakHealth;
use crate::{
    AtResponse, Class, Classify, Endpoint, IntoServiceError, NoCapacity, Outcome, Score, TrackOutcome,
    endpoint::{CapacityListener, EndpointWeight, Health, Horizon},
};

/// A layer that records the health of an endpoint. See the [module](self).
#[derive(Clone, Debug)]
pub struct CooldownLayer<T, C = NoHeadClassifier> {
    health: EndpointHealth,
    track: T,
    head: C,
}

/// A classifier that has no evidence: health is recorded when a response completes.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHeadClassifier;

impl<Res, Err> Classify<Res, Err> for NoHeadClassifier {
    fn classify(&self, _: Result<&Res, &Err>) -> Outcome {
        Outcome::new(Class::Success).without_evidence()
    }
}

impl<C> CooldownLayer<AtResponse<C>> {
    /// Creates a layer that records in `health` the outcomes that `classify` returns.
    pub const fn new(health: EndpointHealth, classify: C) -> Self {
        Self { health, track: AtResponse(classify), head: NoHeadClassifier }
    }
}

impl<T, C> CooldownLayer<T, C> {
    /// Sets a [`TrackOutcome`] in place of the classifier: for responses that end after their head.
    pub fn with_tracking<U>(self, track: U) -> CooldownLayer<U, C> {
        CooldownLayer { health: self.health, track, head: self.head }
    }

    /// Sets a classifier for the head of a response, so that a success ends a cooldown before the body has ended.
    pub fn with_head<D>(self, head: D) -> CooldownLayer<T, D> {
        CooldownLayer { health: self.health, track: self.track, head }
    }
}

impl<S, T: Clone, C: Clone> Layer<S> for CooldownLayer<T, C> {
    type Service = Cooldown<S, T, C>;

    fn layer(&self, inner: S) -> Self::Service {
        let Self { health, track, head } = self.clone();
        Cooldown { inner, health, track, head, reserved: None }
    }
}

/// The service of [`CooldownLayer`].
#[derive(Debug)]
pub struct Cooldown<S, T, C = NoHeadClassifier> {
    inner: S,
    health: EndpointHealth,
    track: T,
    head: C,
    // Set by `reserve`, with the probe if it took it; passed on by `call`.
    reserved: Option<Option<Probe>>,
}

/// The error of a call that was not made, because the service cools down or a probe is in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoolingDown {
    until: Instant,
}

impl CoolingDown {
    /// Returns the end of the cooldown. It is in the past while a probe is in flight.
    #[must_use]
    pub const fn until(&self) -> Instant {
        self.until
    }
}

impl fmt::Display for CoolingDown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let left = self.until.saturating_duration_since(Instant::now());
        write!(f, "the service has failed and is not called for {} ms", left.as_millis())
    }
}

impl Error for CoolingDown {}

impl<S: Clone, T: Clone, C: Clone> Clone for Cooldown<S, T, C> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            health: self.health.clone(),
            track: self.track.clone(),
            head: self.head.clone(),
            // The clone that has a reservation keeps it.
            reserved: None,
        }
    }
}

impl<S, C> Cooldown<S, AtResponse<C>> {
    /// Creates the service of [`CooldownLayer::new`].
    pub const fn new(inner: S, health: EndpointHealth, classify: C) -> Self {
        Self { inner, health, track: AtResponse(classify), head: NoHeadClassifier, reserved: None }
    }
}

impl<S, T, C> Cooldown<S, T, C> {
    inner_accessors!(mut);
}

impl<S, T, C, Req> Service<Req> for Cooldown<S, T, C>
where
    S: Service<Req>,
    CoolingDown: IntoServiceError<S::Error>,
    T: TrackOutcome<HealthGuard, S::Response, S::Error> + Clone,
    C: Classify<S::Response, S::Error> + Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, T, C>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        let Err(error) = ready!(self.inner.poll_ready(cx)) else { return Poll::Ready(Ok(())) };
        // Counts like a failed call.
        let guard = self.health.guard(self.reserved.take().flatten());
        Poll::Ready(self.track.track(guard, Err(error)).map(drop))
    }

    #[inline]
    fn call(&mut self, req: Req) -> Self::Future {
        let probe = match self.reserved.take() {
            Some(probe) => probe,
            None => match self.health.admit(Instant::now()) {
                Ok(probe) => probe,
                Err(until) => return ResponseFuture::refused(CoolingDown { until }, self),
            },
        };
        let guard = Some(self.health.guard(probe));
        let (track, head) = (self.track.clone(), self.head.clone());
        ResponseFuture { inner: Some(self.inner.call(req)), refusal: None, guard, track, head }
    }
}

impl<S, T, C, Req> Endpoint<Req> for Cooldown<S, T, C>
where
    S: Endpoint<Req>,
    CoolingDown: IntoServiceError<S::Error>,
    T: TrackOutcome<HealthGuard, S::Response, S::Error> + Clone,
    C: Classify<S::Response, S::Error> + Clone,
{
    fn score(&self, req: &Req, now: Instant) -> Result<Score, NoCapacity> {
        let mut score = self.inner.score(req, now)?;
        if !self.health.is_settled() {
            score.health = worse(score.health, self.health.unless_drained(now)?);
        }
        Ok(score)
    }

    fn reserve(&mut self, req: &Req, seen: &Score, now: Instant) -> Result<(), NoCapacity> {
        // First here, because the probe is returned by its drop if the inner service refuses.
        let probe = self.health.take_probe(seen, now)?;
        self.inner.reserve(req, seen, now)?;
        self.reserved = Some(probe.or(self.reserved.take().flatten()));
        Ok(())
    }

    fn weight(&self) -> EndpointWeight {
        self.inner.weight()
    }

    fn slots(&self, req: &Req, horizon: Horizon) -> u64 {
        // Health does not limit capacity, a drain does.
        if self.health.is_drained(horizon.now, horizon.by) { 0 } else { self.inner.slots(req, horizon) }
    }

    fn record_unmet(&self, req: &Req) {
        self.inner.record_unmet(req);
    }

    fn subscribe(&self, listener: &Weak<dyn CapacityListener>) {
        self.health.subscribe(listener);
        self.inner.subscribe(listener);
    }
}

/// Returns the less preferred of two values.
#[inline]
fn worse(one: Health, other: Health) -> Health {
    match (one, other) {
        // Of two fractions of the weight the smaller is worse. Otherwise the order of `Health` is that of preference.
        (Health::Healthy(one), Health::Healthy(other)) => Health::Healthy(one.min(other)),
        (one, other) if one > other => one,
        (_, other) => other,
    }
}

pin_project! {
    /// The future of [`Cooldown`], which attaches the [`HealthGuard`] to the response.
    #[derive(Debug)]
    pub struct ResponseFuture<F, T, C> {
        // None if the call was refused.
        #[pin]
        inner: Option<F>,
        refusal: Option<CoolingDown>,
        // None after it was attached.
        guard: Option<HealthGuard>,
        track: T,
        head: C,
    }
}

impl<F, T: Clone, C: Clone> ResponseFuture<F, T, C> {
    #[cold]
    fn refused<S>(refusal: CoolingDown, service: &Cooldown<S, T, C>) -> Self {
        let (track, head) = (service.track.clone(), service.head.clone());
        Self { inner: None, refusal: Some(refusal), guard: None, track, head }
    }
}

impl<F, T, C, Res, Err> Future for ResponseFuture<F, T, C>
where
    F: Future<Output = Result<Res, Err>>,
    CoolingDown: IntoServiceError<Err>,
    T: TrackOutcome<HealthGuard, Res, Err>,
    C: Classify<Res, Err>,
{
    type Output = Result<Res, Err>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(inner) = this.inner.as_pin_mut() else {
            // A future that is polled again after its end stays pending.
            return this
                .refusal
                .take()
                .map_or(Poll::Pending, |refusal| Poll::Ready(Err(refusal.into_service_error())));
        };
        let result = ready!(inner.poll(cx));
        let Some(mut guard) = this.guard.take() else {
            return Poll::Ready(result);
        };
        guard.response_head(&this.head.classify(result.as_ref()));
        Poll::Ready(this.track.track(guard, result))
    }
}
