//! Handles that are notified of the outcome of a response: [`OutcomeHandle`].

use std::{fmt, sync::Arc};

use tokio::sync::OwnedSemaphorePermit;
use tollgate_layers::{OnComplete, Outcome, balance::InFlight, cooldown::HealthGuard, quota::QuotaGuard};

use super::ClientCharge;
use crate::{
    metrics::{BodyStats, RequestMetrics, ResponseHead},
    record::AttemptHandle,
};

/// A handle that is notified of an attempt's outcome, or dropped when the attempt is cancelled. An enum, so that
/// attaching a handle does not allocate.
pub(crate) enum OutcomeHandle {
    /// The balancer's: the call in flight, and its latency.
    Balance(InFlight),
    /// The quota's: the reservation.
    Quota(QuotaGuard),
    /// The cooldown's: the health of the deployment.
    Cooldown(HealthGuard),
    /// A metric: the requests in flight in its scope.
    Count(RequestMetrics),
    /// The record's: the end of the attempt.
    Attempt(AttemptHandle),
    /// The charge of a client key and of the gateway's budget. Boxed, because it is rare and larger than the others.
    Client(Box<ClientCharge>),
    /// A callback, for example a late failure's log line.
    Callback(OutcomeCallback),
    /// A permit of admission control, released whatever the outcome is.
    Permit(OwnedSemaphorePermit),
}

impl OutcomeHandle {
    /// Notifies the handle of a stream's response, which came after the head: see [`RequestMetrics::head`].
    pub(super) fn head(&mut self, head: ResponseHead) {
        if let Self::Count(count) = self {
            count.head(head);
        }
    }

    /// Notifies the handle of the outcome.
    pub(super) fn complete(self, outcome: &Outcome, stats: BodyStats) {
        match self {
            Self::Balance(flight) => flight.complete(outcome),
            Self::Quota(held) => held.complete(outcome),
            Self::Cooldown(watch) => watch.complete(outcome),
            Self::Count(count) => count.complete(outcome, stats),
            Self::Attempt(attempt) => attempt.complete(outcome, stats),
            Self::Client(charge) => (*charge).complete(outcome),
            Self::Callback(listener) => listener.complete(outcome),
            Self::Permit(permit) => drop(permit),
        }
    }
}

impl fmt::Debug for OutcomeHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Balance(_) => "Balance",
            Self::Quota(_) => "Quota",
            Self::Cooldown(_) => "Cooldown",
            Self::Count(_) => "Count",
            Self::Attempt(_) => "Attempt",
            Self::Client(_) => "Client",
            Self::Callback(_) => "Callback",
            Self::Permit(_) => "Permit",
        })
    }
}

macro_rules! from {
    ($($inner:ty => $variant:ident),*) => {$(
        impl From<$inner> for OutcomeHandle {
            fn from(inner: $inner) -> Self {
                Self::$variant(inner)
            }
        }
    )*};
}

from!(InFlight => Balance, QuotaGuard => Quota, HealthGuard => Cooldown, RequestMetrics => Count, AttemptHandle => Attempt, Box<ClientCharge> => Client, OutcomeCallback => Callback, OwnedSemaphorePermit => Permit);

/// The function of an [`OutcomeCallback`]. Its argument is the outcome, or `None` if the response was cancelled.
///
/// Made once, when the tree is built; a clone for each request increments a reference count.
pub(crate) type OutcomeFn = Arc<dyn Fn(Option<&Outcome>) + Send + Sync>;

/// A function that is called exactly once with the outcome of one response.
pub(crate) struct OutcomeCallback {
    callback: Option<OutcomeFn>,
}

impl OutcomeCallback {
    /// Makes a handle that calls `callback`.
    pub(crate) const fn new(callback: OutcomeFn) -> Self {
        Self { callback: Some(callback) }
    }
}

impl OnComplete for OutcomeCallback {
    fn complete(mut self, outcome: &Outcome) {
        if let Some(callback) = self.callback.take() {
            callback(Some(outcome));
        }
    }
}

impl Drop for OutcomeCallback {
    fn drop(&mut self) {
        if let Some(callback) = self.callback.take() {
            callback(None);
        }
    }
}

impl fmt::Debug for OutcomeCallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OutcomeCallback")
    }
}

/// The handles of one active response. A response that is held whole before it is returned never has any.
#[derive(Debug, Default)]
pub(super) struct Handles(Vec<OutcomeHandle>);

impl Handles {
    /// The usual number of handles: one attempt attaches four, the tree above it three.
    const COMMONLY: usize = 7;

    pub(super) fn add(&mut self, handle: OutcomeHandle) {
        if self.0.is_empty() {
            self.0.reserve_exact(Self::COMMONLY);
        }
        self.0.push(handle);
    }

    /// Removes and returns all handles, the innermost first.
    pub(super) fn take(&mut self) -> Vec<OutcomeHandle> {
        std::mem::take(&mut self.0)
    }

    /// Notifies all handles, the innermost first.
    pub(super) fn complete(&mut self, outcome: &Outcome, stats: BodyStats) {
        self.take().into_iter().for_each(|handle| handle.complete(outcome, stats));
    }
}
