//! The side of [`Meters`] that a member of a ledger uses.

use std::{
    num::NonZeroU32,
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    Cost, Meters,
    lease::{Applied, LimitKind},
    meters::Shared,
};
use crate::ledger::{ChangeListener, Lease, LimitKey, Report};

/// Meters without ownership: they may be dropped.
#[derive(Clone, Debug)]
pub(crate) struct WeakMeters(Weak<Shared>);

impl WeakMeters {
    pub(crate) fn upgrade(&self) -> Option<Meters> {
        self.0.upgrade().map(Meters::of)
    }

    /// Returns true if both are the same meters.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Weak::ptr_eq(&self.0, &other.0)
    }
}

impl Meters {
    pub(crate) fn downgrade(&self) -> WeakMeters {
        WeakMeters(Arc::downgrade(self.shared()))
    }

    /// Begins to share the limits among `replicas`. No call is admitted before the first response of the ledger, or the
    /// first failure. The listener is notified of demand, and of server holds.
    pub(crate) fn share_among(&self, replicas: u64, listener: Weak<dyn ChangeListener>) {
        self.shared().changed.set(listener);
        self.change(|state, _| state.share_among(replicas.max(1)));
    }

    /// Returns the reports of the limits of the endpoint `key` that have changed since their last reports, or of all.
    pub(crate) fn reports(&self, key: &LimitKey, all: bool) -> Vec<(LimitKind, Report)> {
        let now = self.now();
        let mut state = self.state();
        // A response may have reported a limit that was not known before.
        state.share_again();
        let report = |kind| Some((kind, state.report((kind, key), !all, now)?));
        LimitKind::ALL.into_iter().filter_map(report).collect()
    }

    /// Applies the response to the report of a limit.
    pub(crate) fn apply_lease(&self, kind: LimitKind, lease: &Lease) -> Applied {
        self.change(|state, now| state.apply_lease(kind, lease, now))
    }

    /// Records that a sync has failed. `isolated` is the number of replicas if the lease may have expired.
    pub(crate) fn ledger_lost(&self, isolated: Option<NonZeroU32>) {
        self.change(|state, _| state.change_leases(|lease| lease.lost(isolated)));
    }

    /// Records that the ledger responds again.
    pub(crate) fn ledger_found(&self) {
        self.change(|state, _| state.change_leases(super::lease::LeaseState::found));
    }

    /// Gives up all permits.
    pub(crate) fn give_up(&self) {
        self.change(|state, _| state.change_leases(super::lease::LeaseState::stop));
    }

    /// Returns the time at which permits that are free and not wanted here go back; `None` if no replica waits for any.
    pub(crate) fn return_at(&self) -> Option<Instant> {
        let now = self.now();
        let mut state = self.state();
        let at = LimitKind::ALL.into_iter().filter_map(|kind| state.return_at(kind, now)).min();
        drop(state);
        at.map(|at| self.instant(at))
    }

    /// Gives back permits that are free and not wanted here.
    pub(crate) fn give_back(&self) {
        self.change(|state, now| LimitKind::ALL.into_iter().for_each(|kind| state.give_back(kind, now)));
    }

    /// Returns the end of the server hold, if that has not passed.
    pub(crate) fn server_hold(&self) -> Option<Instant> {
        let now = self.now();
        self.state().held_until(now).map(|until| self.instant(until))
    }

    /// Applies a server hold that another replica has received.
    pub(crate) fn hold(&self, remaining: Duration) {
        self.change(|state, now| state.hold(remaining, now));
    }

    /// Begins a call, if there is capacity.
    #[cfg(test)]
    pub(crate) fn begin(&self, cost: u64) -> Option<super::QuotaGuard> {
        self.reserve(cost, Instant::now()).ok().and_then(super::reservation::Reservation::spend)
    }

    /// Records a call that found no capacity on arrival. Its cost is asked for only if the limits are shared.
    pub(crate) fn record_unmet<T: Into<Cost>>(&self, cost: impl FnOnce() -> T) {
        if self.shared().changed.is_set() {
            let (cost, now) = (cost().into().total(), self.now());
            self.state().record_unmet(cost, now);
            self.shared().changed.notify();
        }
    }
}
