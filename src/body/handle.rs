//! Who hears the end of an answer: [`OutcomeHandle`].

use std::{fmt, sync::Arc};

use tokio::sync::OwnedSemaphorePermit;
use tollgate_layers::{OnComplete, Outcome, balance::InFlight, cooldown::HealthGuard, quota::QuotaGuard};

use crate::metrics::RequestMetrics;

/// One who hears how an attempt ended, or that it was cancelled: an enum, so that fastening one boxes nothing.
pub(crate) enum OutcomeHandle {
    /// The balancer's: work in flight, and how fast it was.
    Balance(InFlight),
    /// The quota's: what was reserved.
    Quota(QuotaGuard),
    /// The cooldown's: whether the deployment is well.
    Cooldown(HealthGuard),
    /// A meter's: one of its scope is under way.
    Count(RequestMetrics),
    /// Any other: an embedder's own log.
    Callback(OutcomeCallback),
    /// A place at the front door: given back, whatever the end.
    Permit(OwnedSemaphorePermit),
}

impl OnComplete for OutcomeHandle {
    fn complete(self, outcome: &Outcome) {
        match self {
            Self::Balance(flight) => flight.complete(outcome),
            Self::Quota(held) => held.complete(outcome),
            Self::Cooldown(watch) => watch.complete(outcome),
            Self::Count(count) => count.complete(outcome),
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

from!(InFlight => Balance, QuotaGuard => Quota, HealthGuard => Cooldown, RequestMetrics => Count, OutcomeCallback => Callback, OwnedSemaphorePermit => Permit);

/// What a [`OutcomeCallback`] tells: how it ended, or `None` when it did not end but was cancelled.
///
/// Made once, when the tree is built; a clone for each request is a count.
pub(crate) type OutcomeFn = Arc<dyn Fn(Option<&Outcome>) + Send + Sync>;

/// A function that hears the end of one answer, exactly once.
pub(crate) struct OutcomeCallback {
    hear: Option<OutcomeFn>,
}

impl OutcomeCallback {
    /// Will tell `hear`.
    pub(crate) const fn new(hear: OutcomeFn) -> Self {
        Self { hear: Some(hear) }
    }
}

impl OnComplete for OutcomeCallback {
    fn complete(mut self, outcome: &Outcome) {
        if let Some(hear) = self.hear.take() {
            hear(Some(outcome));
        }
    }
}

impl Drop for OutcomeCallback {
    fn drop(&mut self) {
        if let Some(hear) = self.hear.take() {
            hear(None);
        }
    }
}

impl fmt::Debug for OutcomeCallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OutcomeCallback")
    }
}

/// The handles of one answer under way; one that is held whole before it goes on never has any.
#[derive(Debug, Default)]
pub(super) struct Handles(Vec<OutcomeHandle>);

impl Handles {
    /// One attempt fastens four, the tree above it three.
    const COMMONLY: usize = 7;

    pub(super) fn add(&mut self, handle: OutcomeHandle) {
        if self.0.is_empty() {
            self.0.reserve_exact(Self::COMMONLY);
        }
        self.0.push(handle);
    }

    /// Tells all of them, the innermost first.
    pub(super) fn complete(&mut self, outcome: &Outcome) {
        std::mem::take(&mut self.0).into_iter().for_each(|handle| handle.complete(outcome));
    }
}
