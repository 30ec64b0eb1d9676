//! Durations counted in buckets whose width grows with them.

use std::time::Duration;

/// Buckets per doubling: a quantile is off by less than one part in 128.
const STEPS: u64 = 128;

/// Counts of durations from one nanosecond to hours, each known to better than 1 %.
#[derive(Clone, Debug, Default)]
pub(crate) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
}

impl Histogram {
    pub(crate) fn record(&mut self, duration: Duration) {
        let index = index(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
        if self.buckets.len() <= index {
            self.buckets.resize(index + 1, 0);
        }
        self.buckets[index] += 1;
        self.count += 1;
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        if self.buckets.len() < other.buckets.len() {
            self.buckets.resize(other.buckets.len(), 0);
        }
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
        self.count += other.count;
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The duration that `share` of all do not exceed, in microseconds; 0 when there is none.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let rank = (self.count as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return middle(index as u64) / 1000.0;
            }
        }
        0.0
    }
}

/// Below 2 x STEPS every nanosecond has its own bucket; above, the leading eight bits and their exponent are the index.
fn index(nanos: u64) -> usize {
    let exponent = u64::from(nanos.max(STEPS).ilog2() - STEPS.ilog2());
    (exponent * STEPS + (nanos >> exponent)) as usize
}

/// The middle of a bucket, in nanoseconds.
fn middle(index: u64) -> f64 {
    let exponent = (index / STEPS).saturating_sub(1);
    let low = (index - exponent * STEPS) << exponent;
    low as f64 + ((1_u64 << exponent) - 1) as f64 / 2.0
}
