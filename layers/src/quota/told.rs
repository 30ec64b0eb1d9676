//! What the backend said was left: [`Told`].

use super::requests::{millis_for, whole};

/// How much the backend said was left, carried on: less what we took since, plus what came back since.
///
/// It only ever lowers a meter. It is void when the backend's own time of reset has come, and a backend that refills
/// all at once and not little by little corrects us with one refusal.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told {
    left: f64,
    at: u64,
    until: u64,
}

impl Told {
    /// `left` was left at `at`, and all will be whole at `until`.
    pub(super) const fn new(left: f64, at: u64, until: u64) -> Self {
        Self { left, at, until }
    }

    pub(super) fn take(&mut self, amount: f64) {
        self.left -= amount;
    }

    /// When so much is there.
    pub(super) fn wait(&self, amount: f64, rate: f64, now: u64) -> u64 {
        let there = self.there(rate, now);
        if there >= amount - 1e-6 { now } else { (now + millis_for(amount - there, rate)).min(self.until) }
    }

    /// Whether somebody may come earlier by this than by `other`.
    pub(super) fn allows_more_than(&self, other: &Self, rate: f64, now: u64) -> bool {
        self.there(rate, now) > other.there(rate, now) || self.until < other.until
    }

    /// How much is there, in whole pieces.
    pub(super) fn left(&self, rate: f64, now: u64) -> u64 {
        whole(self.there(rate, now))
    }

    /// How often `amount` can be taken until `by`.
    pub(super) fn slots(&self, amount: f64, rate: f64, by: u64) -> u64 {
        if by >= self.until { u64::MAX } else { whole(self.there(rate, by) / amount) }
    }

    fn there(&self, rate: f64, now: u64) -> f64 {
        if now >= self.until { f64::INFINITY } else { self.left + now.saturating_sub(self.at) as f64 * rate }
    }
}
