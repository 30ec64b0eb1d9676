//! The side of [`EndpointHealth`] that a member of a ledger uses.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::time::Instant;

use super::{EndpointHealth, health::Shared};
use crate::ledger::ChangeListener;

/// A health without ownership: it may be dropped.
#[derive(Clone, Debug)]
pub(crate) struct WeakHealth(Weak<Shared>);

impl WeakHealth {
    pub(crate) fn upgrade(&self) -> Option<EndpointHealth> {
        self.0.upgrade().map(EndpointHealth::of)
    }
}

impl EndpointHealth {
    pub(crate) fn downgrade(&self) -> WeakHealth {
        WeakHealth(Arc::downgrade(self.shared()))
    }

    /// Sets the listener that is notified when a cooldown begins, is renewed or ends, and of its probe.
    pub(crate) fn on_change(&self, listener: Weak<dyn ChangeListener>) {
        self.shared().changed.set(listener);
    }

    /// Returns the end of the cooldown, which may be in the past, and the number of times that the next one is doubled.
    /// `None` if the endpoint is healthy.
    pub(crate) fn cooldown(&self) -> Option<(Instant, u32)> {
        self.with(Instant::now(), |inner| Some((inner.breaker.until()?, inner.breaker.doublings())))
    }

    /// Returns true if the probe after a cooldown is in flight.
    pub(crate) fn is_probed(&self) -> bool {
        self.with(Instant::now(), |inner| inner.breaker.cooldown().is_some_and(|(_, is_probed)| is_probed))
    }

    /// Begins a cooldown that has begun at another replica.
    pub(crate) fn cool_down_with_others(&self, length: Duration, doublings: u32) {
        let now = Instant::now();
        self.with(now, |inner| {
            if !inner.config.is_off() {
                inner.breaker.cool_down_with_others(length, doublings, now);
            }
        });
    }

    /// Ends the cooldown that has ended at another replica.
    pub(crate) fn recover_with_others(&self) {
        let now = Instant::now();
        self.with(now, |inner| inner.breaker.revive(now));
    }

    /// Returns the successes and failures that other replicas should count too, since the last call.
    pub(crate) fn outcomes_to_share(&self) -> [u32; 2] {
        let now = Instant::now();
        self.with(now, |inner| inner.breaker.outcomes_to_share(now))
    }

    /// Counts the successes and failures at another replica.
    pub(crate) fn count_others(&self, counts: [u32; 2]) {
        let now = Instant::now();
        self.with(now, |inner| inner.breaker.count_others(counts, now));
    }
}
