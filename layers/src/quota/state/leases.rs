//! The leases of the limits of one endpoint: how [`MeterState`] shares them.

use super::{InFlightCalls, MeterState};
use crate::{
    ledger::{AGES, Lease, LimitKey, Report},
    quota::lease::{Applied, LINGER, LeaseState, LimitKind, Usage},
};

impl MeterState {
    /// Begins to share all limits that are known now. Those that are shared already stay so.
    pub(in crate::quota) fn share_among(&mut self, replicas: u64) {
        self.replicas = replicas;
        if let Some(requests) = self.requests.as_mut().filter(|requests| requests.minute.lease.is_none()) {
            requests.share_among(replicas);
        }
        if let Some(tokens) = self.tokens.as_mut().filter(|tokens| tokens.minute.lease.is_none()) {
            tokens.minute.lease = Some(Box::new(LeaseState::new(tokens.minute.limit / replicas)));
            tokens.minute.enforce();
        }
        let limit = self.limits.in_flight.filter(|_| self.in_flight.lease.is_none());
        if let Some(limit) = limit {
            self.in_flight.lease = Some(Box::new(LeaseState::new(u64::from(limit) / replicas)));
        }
        self.enforce(LimitKind::InFlight);
    }

    /// Records the permits that a call lacks, which expects capacity at `at`. Returns the time at which it should check
    /// again; `None` if it lacks no leased permits.
    pub(super) fn lacks(&mut self, estimate: u64, at: u64, now: u64) -> Option<u64> {
        if self.replicas == 0 {
            return None;
        }
        let mut again = None;
        for kind in LimitKind::ALL {
            let cost = self.cost_of(kind, estimate, now);
            let used = self.used_of(kind, now);
            let Some(lease) = self.lease(kind) else { continue };
            if used.saturating_add(cost) > lease.permits() {
                again = again.max(Some(lease.lacks(cost, at, now)));
            }
        }
        again.map(|again| again.max(self.server_hold.firm_until()))
    }

    /// Begins to share limits that were not known before.
    pub(in crate::quota) fn share_again(&mut self) {
        if self.replicas > 0 {
            self.share_among(self.replicas);
        }
    }

    /// Records that a call with this cost is admitted.
    pub(super) fn took(&mut self, cost: u64) {
        for kind in LimitKind::ALL {
            let cost = if kind == LimitKind::Tokens { cost } else { 1 };
            self.lease(kind).into_iter().for_each(|lease| lease.took(cost));
        }
    }

    /// Records a call that found no capacity on arrival.
    pub(in crate::quota) fn record_unmet(&mut self, estimate: u64, now: u64) {
        for kind in LimitKind::ALL {
            let cost = self.cost_of(kind, estimate, now);
            let Some(usage) = self.usage(kind, now) else { continue };
            let Some(lease) = self.lease(kind) else { continue };
            if usage.used.saturating_add(cost) > lease.permits() {
                lease.record_unmet(cost, (usage.window, now));
            }
        }
    }

    /// Returns the report of a limit of an endpoint; `None` if it is not shared. If it must `have_changed`, only then.
    pub(in crate::quota) fn report(
        &mut self,
        (kind, endpoint): (LimitKind, &LimitKey),
        have_changed: bool,
        now: u64,
    ) -> Option<Report> {
        self.lease(kind)?;
        let usage = self.usage(kind, now)?;
        let lease = self.lease(kind)?;
        let is_due = !have_changed || lease.has_changed(&usage, now);
        is_due.then(|| lease.report(kind.key(endpoint), &usage, now))
    }

    /// Applies the response to the report of a limit.
    pub(in crate::quota) fn apply_lease(&mut self, kind: LimitKind, lease: &Lease, now: u64) -> Applied {
        let used = self.used_of(kind, now);
        let applied = match (kind, &mut self.requests) {
            (LimitKind::Requests, Some(requests)) => requests.apply_lease(lease, now),
            _ => self.lease(kind).map_or_else(Applied::default, |state| state.apply(lease, used, now)),
        };
        self.enforce(kind);
        self.freed |= applied.grown;
        applied
    }

