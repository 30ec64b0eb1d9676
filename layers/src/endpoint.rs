//! What a balancer asks of the services it balances over: [`Endpoint`].
//!
//! `tower::Service` cannot say how much room a backend has for *this* request, nor hold that room between the
//! choice and the call. `Endpoint` adds both, and nothing else. [`Quota`](crate::quota::Quota) is the innermost
//! one; [`Cooldown`](crate::cooldown::Cooldown) decorates any other.

use std::sync::Weak;

use tokio::time::Instant;
use tower_service::Service;

/// A service that knows its own room.
///
/// The protocol: many are asked for their [`score`](Endpoint::score); a clone of the chosen one
/// [`reserve`](Endpoint::reserve)s; that same clone is polled ready and called. What was reserved is kept in the
/// clone, spent by `call`, and given back when the clone is dropped uncalled, as tower's `ConcurrencyLimit` does
/// with its permit. After a successful `reserve`, `call` never refuses.
pub trait Endpoint<Req>: Service<Req> + Clone {
    /// Whether there is room for this request now, and how well this endpoint is. Only reads; what it says may be
    /// a moment old. `now` is passed because many are asked at one time, and a clock is dear.
    ///
    /// # Errors
    /// [`NoCapacity`], when there is no room: from when there may be.
    fn score(&self, req: &Req, now: Instant) -> Result<Score, NoCapacity>;

    /// Takes all that the call needs, for this clone. `seen` is the score that the choice was made on.
    ///
    /// # Errors
    /// [`NoCapacity`], when the room has gone since it was asked for; nothing is held then.
    fn reserve(&mut self, req: &Req, seen: &Score, now: Instant) -> Result<(), NoCapacity>;

    /// What share of the group's work this endpoint is meant to have. Constant for the life of the endpoint.
    fn share(&self) -> EndpointWeight;

    /// Returns how many calls like this one could begin until `horizon.by`, if each began as early as it may. Only reads.
    ///
    /// By default it is one, from the time that [`score`](Endpoint::score) gives.
    fn slots(&self, req: &Req, horizon: Horizon) -> u64 {
        match self.score(req, horizon.now) {
            Ok(_) => 1,
            Err(until) => u64::from(until.at <= horizon.by),
        }
    }

    /// Has `listener` notified whenever there may be room, or the endpoint may be healthy, earlier than was said last.
    /// A decorator passes it on.
    fn subscribe(&self, listener: &Weak<dyn CapacityListener>) {
        let _ = listener;
    }
}

/// A time ahead, for which calls are counted that could begin until then.
#[derive(Clone, Copy, Debug)]
pub struct Horizon {
    /// The present. It is passed because many are asked at one time, and a clock is dear.
    pub now: Instant,
    /// The end of the time ahead.
    pub by: Instant,
    /// The calls that count.
    pub confidence: Confidence,
}

impl Horizon {
    /// Returns the horizon of the calls that are expected to begin from `now` until `by`.
    #[must_use]
    pub const fn likely(now: Instant, by: Instant) -> Self {
        Self { now, by, confidence: Confidence::Likely }
    }

    /// Returns the horizon of the calls that surely can begin from `now` until `by`.
    #[must_use]
    pub const fn certain(now: Instant, by: Instant) -> Self {
        Self { now, by, confidence: Confidence::Certain }
    }
}

/// How sure it must be that a call can begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confidence {
    /// It is to be expected. By this it is decided whether a request waits.
    Likely,
    /// It is sure, as far as anybody knows: where it is about to be seen whether the backend bears more than it did, a
    /// refusal may come between. By this a caller is given a time to come back.
    Certain,
}

/// Learns that an endpoint may have capacity, or be healthy, earlier than it had said.
pub trait CapacityListener: Send + Sync {
    /// Notifies it. Must neither block nor call the endpoint.
    fn capacity_freed(&self);
}

/// What an endpoint says about itself at the moment of choice.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// Its health.
    pub health: Health,
    /// What the call will cost, in the unit of the tightest limit (tokens where known, else 1 per request).
    pub cost: f64,
    /// How much of its rate limit is used, 0.0 to 1.0; for strategies that go by usage.
    pub used: f64,
}

/// An endpoint's health. The order is the order of preference.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub enum Health {
    /// Well. The number is the part of its weight it may carry, above 0 and up to 1.0: less than 1 during the slow start after a
    /// bench.
    Healthy(f64),
    /// Its bench is over, and one call may find out whether it is well again. Taken by `reserve`, which fails for a
    /// second one.
    HalfOpen,
    /// Benched for its health until then. Health never closes a group: it is called all the same when all others
    /// are benched too.
    CoolingDown(Instant),
}

/// There is no room before that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoCapacity {
    /// The earliest time at which there may be room. For calls in flight, which end when they like, an estimate.
    pub at: Instant,
    /// Why there is none.
    pub why: NoCapacityReason,
}

/// Why an endpoint has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoCapacityReason {
    /// Its rate limit is reached, for any call.
    RateLimit,
    /// Its limit of what calls cost is reached, for one as dear as this; a cheaper one may have room before.
    Cost,
    /// As many calls are in flight as it may have; freed at a time that nobody knows.
    InFlight,
    /// The backend said so.
    ServerHold,
    /// The one probe after a bench is under way.
    Probing,
}

/// How an endpoint is weighed against the others of its group.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EndpointWeight {
    /// The weight that was given to it.
    pub weight: Option<f64>,
    /// Its limit of requests per minute.
    pub rpm: Option<f64>,
    /// Its limit of tokens per minute.
    pub tpm: Option<f64>,
    /// Its tier: the lowest one with room is used alone. Without one it stands behind those that have one.
    pub order: Option<i64>,
    /// What a unit of work costs there, for a strategy that goes by cost.
    pub price: Option<f64>,
}
