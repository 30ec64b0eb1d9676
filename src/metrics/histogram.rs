//! A lock-free histogram of durations: [`Histogram`].

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Upper bounds of the buckets, in milliseconds: from a cache hit to a reasoning model.
pub(crate) const BOUNDS: [u64; 14] =
    [5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000];

/// A histogram with fixed buckets.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    nanos: AtomicU64,
}

/// A snapshot of a histogram.
#[derive(Clone, Debug)]
pub(super) struct HistogramSnapshot {
    /// The sum in seconds.
    pub(super) sum: f64,
    pub(super) count: u64,
    /// The upper bound in seconds and the count of each bucket, without those below it.
    pub(super) buckets: Vec<(f64, u64)>,
}

impl Histogram {
    /// Counts a duration.
    pub(crate) fn observe(&self, value: Duration) {
        let nanos = u64::try_from(value.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.iter().position(|bound| nanos <= bound * 1_000_000).unwrap_or(BOUNDS.len());
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// Returns a snapshot of this histogram, merged with another.
    pub(super) fn read_with(&self, other: Option<&Self>) -> HistogramSnapshot {
        let sum = |read: &dyn Fn(&Self) -> u64| read(self).wrapping_add(other.map_or(0, read));
        let bounds = BOUNDS.iter().map(|bound| *bound as f64 / 1000.0).chain([f64::INFINITY]);
        let buckets = bounds.enumerate().map(|(index, bound)| {
            (bound, sum(&|histogram| histogram.buckets[index].load(Ordering::Relaxed)))
        });
        let buckets: Vec<_> = buckets.collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let nanos = sum(&|histogram| histogram.nanos.load(Ordering::Relaxed));
        HistogramSnapshot { sum: Duration::from_nanos(nanos).as_secs_f64(), count, buckets }
    }
}
