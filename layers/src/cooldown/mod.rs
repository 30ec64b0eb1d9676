//! Cooldown of unhealthy endpoints, with a probe afterwards: [`CooldownLayer`].
//!
//! The layer stands around each endpoint, under the balancer: outside [`Timeout`](crate::timeout::Timeout), so that an
//! elapsed call counts, and outside [`Quota`](crate::quota::Quota), whose [`Endpoint`] it decorates. It never refuses
//! a call. It tells the health of the endpoint ([`Health`]), and the balancer decides; so health never closes a group,
//! and an endpoint that cools down is still called when there is no better one.
//!
//! What counts is what the backend did: failures (in `poll_ready` too), timeouts, and at once a credential or
//! resource that is no good there. The caller's own errors never count; nor does a limit that is reached, which is the
//! meter's to know; nor what says nothing ([`Outcome::is_evidence`](crate::Outcome::is_evidence)): a call that was
//! cancelled, or cut by the caller's own shorter limit.
//!
//! ```text
//!              too many failures                         its time is over
//! healthy ─────────────────────────► cooling down ─────────────────────────► half-open ──taken──► probing
//!  ▲  ▲                               ▲  │ ▲                                  ▲                  │  │  │
//!  │  │                               │  └─┘ a failure renews it              └─dropped unended──┘  │  │
//!  │  └─────a call generation meanwhile────┘  ▲                                                          │  │
//!  │        is answered                  └────────────────failed: twice as long─────────────────────┘  │
//!  └──10 s──  slow start  ◄────────────────────────────────answered────────────────────────────────────┘
//! ```
//!
//! A cooldown lasts `cooldown_time`, then twice and four times that, up to 5 minutes; each whole minute that the
//! endpoint is healthy halves the next one. Its end only ever moves away, as long as no call proves that it is healthy.
//!
//! tower has nothing like it: its `balance` drops an endpoint for good when `poll_ready` fails, and its `load`
//! measures take a fast failure for a fast answer. Here each call has a clone of its own, and only that clone is
//! dropped: the next may find the endpoint healthy.
//!
//! ```
//! use std::time::Duration;
//! use tollgate_layers::{AtResponse, Class, Outcome, cooldown::{CooldownLayer, EndpointHealth, CooldownConfig, HealthState}};
//! use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
//! let classify = |result: Result<&u32, &std::io::Error>| match result {
//!     Ok(_) => Outcome::new(Class::Success),
//!     Err(_) => Outcome::new(Class::Unavailable),
//! };
//! let health = EndpointHealth::new(CooldownConfig::new(Duration::from_secs(5)).with_allowed_fails(Some(0)));
//! let mut service = ServiceBuilder::new()
//!     .layer(CooldownLayer::new(health.clone(), AtResponse(classify)))
//!     .service(service_fn(|n: u32| std::future::ready(if n == 0 { Err(std::io::Error::other("")) } else { Ok(n) })));
//! let _ = service.ready().await?.call(0).await;
//! assert_eq!(health.snapshot().state, HealthState::CoolingDown);
//! // All the same it is called, if there is no other.
//! assert_eq!(service.ready().await?.call(1).await?, 1);
//! assert_eq!(health.snapshot().state, HealthState::SlowStart);
//! # Ok::<(), std::io::Error>(()) })?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Hazards: alone it only records, for those who ask the [`EndpointHealth`]. With a [`TrackOutcome`] that waits for the end of the
//! body, a long stream keeps its probe as long; give [`CooldownLayer::with_head`] the classifier of heads too. And a
//! call that hangs keeps it until a timeout below ends it.

mod breaker;
mod health;
#[cfg(test)]
mod tests;

