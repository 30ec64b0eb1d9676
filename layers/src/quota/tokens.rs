//! The meter of tokens: [`TokenMeter`].

use super::{
    limits::RateWindow,
    remaining::RemainingEstimate,
    requests::{CLEAN_TIME, as_f64, slots},
    sliding_window::{SLOTS, SlidingWindow},
};

/// Counts the tokens of the last minute. Only the minute rule holds: no backend is known to use a shorter window.
///
/// What a call spends is filed when it is sent, until a refusal that was not foreseen has taught that the backend
/// counts when the answer is done: then what is settled is filed anew at its end. That keeps it for longer by as long
/// as answers take, so it is not done unasked; ten clean minutes end it.
#[derive(Debug)]
pub(super) struct TokenMeter {
    pub(super) limit: u64,
    minute: SlidingWindow,
    late_until: u64,
    pub(super) remaining: RemainingEstimate,
}

impl TokenMeter {
    pub(super) fn new(limit: u64) -> Self {
        Self {
            limit,
            minute: SlidingWindow::new(RateWindow::S60.span()),
            late_until: 0,
            remaining: RemainingEstimate::default(),
        }
    }

    pub(super) const fn used(&self) -> u64 {
        self.minute.sum()
    }

    /// Whether so many may be spent now; else when. A call dearer than the limit goes when nothing else is kept.
    pub(super) fn check(&mut self, cost: u64, now: u64) -> Result<(), u64> {
        self.minute.expire(now, |_, _| {});
        let over = self.minute.sum().saturating_add(cost.min(self.limit)).saturating_sub(self.limit);
        let at = if over == 0 { now } else { self.minute.freed_at(over).unwrap_or(now + self.minute.span()) };
        let at = at.max(self.remaining.wait(as_f64(cost.min(self.limit)), self.rate(), now));
        if at > now { Err(at) } else { Ok(()) }
    }

    /// Reserves so many. Returns the time under which they were filed.
    pub(super) fn take(&mut self, cost: u64, now: u64) -> u64 {
        self.minute.expire(now, |_, _| {});
        self.remaining.take(as_f64(cost));
        let grain = self.minute.span().div_ceil(SLOTS as u64 - 1);
        self.minute.add(now + 1, u32::try_from(cost).unwrap_or(u32::MAX), grain)
    }

    /// What was filed as `was` proves to be `is`.
    pub(super) fn correct(&mut self, recorded_at: u64, was: u64, is: u64) {
        self.minute.correct(recorded_at, was, is);
        self.remaining.take(as_f64(is) - as_f64(was));
    }

    /// Returns true if the backend is known to count tokens when the response completes.
    pub(super) const fn counts_late(&self, now: u64) -> bool {
        now < self.late_until
    }

    /// A call was refused although there had been room. Only where most of the limit is used that says anything about
    /// tokens.
    pub(super) fn refused(&mut self, now: u64) {
        if self.used() > self.limit / 2 {
            self.late_until = now + CLEAN_TIME;
        }
    }

    /// Returns the number of calls of this cost that could begin until `by`.
    pub(super) fn slots(&mut self, cost: u64, now: u64, by: u64) -> u64 {
        self.minute.expire(now, |_, _| {});
        let cost = cost.clamp(1, self.limit.max(1));
        let remaining = self.remaining.slots(as_f64(cost), self.rate(), by);
        (slots(&self.minute, self.limit, now, by) / cost).min(remaining)
    }

    pub(super) fn since(&self, at: u64) -> u64 {
        self.minute.since(at)
    }

    /// Returns the limit per millisecond.
    pub(super) fn rate(&self) -> f64 {
        as_f64(self.limit) / 60_000.0
    }
}
