//! The part that the meters of requests and of tokens share: [`MinuteMeter`].

use std::time::Duration;

use super::{
    lease::LeaseState,
    limits::RateWindow,
    remaining::RemainingEstimate,
    requests::{as_f64, slots},
    sliding_window::SlidingWindow,
};
use crate::outcome::ReportedLimit;

/// A limit per minute, the charges of the last minute, and the remaining quota that the backend reported.
#[derive(Debug)]
pub(super) struct MinuteMeter {
    pub(super) limit: u64,
    /// The part of the limit that this process may use: all of it without a lease.
    pub(super) permits: u64,
    pub(super) lease: Option<Box<LeaseState>>,
    pub(super) charges: SlidingWindow,
    pub(super) remaining: RemainingEstimate,
}

/// The charge of a call with a response that reported a limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReportedBy {
    /// The time at which the call was sent.
    pub(super) sent: u64,
    /// The time under which the charge was recorded, and its amount; `None` if the call began before the meter.
    pub(super) charge: Option<(u64, u64)>,
}

impl MinuteMeter {
    pub(super) fn new(limit: u64) -> Self {
        Self {
            limit,
            permits: limit,
            lease: None,
            charges: SlidingWindow::new(RateWindow::S60.span()),
            remaining: RemainingEstimate::default(),
        }
    }

    /// Returns the sum of the charges of the last minute.
    pub(super) const fn used(&self) -> u64 {
        self.charges.sum()
    }

    /// Returns the time until no charge of the last minute counts any more.
    pub(super) fn reset(&self, now: u64) -> Duration {
        let used = self.used();
        let freed_at = if used == 0 { None } else { self.charges.freed_at(used) };
        Duration::from_millis(freed_at.unwrap_or(now).saturating_sub(now))
    }

    /// Sets the limit, of which a lease allows a part.
    pub(super) fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
        self.enforce();
    }

    /// Sets the permits after a change of the limit or of the lease.
    pub(super) fn enforce(&mut self) {
        self.permits = self.lease.as_ref().map_or(self.limit, |lease| lease.permits().min(self.limit));
    }

    /// Returns the used part of the permits, 0.0 to 1.0.
    pub(super) fn used_part(&self) -> f64 {
        as_f64(self.used()) / as_f64(self.permits.max(1))
    }

    /// Returns the permits per millisecond.
    pub(super) fn rate(&self) -> f64 {
        as_f64(self.permits) / 60_000.0
    }

    /// Returns the amount that can be charged to `charges` until `by`, with these permits of a limit. A forecast may count all
    /// of the limit while the ledger has spare permits, and `least` at least, the cost of a call, because every replica gets
    /// that in its turn: certainly within a whole window.
    pub(super) fn leased_slots(
        &self,
        charges: &SlidingWindow,
        (permits, limit, least): (u64, u64, u64),
        ((now, by), certain): ((u64, u64), bool),
    ) -> u64 {
        let Some(lease) = &self.lease else { return slots(charges, permits, now, by) };
        let least = least.min(limit);
        match permits < least {
            _ if lease.has_spare() && !certain => slots(charges, limit, now, by),
            false => slots(charges, permits, now, by),
            true if certain => (by.saturating_sub(now) / charges.span()).saturating_mul(least),
            true => slots(charges, least, now, by),
        }
    }

    /// Returns the amount that can be charged until `by`, if each charge is made as early as possible, and the number of
    /// charges of `amount` that the reported remaining quota allows.
    pub(super) fn slots(&self, amount: u64, (now, by): (u64, u64), certain: bool) -> (u64, u64) {
        let leased =
            self.leased_slots(&self.charges, (self.permits, self.limit, amount), ((now, by), certain));
        (leased, self.remaining.slots(as_f64(amount), self.rate(), by))
    }

    /// Records the remaining quota that the response to a call reported. The report was true at some time after the call
    /// was sent; charges of other calls since then are not in it. Returns true if more is allowed than was known.
    pub(super) fn report(&mut self, reported: &ReportedLimit, by: ReportedBy, now: u64) -> bool {
        let (Some(remaining), Some(reset)) = (reported.remaining, reported.reset) else { return false };
        let until = by.sent + u64::try_from(reset.as_millis()).unwrap_or(u64::MAX).min(60_000);
        if until <= now {
            return false;
        }
        let (from, own) = by.charge.unwrap_or((by.sent, 0));
        let since = self.charges.since(from).saturating_sub(own);
        let part = if self.permits == self.limit { 1.0 } else { as_f64(self.permits) / as_f64(self.limit) };
        let left = as_f64(remaining) * part - as_f64(since);
        let remaining = RemainingEstimate::new(left, by.sent, until);
        let more = remaining.allows_more_than(&self.remaining, self.rate(), now);
        self.remaining = remaining;
        more
    }
}