use std::{
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
use crate::{
    Class, Classify, Endpoint, NoCapacity, Outcome, Score, TrackOutcome,
    endpoint::{CapacityListener, EndpointWeight, Health, Horizon},
};

/// Makes a [`Cooldown`].
#[derive(Clone, Debug)]
pub struct CooldownLayer<T, C = NoHeadClassifier> {
    health: EndpointHealth,
    track: T,
    head: C,
}

/// Classifies no response early: health is recorded when a response completes.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHeadClassifier;

impl<Res, Err> Classify<Res, Err> for NoHeadClassifier {
    fn classify(&self, _: Result<&Res, &Err>) -> Outcome {
        Outcome::new(Class::Success).without_evidence()
    }
}

impl<T> CooldownLayer<T> {
    /// Records in `health` the outcomes that `track` reports.
    pub const fn new(health: EndpointHealth, track: T) -> Self {
        Self { health, track, head: NoHeadClassifier }
    }
}

impl<T, C> CooldownLayer<T, C> {
    /// Sets a classifier for the begin of a response, so that a success ends a cooldown before the body has ended.
    pub fn with_head<D>(self, head: D) -> CooldownLayer<T, D> {
        CooldownLayer { health: self.health, track: self.track, head }
    }
}

impl<S, T: Clone, C: Clone> Layer<S> for CooldownLayer<T, C> {
    type Service = Cooldown<S, T, C>;

    fn layer(&self, inner: S) -> Self::Service {
        let Self { health, track, head } = self.clone();
        Cooldown { inner, health, track, head, probe: None }
    }
}

/// Records the health of `S`.
#[derive(Debug)]
pub struct Cooldown<S, T, C = NoHeadClassifier> {
    inner: S,
    health: EndpointHealth,
    track: T,
    head: C,
    // Taken by `reserve`, spent by `call`.
    probe: Option<Probe>,
}

impl<S: Clone, T: Clone, C: Clone> Clone for Cooldown<S, T, C> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            health: self.health.clone(),
            track: self.track.clone(),
            head: self.head.clone(),
            // There is one probe, and it stays where it was taken.
            probe: None,
        }
    }
}

impl<S, T, C> Cooldown<S, T, C> {
    inner_accessors!(mut);
}

impl<S, T, C, Req> Service<Req> for Cooldown<S, T, C>
where
    S: Service<Req>,
    T: TrackOutcome<HealthGuard, S::Response, S::Error> + Clone,
    C: Classify<S::Response, S::Error> + Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, T, C>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        let Err(error) = ready!(self.inner.poll_ready(cx)) else { return Poll::Ready(Ok(())) };
        // It has failed as surely as one that was called.
        let guard = self.health.guard(self.probe.take());
        Poll::Ready(self.track.track(guard, Err(error)).map(drop))
    }

    fn call(&mut self, req: Req) -> Self::Future {
        let guard = Some(self.health.guard(self.probe.take()));
        let (track, head) = (self.track.clone(), self.head.clone());
        ResponseFuture { inner: self.inner.call(req), guard, track, head }
    }
}

impl<S, T, C, Req> Endpoint<Req> for Cooldown<S, T, C>
where
    S: Endpoint<Req>,
    T: TrackOutcome<HealthGuard, S::Response, S::Error> + Clone,
    C: Classify<S::Response, S::Error> + Clone,
{
    fn score(&self, req: &Req, now: Instant) -> Result<Score, NoCapacity> {
        let mut score = self.inner.score(req, now)?;
        score.health = worse(score.health, self.health.health_at(now));
        Ok(score)
    }

    fn reserve(&mut self, req: &Req, seen: &Score, now: Instant) -> Result<(), NoCapacity> {
        // First here, because a probe that is taken for nothing is given back by its drop.
        let probe = self.health.take_probe(seen, now)?;
        self.inner.reserve(req, seen, now)?;
        self.probe = probe.or(self.probe.take());
        Ok(())
    }

    fn weight(&self) -> EndpointWeight {
        self.inner.weight()
    }

    fn slots(&self, req: &Req, horizon: Horizon) -> u64 {
        // Health closes nothing, so it takes no slot away.
        self.inner.slots(req, horizon)
    }

    fn subscribe(&self, listener: &Weak<dyn CapacityListener>) {
        self.health.subscribe(listener);
        self.inner.subscribe(listener);
    }
}

/// Returns the less preferred of two.
#[inline]
fn worse(one: Health, other: Health) -> Health {
    match (one, other) {
        // Parts of a weight: less is worse. Else the order is that of preference.
        (Health::Healthy(one), Health::Healthy(other)) => Health::Healthy(one.min(other)),
        (one, other) if one > other => one,
        (_, other) => other,
    }
}

pin_project! {
    /// The answer of the endpoint, with the [`HealthGuard`] attached.
    #[derive(Debug)]
    pub struct ResponseFuture<F, T, C> {
        #[pin]
        inner: F,
        // None once it is attached.
        guard: Option<HealthGuard>,
        track: T,
        head: C,
    }
}

impl<F, T, C, Res, Err> Future for ResponseFuture<F, T, C>
where
    F: Future<Output = Result<Res, Err>>,
    T: TrackOutcome<HealthGuard, Res, Err>,
    C: Classify<Res, Err>,
{
    type Output = Result<Res, Err>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = ready!(this.inner.poll(cx));
        let Some(mut guard) = this.guard.take() else {
            return Poll::Ready(result);
        };
        guard.response_head(&this.head.classify(result.as_ref()));
        Poll::Ready(this.track.track(guard, result))
    }
}
