//! The meter of tokens: [`TokenMeter`].

use super::{
    lease::Usage,
    minute::MinuteMeter,
    requests::{CLEAN_TIME, as_f64},
    sliding_window::SLOTS,
};

/// Counts the tokens of the last minute. Only the minute rule applies: no backend is known to use a shorter window.
///
/// A charge is recorded when its call is sent. An unexpected refusal shows that the backend counts tokens when the
/// response completes: from then on, settled charges are recorded again at the end of the response. That keeps them for
/// longer by the duration of the response, and ends after ten minutes without a refusal.
#[derive(Debug)]
pub(super) struct TokenMeter {
    pub(super) minute: MinuteMeter,
    late_until: u64,
}

impl TokenMeter {
    pub(super) fn new(limit: u64) -> Self {
        Self { minute: MinuteMeter::new(limit), late_until: 0 }
    }

    /// Checks if this cost can be charged now. A cost above the limit can be charged if no other charge is left.
    ///
    /// # Errors
    /// Returns the earliest time at which it can.
    pub(super) fn check(&mut self, cost: u64, now: u64) -> Result<(), u64> {
        let minute = &mut self.minute;
        minute.charges.expire(now, |_, _| {});
        let cost = cost.min(minute.limit);
        let over = minute.used().saturating_add(cost).saturating_sub(minute.permits);
        let freed_at = || minute.charges.freed_at(over).unwrap_or(now + minute.charges.span());
        let at = if over == 0 { now } else { freed_at() };
        let at = at.max(minute.remaining.wait(as_f64(cost), minute.rate(), now));
        if at > now { Err(at) } else { Ok(()) }
    }

    /// Charges this cost. Returns the time under which the charge was recorded.
    pub(super) fn take(&mut self, cost: u64, now: u64) -> u64 {
        let minute = &mut self.minute;
        minute.charges.expire(now, |_, _| {});
        minute.remaining.take(as_f64(cost));
        let grain = minute.charges.span().div_ceil(SLOTS as u64 - 1);
        minute.charges.add(now + 1, u32::try_from(cost).unwrap_or(u32::MAX), grain)
    }

    /// Replaces the charge `was` by `is`.
    pub(super) fn correct(&mut self, recorded_at: u64, was: u64, is: u64) {
        self.minute.charges.correct(recorded_at, was, is);
        self.minute.remaining.take(as_f64(is) - as_f64(was));
    }

    /// Returns true if the backend is known to count tokens when the response completes.
    pub(super) const fn counts_late(&self, now: u64) -> bool {
        now < self.late_until
    }

    /// Records a refusal that was not expected. It is about tokens only if most of the limit is used.
    pub(super) fn refused(&mut self, now: u64) {
        if self.minute.used() > self.minute.permits / 2 {
            self.late_until = now + CLEAN_TIME;
        }
        if let Some(lease) = &mut self.minute.lease {
            lease.refused(self.minute.limit);
        }
        self.minute.enforce();
    }

    /// Returns the tokens of the last minute.
    pub(super) fn used(&mut self, now: u64) -> u64 {
        self.minute.charges.expire(now, |_, _| {});
        self.minute.used()
    }

    /// Returns the values of the shared limit.
    pub(super) fn usage(&mut self, now: u64) -> Usage {
        let used = self.used(now);
        let MinuteMeter { limit, charges, .. } = &self.minute;
        Usage { limit: *limit, window: charges.span(), wider: None, used, ages: charges.ages(now) }
    }

    /// Returns the number of calls of this cost that could begin until `by`.
    pub(super) fn slots(&mut self, cost: u64, (now, by): (u64, u64), certain: bool) -> u64 {
        self.minute.charges.expire(now, |_, _| {});
        let cost = cost.clamp(1, self.minute.limit.max(1));
        let (amount, remaining) = self.minute.slots(cost, (now, by), certain);
        (amount / cost).min(remaining)
    }
}