    /// Changes all leases.
    pub(in crate::quota) fn change_leases(&mut self, change: impl Fn(&mut LeaseState)) {
        for kind in LimitKind::ALL {
            let Some(lease) = self.lease(kind) else { continue };
            change(lease);
            self.enforce(kind);
        }
        self.freed = true;
    }

    /// Returns the time at which idle permits go back.
    pub(in crate::quota) fn return_at(&mut self, kind: LimitKind, now: u64) -> Option<u64> {
        let (used, next) = (self.used_of(kind, now), self.next_free(kind, now));
        self.lease(kind)?.return_at(used, next, now)
    }

    /// Gives back idle permits.
    pub(in crate::quota) fn give_back(&mut self, kind: LimitKind, now: u64) {
        let used = self.used_of(kind, now);
        if self.lease(kind).is_some_and(|lease| lease.give_back(used, now)) {
            self.enforce(kind);
        }
    }

    pub(in crate::quota) fn lease(&mut self, kind: LimitKind) -> Option<&mut LeaseState> {
        match kind {
            LimitKind::Requests => self.requests.as_mut()?.minute.lease.as_deref_mut(),
            LimitKind::Tokens => self.tokens.as_mut()?.minute.lease.as_deref_mut(),
            LimitKind::InFlight => self.in_flight.lease.as_deref_mut(),
        }
    }

    /// Makes the meter of a limit admit as many calls as its lease does.
    pub(super) fn enforce(&mut self, kind: LimitKind) {
        match kind {
            LimitKind::Requests => self.requests.iter_mut().for_each(|requests| requests.enforce()),
            LimitKind::Tokens => self.tokens.iter_mut().for_each(|tokens| tokens.minute.enforce()),
            LimitKind::InFlight => self.in_flight.set_limit(self.limits.in_flight),
        }
    }

    fn cost_of(&self, kind: LimitKind, estimate: u64, now: u64) -> u64 {
        match kind {
            LimitKind::Requests | LimitKind::InFlight => 1,
            LimitKind::Tokens => self.expected_cost(estimate, now),
        }
    }

    fn used_of(&mut self, kind: LimitKind, now: u64) -> u64 {
        match kind {
            LimitKind::Requests => self.requests.as_mut().map_or(0, |requests| requests.leased_used(now)),
            LimitKind::Tokens => self.tokens.as_mut().map_or(0, |tokens| tokens.used(now)),
            LimitKind::InFlight => self.in_flight.now.into(),
        }
    }

    fn usage(&mut self, kind: LimitKind, now: u64) -> Option<Usage> {
        match kind {
            LimitKind::Requests => self.requests.as_mut().map(|requests| requests.usage(now)),
            LimitKind::Tokens => self.tokens.as_mut().map(|tokens| tokens.usage(now)),
            LimitKind::InFlight => {
                let used = self.in_flight.now.into();
                let limit = self.limits.in_flight?.into();
                Some(Usage { limit, window: 0, wider: None, used, ages: [0; AGES] })
            }
        }
    }

    /// Returns the time at which the next permit in use comes free: for calls in flight, the time to look again.
    fn next_free(&mut self, kind: LimitKind, now: u64) -> Option<u64> {
        match kind {
            LimitKind::Requests => self.requests.as_ref()?.next_free(),
            LimitKind::Tokens => self.tokens.as_ref()?.minute.charges.freed_at(1),
            LimitKind::InFlight => Some(now + LINGER),
        }
    }
}

impl InFlightCalls {
    /// Sets the limit, of which a lease allows a part.
    pub(super) fn set_limit(&mut self, limit: Option<u32>) {
        let permits = self.lease.as_ref().map_or(u64::MAX, |lease| lease.permits());
        self.limit = limit.map(|limit| limit.min(u32::try_from(permits).unwrap_or(u32::MAX)));
    }
}
