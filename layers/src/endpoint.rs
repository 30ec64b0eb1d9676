//! The trait of the services that a balancer chooses from: [`Endpoint`].
//!
//! A `tower::Service` can neither report the capacity of a backend for *this* request, nor reserve that capacity between
//! the choice and the call. `Endpoint` adds both, and nothing else. [`Quota`](crate::quota::Quota) is the innermost
//! endpoint; [`Cooldown`](crate::cooldown::Cooldown) wraps any other endpoint.

use std::{
    sync::Weak,
    task::{Context, Poll},
};

use tokio::time::Instant;
use tower_service::Service;

/// A service that reports its own capacity.
///
/// The protocol: the balancer calls [`score`](Endpoint::score) on many endpoints, calls [`reserve`](Endpoint::reserve) on
/// a clone of the one that it chooses, then polls that same clone ready and calls it. The clone keeps the reservation:
/// `call` uses it up, and a clone that is dropped without a call releases it, as tower's `ConcurrencyLimit` does with its
/// permit. After a successful `reserve`, `call` never refuses for lack of capacity.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an `Endpoint` for requests of type `{Req}`",
    label = "a balancer cannot ask this service for its capacity",
    note = "for plain services use `RateLimitBalanceLayer::services(..)`, or wrap each in `endpoint::Unlimited`; `QuotaLayer` makes an endpoint with limits",
    note = "an endpoint is a `Service<{Req}>` that is `Clone`"
)]
pub trait Endpoint<Req>: Service<Req> + Clone {
    /// Returns the health, cost and usage of this endpoint for this request.
    ///
    /// Changes nothing, and may be slightly out of date. `now` is an argument because a balancer calls this on many
    /// endpoints at one time, and reading the clock is expensive.
    ///
    /// # Errors
    /// [`NoCapacity`] if the endpoint has no capacity for this request now.
    fn score(&self, req: &Req, now: Instant) -> Result<Score, NoCapacity>;

    /// Reserves all that the call needs, for this clone. `seen` is the score that the choice was based on.
    ///
    /// # Errors
    /// [`NoCapacity`] if the capacity was taken since the score was read. Nothing is reserved then.
    fn reserve(&mut self, req: &Req, seen: &Score, now: Instant) -> Result<(), NoCapacity>;

    /// Returns the weight of this endpoint in its group. Constant for the lifetime of the endpoint.
    fn weight(&self) -> EndpointWeight;

    /// Returns the number of calls like this one that could start by `horizon.by`, if each started as early as possible.
    ///
    /// Changes nothing. The default implementation returns one from the time on at which [`score`](Endpoint::score)
    /// expects capacity, and zero before.
    fn slots(&self, req: &Req, horizon: Horizon) -> u64 {
        match self.score(req, horizon.now) {
            Ok(_) => 1,
            Err(full) => u64::from(full.until <= horizon.by),
        }
    }

    /// Records a request that found no endpoint with capacity on arrival.
    ///
    /// A quota that shares its limits with other processes asks for more of them. A wrapper forwards this to its inner
    /// endpoint. The default implementation does nothing.
    fn record_unmet(&self, req: &Req) {
        let _ = req;
    }

    /// Subscribes `listener` to capacity, or health, that returns earlier than this endpoint last reported.
    ///
    /// The endpoint must not notify the listener from within `score`, which may run under a lock of the listener.
    /// A wrapper forwards the subscription to its inner endpoint. The default implementation never notifies.
    fn subscribe(&self, listener: &Weak<dyn CapacityListener>) {
        let _ = listener;
    }
}

/// A period of time in which calls that could start are counted, from now on.
#[derive(Clone, Copy, Debug)]
pub struct Horizon {
    /// The present time. Passed along because reading the clock once for each endpoint is expensive.
    pub now: Instant,
    /// The end of the period.
    pub by: Instant,
    /// The certainty with which a call must be able to start to be counted.
    pub confidence: Confidence,
}

impl Horizon {
    /// Returns a horizon that counts the calls expected to start from `now` until `by`.
    #[must_use]
    pub const fn likely(now: Instant, by: Instant) -> Self {
        Self { now, by, confidence: Confidence::Likely }
    }

    /// Returns a horizon that counts the calls certain to be able to start from `now` until `by`.
    #[must_use]
    pub const fn certain(now: Instant, by: Instant) -> Self {
        Self { now, by, confidence: Confidence::Certain }
    }
}

/// The certainty with which a call can start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confidence {
    /// The call is expected to start. The balancer lets a request wait on this.
    Likely,
    /// The call can start even if the backend refuses a call meanwhile: a quota that is about to find out if its backend
    /// accepts more than before expects such a refusal. The balancer computes `retry_after` from this.
    Certain,
}

/// Receives a notification when an endpoint may have capacity, or be healthy, earlier than it last reported.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be notified of capacity: it does not implement `CapacityListener`",
    label = "not a listener",
    note = "implement `CapacityListener` for it; it must be `Send` and `Sync`"
)]
pub trait CapacityListener: Send + Sync {
    /// Handles the notification. Must neither block nor call the endpoint.
    fn capacity_freed(&self);
}

/// The state of an endpoint with capacity, as reported to the balancer when it chooses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// The health of the endpoint.
    pub health: Health,
    /// The cost of the call, in the unit of the tightest limit (tokens where known, else 1 per request).
    pub cost: f64,
    /// The part of the rate limit that is in use, from 0.0 to 1.0; for strategies that choose by usage.
    pub used: f64,
}

