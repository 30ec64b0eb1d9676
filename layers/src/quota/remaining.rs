//! The remaining quota that a backend reported, kept up to date: [`RemainingEstimate`].

use super::requests::{millis_for, whole};

/// The reported remaining quota, less the charges since then, plus the refill since then.
///
/// The estimate only lowers a meter. It expires at the reported reset. If a backend refills all at once and not evenly,
/// one refusal corrects the meter.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RemainingEstimate {
    left: f64,
    at: u64,
    until: u64,
}

impl RemainingEstimate {
    /// Returns the estimate of a limit of which `left` remained at `at`, and which resets at `until`.
    pub(super) const fn new(left: f64, at: u64, until: u64) -> Self {
        Self { left, at, until }
    }

    pub(super) fn take(&mut self, amount: f64) {
        self.left -= amount;
    }

    /// Returns the time at which `amount` is available.
    pub(super) fn wait(&self, amount: f64, rate: f64, now: u64) -> u64 {
        let there = self.there(rate, now);
        if there >= amount - 1e-6 { now } else { (now + millis_for(amount - there, rate)).min(self.until) }
    }

    /// Returns true if a call may begin earlier by this estimate than by `other`.
    pub(super) fn allows_more_than(&self, other: &Self, rate: f64, now: u64) -> bool {
        self.there(rate, now) > other.there(rate, now) || self.until < other.until
    }

    /// Returns the number of times that `amount` can be charged until `by`.
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

    /// Completes a call with a response that reports these limits of requests and of tokens. The call needs no capacity,
    /// because it began before.
    fn report(meters: &Meters, [requests, tokens]: [ReportedLimit; 2]) {
        let outcome = Outcome::new(Class::Success).with_used(Some(10)).with_reported(requests, tokens);
        meters.take(10).spend().expect("taken").complete(&outcome);
    }

    #[tokio::test(start_paused = true)]
    async fn a_response_that_reports_more_remaining_quota_notifies_the_listeners() {
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
            let listener: Arc<dyn CapacityListener> = Arc::<Counts>::clone(&counts);
            meters.subscribe(&Arc::downgrade(&listener));
            // The first makes the meter, on which the second counts.
            report(&meters, before);
            report(&meters, before);
            assert!(meters.check(10, Instant::now()).is_err(), "{before:?}");
            assert_eq!(counts.0.load(Ordering::Relaxed), 0, "{before:?}");
            report(&meters, after);
            assert!(meters.check(10, Instant::now()).is_ok(), "{after:?}");
            assert_eq!(counts.0.load(Ordering::Relaxed), 1, "{after:?}");
        }
    }
}
