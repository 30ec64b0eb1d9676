//! Admission by counters of clock windows, for comparison: [`ClockWindows`].
//!
//! Replicas that share a limit commonly count calls in a variable of a server for each clock minute, as LiteLLM does, and
//! each alone while the server is down. The model is favorable to them: the counter is exact, and a call that is refused
//! waits for the next window as long as a call waits in the gateway's queue.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use super::{
    limiter::{ServerWindow, WindowLimiter},
    replicas::LedgerOutage,
    report::ClockWindowsReport,
};

/// Counters of clock windows of one limit.
#[derive(Debug)]
pub(super) struct ClockWindows {
    per_minute: u64,
    window: ServerWindow,
    max_wait: Duration,
    outages: Vec<LedgerOutage>,
    /// The calls of each window: of all replicas, or of one that counts alone.
    counts: HashMap<(Option<usize>, u32), u64>,
    /// The times of the admitted calls.
    admitted: Vec<Duration>,
}

impl ClockWindows {
    /// Returns the counters of a limit, which a server counts over a window of this kind.
    pub(super) fn new(per_minute: u64, window: ServerWindow, max_wait: Duration) -> Self {
        Self {
            per_minute,
            window,
            max_wait,
            outages: Vec::new(),
            counts: HashMap::new(),
            admitted: Vec::new(),
        }
    }

    /// Sets the periods in which each replica counts alone.
    pub(super) fn with_outages(self, outages: &[LedgerOutage]) -> Self {
        Self { outages: outages.to_vec(), ..self }
    }

    /// Counts a call that arrives at a replica.
    pub(super) fn arrive(&mut self, at: Duration, replica: usize) {
        let span = self.window.span();
        let limit = self.limit();
        let is_down = self.outages.iter().any(|outage| (outage.from..outage.until).contains(&at));
        let counter = is_down.then_some(replica);
        // A run has at most 604,800 seconds.
        let window = (at.as_secs() / span.as_secs()) as u32;
        for (number, begin) in [(window, at), (window + 1, span * (window + 1))] {
            let count = self.counts.entry((counter, number)).or_default();
            if begin <= at + self.max_wait && *count < limit {
                *count += 1;
                return self.admitted.push(begin);
            }
        }
    }

    /// Returns the limit of a window.
    fn limit(&self) -> u64 {
        (self.per_minute * self.window.span().as_secs() / 60).max(1)
    }

    /// Returns the report on a run of this duration.
    pub(super) fn report(mut self, duration: Duration) -> ClockWindowsReport {
        self.admitted.sort_unstable();
        let start = Instant::now();
        let mut limiters = WindowLimiter::requests(self.window, self.per_minute, Duration::ZERO, start);
        for at in &self.admitted {
            // The limiter counts the fullest window; it does not decide.
            let _decision: Result<(), Duration> = WindowLimiter::admit(&mut limiters, start + *at);
        }
        let admitted = self.admitted.iter().filter(|at| **at < duration).count();
        let minutes = duration.as_secs_f64() / 60.0;
        ClockWindowsReport {
            window: self.window.span(),
            fullest: WindowLimiter::fullest(&limiters),
            used: admitted as f64 / (self.per_minute as f64 * minutes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[tokio::test(start_paused = true)]
    async fn counters_of_clock_minutes_admit_two_limits_within_a_minute() {
        let mut windows = ClockWindows::new(6, ServerWindow::S60, at(2));
        (0..10).for_each(|_| windows.arrive(at(50), 0));
        (0..10).for_each(|_| windows.arrive(at(70), 1));
        let report = windows.report(at(120));
        assert_eq!((report.fullest, report.used), (Some(2.0), 1.0));
    }

    #[tokio::test(start_paused = true)]
    async fn counters_of_clock_windows_let_calls_wait_for_the_next_window() {
        let mut windows = ClockWindows::new(6, ServerWindow::S60, at(2));
        (0..6).for_each(|_| windows.arrive(at(0), 0));
        (0..2).for_each(|_| windows.arrive(at(59), 0));
        let report = windows.report(at(120));
        assert_eq!((report.fullest, report.used), (Some(1.0), 8.0 / 12.0));
    }

    #[tokio::test(start_paused = true)]
    async fn counters_of_clock_windows_are_those_of_one_replica_in_an_outage() {
        let outage = LedgerOutage { from: at(0), until: at(30) };
        let mut windows = ClockWindows::new(6, ServerWindow::S60, at(2)).with_outages(&[outage]);
        (0..4).for_each(|replica| (0..10).for_each(|_| windows.arrive(at(1), replica)));
        (0..10).for_each(|_| windows.arrive(at(40), 0));
        assert_eq!(windows.report(at(60)).fullest, Some(5.0));
    }
}