/// The health of an endpoint. The variants are in the order of preference.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub enum Health {
    /// Healthy. The number is the part of the weight that applies, above 0.0 and up to 1.0: below 1.0 during the slow start
    /// after a cooldown.
    Healthy(f64),
    /// The cooldown is over, and one call, the probe, may find out if the endpoint is healthy again. `reserve` takes the
    /// probe, and fails for a second call.
    HalfOpen,
    /// Cooling down until this time, or held by its server for longer than is credible. Health never closes a group: when
    /// all endpoints are cooling down, the balancer calls one of them nevertheless.
    CoolingDown(Instant),
}

/// The refusal of an endpoint without capacity for a request: the earliest time for the next attempt, and the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoCapacity {
    /// The earliest time at which there may be capacity. An estimate where that depends on the end of calls in flight.
    pub until: Instant,
    /// The limit that is reached.
    pub reason: NoCapacityReason,
}

/// The reason for which an endpoint has no capacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoCapacityReason {
    /// The rate limit is reached, for any call.
    RateLimit,
    /// The limit of the cost of calls is reached for a call as expensive as this one; a cheaper call may have capacity
    /// earlier.
    Cost,
    /// The limit of calls in flight is reached. The time at which one ends is not known.
    InFlight,
    /// The backend has closed the endpoint until a time, for example with a Retry-After header.
    ServerHold,
    /// The single probe after a cooldown is in flight.
    Probing,
    /// An operator has drained the endpoint. The time at which that ends is not known.
    Drained,
}

/// The weight, limits, order and price of an endpoint, by which a balancer distributes work over a group.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EndpointWeight {
    /// The configured weight.
    pub weight: Option<f64>,
    /// The limit of requests per minute.
    pub rpm: Option<f64>,
    /// The limit of tokens per minute.
    pub tpm: Option<f64>,
    /// The tier. Only the lowest tier with capacity is used. Endpoints without an order form the last tier.
    pub order: Option<i64>,
    /// The price of a unit of work, for strategies that choose by cost.
    pub price: Option<f64>,
}

/// An endpoint without a limit: makes an [`Endpoint`] of any service. Its weight is set by [`Unlimited::with_weight`].
#[derive(Clone, Copy, Debug)]
pub struct Unlimited<S> {
    inner: S,
    weight: EndpointWeight,
}

impl<S> Unlimited<S> {
    /// Wraps a service. It has the same weight as the others of its group.
    pub fn new(inner: S) -> Self {
        Self { inner, weight: EndpointWeight::default() }
    }

    /// Sets the weight of the service in its group.
    #[must_use]
    pub fn with_weight(mut self, weight: EndpointWeight) -> Self {
        self.weight = weight;
        self
    }

    inner_accessors!(mut);
}

impl<S, Req> Service<Req> for Unlimited<S>
where
    S: Service<Req>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, req: Req) -> S::Future {
        self.inner.call(req)
    }
}

impl<S, Req> Endpoint<Req> for Unlimited<S>
where
    S: Service<Req> + Clone,
{
    fn score(&self, _: &Req, _: Instant) -> Result<Score, NoCapacity> {
        Ok(Score { health: Health::Healthy(1.0), cost: 1.0, used: 0.0 })
    }

    fn reserve(&mut self, _: &Req, _: &Score, _: Instant) -> Result<(), NoCapacity> {
        Ok(())
    }

    fn weight(&self) -> EndpointWeight {
        self.weight
    }

    fn slots(&self, _: &Req, _: Horizon) -> u64 {
        u64::MAX
    }
}

/// An endpoint with scores that a function changes: a strategy of the application's own.
///
/// The function gets the request and the score of the inner endpoint. With
/// [`Strategy::UsageBased`](crate::balance::Strategy::UsageBased) and a limit in its weight, the endpoint with the lowest
/// [`Score::used`] is picked; with any strategy, [`Score::health`] decides first.
#[derive(Clone, Copy, Debug)]
pub struct MapScore<S, F> {
    inner: S,
    map: F,
}

impl<S, F> MapScore<S, F> {
    /// Wraps an endpoint; `map` is a function `Fn(&Req, Score) -> Score`.
    pub const fn new(inner: S, map: F) -> Self {
        Self { inner, map }
    }

    inner_accessors!(mut);
}

impl<S, F, Req> Service<Req> for MapScore<S, F>
where
    S: Service<Req>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, req: Req) -> S::Future {
        self.inner.call(req)
    }
}

impl<S, F, Req> Endpoint<Req> for MapScore<S, F>
where
    S: Endpoint<Req>,
    F: Fn(&Req, Score) -> Score + Clone,
{
    fn score(&self, req: &Req, now: Instant) -> Result<Score, NoCapacity> {
        self.inner.score(req, now).map(|score| (self.map)(req, score))
    }

    fn reserve(&mut self, req: &Req, score: &Score, now: Instant) -> Result<(), NoCapacity> {
        self.inner.reserve(req, score, now)
    }

    fn weight(&self) -> EndpointWeight {
        self.inner.weight()
    }

    fn slots(&self, req: &Req, horizon: Horizon) -> u64 {
        self.inner.slots(req, horizon)
    }

    fn record_unmet(&self, req: &Req) {
        self.inner.record_unmet(req);
    }

    fn subscribe(&self, listener: &Weak<dyn CapacityListener>) {
        self.inner.subscribe(listener);
    }
}
