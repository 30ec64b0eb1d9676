//! Counters and histograms of one scope ([`ScopeMetrics`]), and the metrics of a request in progress ([`RequestMetrics`]).

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;
use tollgate_layers::{Class, OnComplete, Outcome};

/// Upper bounds of the histogram buckets, in milliseconds: from a cache hit to a reasoning model.
const BOUNDS: [u64; 14] = [5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000];

/// The counters and histograms of a scope: the gateway, a group, or a deployment.
#[derive(Debug, Default)]
pub(crate) struct ScopeMetrics {
    by_class: [AtomicU64; Class::COUNT],
    cancelled: AtomicU64,
    begun: AtomicU64,
    /// Responses that were complete at their first content: the duration is the time to the first content.
    whole: Histogram,
    /// All other responses.
    duration: Histogram,
    first_content: Histogram,
    pub(super) broken_events: Arc<AtomicU64>,
}

impl ScopeMetrics {
    /// Returns the counter of stream events with invalid JSON.
    pub(crate) fn broken_events(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.broken_events)
    }

    /// Counts the start of a request.
    pub(crate) fn begin(&self) {
        self.begun.fetch_add(1, Ordering::Relaxed);
    }

    /// Records the time to the first content.
    pub(crate) fn first_content(&self, after: Duration) {
        self.first_content.observe(after);
    }

    /// Counts the end of a request. A request without a class was cancelled.
    pub(crate) fn end(&self, class: Option<Class>, after: Duration) {
        self.count(class);
        self.duration.observe(after);
    }

    /// Counts the end of a request with a complete response at its first content.
    fn end_whole(&self, class: Class, after: Duration) {
        self.count(Some(class));
        self.whole.observe(after);
    }

    /// Returns the histogram of durations.
    pub(super) fn durations(&self) -> HistogramSnapshot {
        self.duration.read_with(&self.whole)
    }

    /// Returns the histogram of times to the first content.
    pub(super) fn first_contents(&self) -> HistogramSnapshot {
        self.first_content.read_with(&self.whole)
    }

    fn count(&self, class: Option<Class>) {
        match class {
            Some(class) => self.by_class[class.index()].fetch_add(1, Ordering::Relaxed),
            None => self.cancelled.fetch_add(1, Ordering::Relaxed),
        };
    }

    /// Returns the number of requests that have started and not ended.
    pub(crate) fn in_flight(&self) -> u64 {
        let ended: u64 = self.results().map(|(_, count)| count).sum();
        // The two counters are not read at the same time.
        self.begun.load(Ordering::Relaxed).saturating_sub(ended)
    }

    /// Returns the number of requests that ended in this class.
    pub(crate) fn ended(&self, class: Class) -> u64 {
        self.by_class[class.index()].load(Ordering::Relaxed)
    }

    /// Returns the number of ended requests by class, and of cancelled requests.
    pub(super) fn results(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let classes = Class::ALL.iter().map(|class| (class.as_str(), self.ended(*class)));
        classes.chain([("cancelled", self.cancelled.load(Ordering::Relaxed))])
    }
}

/// A snapshot of a histogram: the sum in seconds, the count, and the upper bound and count of each bucket.
pub(super) type HistogramSnapshot = (f64, u64, Vec<(f64, u64)>);

/// The progress of a request.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Started,
    /// The response was a success and complete at its head, after this time.
    Complete(Duration),
    /// The request ended without content after this time.
    Ended(Duration),
    /// The request has been counted.
    Counted,
}

/// The metrics of a request in progress. Counts the request when it ends, or as cancelled if dropped before.
#[derive(Debug)]
pub(crate) struct RequestMetrics {
    metrics: Arc<ScopeMetrics>,
    start: Instant,
    stage: Stage,
}

impl RequestMetrics {
    /// Starts the metrics of a request now.
    pub(crate) fn begin(metrics: Arc<ScopeMetrics>) -> Self {
        metrics.begin();
        Self { metrics, start: Instant::now(), stage: Stage::Started }
    }

    fn elapsed(&self) -> Duration {
        Instant::now().saturating_duration_since(self.start)
    }

    /// Records the response head. `success` means that the first content is there, `complete` that the whole body is.
    pub(crate) fn head(&mut self, success: bool, complete: bool) {
        let after = self.elapsed(); // read the clock once
        self.stage = match (success, complete) {
            (true, true) => Stage::Complete(after),
            (false, true) => Stage::Ended(after),
            (_, false) => Stage::Started,
        };
        if success && !complete {
            self.metrics.first_content(after);
        }
    }
}

impl OnComplete for RequestMetrics {
    fn complete(mut self, outcome: &Outcome) {
        match std::mem::replace(&mut self.stage, Stage::Counted) {
            Stage::Complete(after) => self.metrics.end_whole(outcome.class(), after),
            Stage::Ended(after) => self.metrics.end(Some(outcome.class()), after),
            Stage::Started => self.metrics.end(Some(outcome.class()), self.elapsed()),
            Stage::Counted => {}
        }
    }
}

impl Drop for RequestMetrics {
    fn drop(&mut self) {
        if !matches!(self.stage, Stage::Counted) {
            self.metrics.end(None, self.elapsed());
        }
    }
}

/// A lock-free histogram of seconds.
#[derive(Debug, Default)]
struct Histogram {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    nanos: AtomicU64,
}

impl Histogram {
    fn observe(&self, value: Duration) {
        let nanos = u64::try_from(value.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.iter().position(|bound| nanos <= bound * 1_000_000).unwrap_or(BOUNDS.len());
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// Returns a snapshot of this histogram merged with another.
    fn read_with(&self, other: &Self) -> HistogramSnapshot {
        let both = |one: &AtomicU64, other: &AtomicU64| {
            one.load(Ordering::Relaxed).wrapping_add(other.load(Ordering::Relaxed))
        };
        let bounds = BOUNDS.iter().map(|bound| *bound as f64 / 1000.0).chain([f64::INFINITY]);
        let counts = self.buckets.iter().zip(&other.buckets).map(|(one, other)| both(one, other));
        let buckets: Vec<_> = bounds.zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        (Duration::from_nanos(both(&self.nanos, &other.nanos)).as_secs_f64(), count, buckets)
    }
}
