//! What the backend said was left: [`RemainingEstimate`].

use super::requests::{millis_for, whole};

/// How much the backend said was left, carried on: less what we took since, plus what came back since.
///
/// It only ever lowers a meter. It is void when the backend's own time of reset has come, and a backend that refills
/// all at once and not little by little corrects us with one refusal.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RemainingEstimate {
    left: f64,
    at: u64,
    until: u64,
}

impl RemainingEstimate {
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

    /// How often `amount` can be taken until `by`.
    pub(super) fn slots(&self, amount: f64, rate: f64, by: u64) -> u64 {
        if by >= self.until { u64::MAX } else { whole(self.there(rate, by) / amount) }
    }

    fn there(&self, rate: f64, now: u64) -> f64 {
        if now >= self.until { f64::INFINITY } else { self.left + now.saturating_sub(self.at) as f64 * rate }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        time::Duration,
    };

    use tokio::time::Instant;

    use super::super::{Limits, Meters, RateWindow};
    use crate::{Class, OnComplete, Outcome, endpoint::CapacityListener, outcome::ReportedLimit};

    struct Counts(AtomicUsize);

    impl CapacityListener for Counts {
        fn capacity_freed(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// An answer tells this of requests and of tokens, be there room for its call or not: it began before.
    fn tell(meters: &Meters, [requests, tokens]: [ReportedLimit; 2]) {
        let outcome = Outcome::new(Class::Success).with_used(Some(10)).with_reported(requests, tokens);
        meters.take(10).spend().expect("taken").complete(&outcome);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_tells_of_more_room_is_told_on() {
        let reset = Some(Duration::from_secs(30));
        let limit = |limit| ReportedLimit { limit: Some(limit), ..ReportedLimit::default() };
        let left = |remaining| ReportedLimit { remaining: Some(remaining), reset, ..limit(1_000) };
        let nothing = ReportedLimit::default();
        for (before, after) in [
            ([left(0), nothing], [left(5), nothing]),
            ([nothing, left(0)], [nothing, left(500)]),
            ([limit(1), nothing], [limit(100), nothing]),
            ([nothing, limit(10)], [nothing, limit(1_000)]),
        ] {
            let limits = Limits { window: Some(RateWindow::S60), ..Limits::default() };
            let (meters, counts) = (Meters::new(limits), Arc::new(Counts(AtomicUsize::new(0))));
            let told: Arc<dyn CapacityListener> = Arc::<Counts>::clone(&counts);
            meters.subscribe(&Arc::downgrade(&told));
            // The first makes the meter, on which the second counts.
            tell(&meters, before);
            tell(&meters, before);
            assert!(meters.check(10, Instant::now()).is_err(), "{before:?}");
            assert_eq!(counts.0.load(Ordering::Relaxed), 0, "{before:?}");
            tell(&meters, after);
            assert!(meters.check(10, Instant::now()).is_ok(), "{after:?}");
            assert_eq!(counts.0.load(Ordering::Relaxed), 1, "{after:?}");
        }
    }
}
