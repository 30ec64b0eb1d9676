//! The lease of a limit of requests: that of the narrowest rule in force.

use super::{RequestMeter, Rule, as_f64, bucket, share};
use crate::{
    ledger::Lease,
    quota::{
        lease::{Applied, LeaseState, Usage},
        limits::RateWindow,
        sliding_window::SlidingWindow,
    },
};

impl RequestMeter {
    /// Begins to share the limit.
    pub(in crate::quota) fn share_among(&mut self, replicas: u64) {
        let (limit, _) = self.shared_limit();
        self.minute.lease = Some(Box::new(LeaseState::new(limit / replicas)));
        self.enforce();
    }

    /// Sets the permits of each rule after a change of the limit, of the rule, or of the lease.
    pub(in crate::quota) fn enforce(&mut self) {
        let (limit, window) = (self.minute.limit, self.leased_window());
        let leased = self.minute.lease.as_ref().map_or(u64::MAX, |lease| lease.permits());
        self.minute.permits = if window.is_none() { leased.min(limit) } else { limit };
        if let Rule::Window { window: own, permits, .. } = &mut self.rule {
            let most = share(limit, *own);
            *permits = if window.is_some() { leased.min(most) } else { most };
        }
        self.full = bucket(limit);
        if self.minute.permits < limit {
            // The replicas together may burst as one process alone, or one request each.
            self.full = (self.full * as_f64(self.minute.permits) / as_f64(limit)).max(1.0);
        }
        self.level = self.level.min(self.full);
        self.next_refresh = 0;
    }

    /// Replaces the rule. Leased permits count over its window then, of which the ledger has yet to be notified.
    pub(super) fn set_rule(&mut self, rule: Rule) {
        let (limit, window) = self.shared_limit();
        self.rule = rule;
        let (new_limit, new_window) = self.shared_limit();
        if let (Some(lease), true) = (&mut self.minute.lease, window != new_window) {
            lease.change_window((new_limit, limit));
        }
        self.enforce();
    }

    /// Records a refusal that had not been foreseen.
    pub(super) fn refused_lease(&mut self) {
        let (limit, _) = self.shared_limit();
        if let Some(lease) = &mut self.minute.lease {
            lease.refused(limit);
            self.enforce();
        }
    }

    /// Returns the values of the shared limit.
    pub(in crate::quota) fn usage(&mut self, now: u64) -> Usage {
        self.refresh(now);
        let (limit, window) = self.shared_limit();
        let wider = match &self.rule {
            Rule::Window { window: RateWindow::S1, pinned: false, .. } => Some(RateWindow::S10.span()),
            Rule::Window { window: RateWindow::S10, pinned: false, .. } => Some(RateWindow::S60.span()),
            Rule::Minute | Rule::Bucket | Rule::Window { .. } => None,
        };
        let wider = wider.filter(|_| self.leased_window().is_some());
        let counted = self.leased_charges();
        Usage { limit, window, wider, used: counted.sum(), ages: counted.ages(now) }
    }

    /// Returns the number of requests that count against the lease.
    pub(in crate::quota) fn leased_used(&mut self, now: u64) -> u64 {
        self.refresh(now);
        self.leased_charges().sum()
    }

    /// Returns the time at which the first of them no longer counts.
    pub(in crate::quota) fn next_free(&self) -> Option<u64> {
        self.leased_charges().freed_at(1)
    }

    fn leased_charges(&self) -> &SlidingWindow {
        match &self.rule {
            Rule::Window { admitted, .. } if self.leased_window().is_some() => admitted,
            Rule::Minute | Rule::Bucket | Rule::Window { .. } => &self.minute.charges,
        }
    }

    /// Applies a response of the ledger.
    pub(in crate::quota) fn apply_lease(&mut self, lease: &Lease, now: u64) -> Applied {
        let (_, window) = self.shared_limit();
        let leased = u64::try_from(lease.window.as_millis()).unwrap_or(u64::MAX);
        if leased != window {
            return self.adopt_window(lease, leased, now);
        }
        let used = self.usage(now).used;
        let Some(state) = &mut self.minute.lease else { return Applied::default() };
        let applied = state.apply(lease, used, now);
        let (part, permits) = (self.level / self.full, self.minute.permits);
        self.enforce();
        // The bucket keeps its level in proportion, so that a lease that goes and comes does not fill it.
        self.level = part * self.full;
        self.minute.remaining.take(as_f64(permits) - as_f64(self.minute.permits.max(permits)));
        applied
    }

    /// Counts over the window that is in force in all replicas now.
    fn adopt_window(&mut self, lease: &Lease, span: u64, now: u64) -> Applied {
        let (_, window) = self.shared_limit();
        let Some(state) = &mut self.minute.lease else { return Applied::default() };
        let is_late = !state.has_reported(window);
        state.close(lease.epoch);
        let known = [RateWindow::S1, RateWindow::S10, RateWindow::S60];
        let new = known.into_iter().find(|known| known.span() == span);
        // If this replica has learned another window since its report, the response is about the former one.
        if let Some(new) = new.filter(|_| !is_late) {
            self.clean_since = now;
            self.learn(new, now);
        }
        self.enforce();
        Applied { grown: false, changed: true, report: is_late || self.shared_limit().1 != window }
    }

    /// Returns the window of the lease, if that is shorter than a minute. As many windows as a minute has do not keep a
    /// limit of less than one request in each of them, so that one is leased by the minute.
    fn leased_window(&self) -> Option<RateWindow> {
        match &self.rule {
            Rule::Window { window, .. } if self.minute.limit * window.millis() >= 60_000 => Some(*window),
            Rule::Minute | Rule::Bucket | Rule::Window { .. } => None,
        }
    }

    /// Returns the limit that replicas share, and the window over which it counts.
    fn shared_limit(&self) -> (u64, u64) {
        let limit = self.minute.limit;
        let window = self.leased_window();
        window.map_or((limit, RateWindow::S60.span()), |window| (share(limit, window), window.span()))
    }
}
