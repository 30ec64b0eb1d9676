//! The metrics of one scope ([`ScopeMetrics`]), and those of a request in progress ([`RequestMetrics`]).

use std::{
    sync::{
        Arc, LazyLock, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use tokio::time::Instant;
use tollgate_layers::{Class, Outcome, balance::QueueListener};

use super::{
    histogram::{Histogram, HistogramSnapshot},
    recent::{RecentError, RecentErrors},
    results::{ResultCounts, ResultLabels},
};
use crate::operation::Operation;

/// The number of tokens of a response, by kind. Zero if it is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tokens {
    /// Tokens of the prompt, cached ones included.
    pub(crate) input: u32,
    /// Tokens of the prompt that the upstream had in its cache.
    pub(crate) cached: u32,
    /// Tokens of the output.
    pub(crate) output: u32,
}

/// The facts about a response that are known when its body has ended.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BodyStats {
    /// The tokens.
    pub(crate) tokens: Tokens,
    /// The number of events with content or other news, of a stream.
    pub(crate) events: u32,
}

/// The facts about a response that are known with its head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ResponseHead {
    /// True if the first content is there.
    pub(crate) success: bool,
    /// True if the whole body is there.
    pub(crate) complete: bool,
    /// The HTTP status.
    pub(crate) status: u16,
    /// The time at which the head was there.
    pub(crate) at: Instant,
}

/// The counters and histograms of a scope: the gateway, a group, or a deployment. Most are allocated with the first
/// request: of thousands of deployments many are never called.
#[derive(Debug, Default)]
pub(crate) struct ScopeMetrics {
    counts: OnceLock<Box<Counts>>,
    /// Of a deployment or a client key: the cost in nanodollars.
    nanodollars: Arc<AtomicU64>,
    pub(super) broken_events: Arc<AtomicU64>,
    /// Of a deployment: the last failures.
    recent_errors: RecentErrors,
}

#[derive(Debug, Default)]
struct Counts {
    results: ResultCounts,
    begun: AtomicU64,
    /// Successes that were complete at their first content: the duration is the time to the first content.
    whole: Histogram,
    /// All other successes, failures, and cancelled requests.
    durations: [Histogram; 3],
    first_content: Histogram,
    /// The mean time between two events, of each stream.
    between_events: Histogram,
    tokens: [AtomicU64; 3],
    /// Of a group: attempts that followed a failed one, by the class of the failure.
    retries: [AtomicU64; Class::COUNT],
    /// Of a group: requests that came from a group that had failed, by the class of the failure.
    fallbacks: [AtomicU64; Class::COUNT],
    /// Of a group: the requests that have joined the queue, and the waits of those that have left it.
    queued: AtomicU64,
    queue_wait: Histogram,
}

/// The counts of a scope without a request.
static NONE: LazyLock<Counts> = LazyLock::new(Counts::default);

/// The values of the label `result`, in the order of [`Counts::durations`].
pub(super) const RESULTS: [&str; 3] = ["success", "failure", "cancelled"];

/// The values of the label `kind` of tokens.
pub(super) const TOKEN_KINDS: [&str; 3] = ["input", "cached", "output"];

impl ScopeMetrics {
    /// Returns the counts for a change.
    fn counts(&self) -> &Counts {
        self.counts.get_or_init(Box::default)
    }

    /// Returns the counts for a reader, which allocates none.
    fn known(&self) -> &Counts {
        self.counts.get().map_or(&NONE, |counts| counts)
    }

    /// Returns the counter of stream events with invalid JSON.
    pub(crate) fn broken_events(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.broken_events)
    }

    /// Counts the start of a request.
    pub(crate) fn begin(&self) {
        self.counts().begun.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts the end of a request. A request without a class was cancelled.
    pub(crate) fn end(&self, labels: ResultLabels, after: Duration) {
        let counts = self.counts();
        counts.results.add(labels);
        let result = match labels.class {
            Some(Class::Success) => 0,
            Some(_) => 1,
            None => 2,
        };
        counts.durations[result].observe(after);
    }

    /// Counts the end of a request with a complete response at its first content.
    pub(crate) fn end_whole(&self, labels: ResultLabels, after: Duration) {
        let counts = self.counts();
        counts.results.add(labels);
        counts.whole.observe(after);
    }

    /// Counts the tokens of a response.
    pub(crate) fn add_tokens(&self, tokens: Tokens) {
        let counts = [tokens.input, tokens.cached, tokens.output];
        for (total, count) in self.counts().tokens.iter().zip(counts).filter(|(_, count)| *count > 0) {
            total.fetch_add(count.into(), Ordering::Relaxed);
        }
    }

    /// Returns the counter of the cost, in nanodollars.
    pub(crate) fn nanodollars(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.nanodollars)
    }

    /// Counts an attempt that follows a failed one of this class.
    pub(crate) fn retry(&self, cause: Class) {
        self.counts().retries[cause.index()].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a request that comes from a group that has failed with this class.
    pub(crate) fn fallback(&self, cause: Class) {
        self.counts().fallbacks[cause.index()].fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the counts of retries and of fallbacks, by cause.
    pub(super) fn repeats(&self) -> [Vec<(&'static str, u64)>; 2] {
        let Counts { retries, fallbacks, .. } = self.known();
        [retries, fallbacks].map(|counts| {
            let counts = Class::ALL.iter().zip(counts);
            counts.map(|(class, count)| (class.as_str(), count.load(Ordering::Relaxed))).collect()
        })
    }

    /// Returns the number of requests that wait for capacity, and the histogram of waits.
    pub(super) fn queue(&self) -> (u64, HistogramSnapshot) {
        let Counts { queued, queue_wait, .. } = self.known();
        let waits = queue_wait.read_with(None);
        (queued.load(Ordering::Relaxed).saturating_sub(waits.count), waits)
    }

    /// Returns the number of requests that wait for capacity.
    pub(crate) fn queue_length(&self) -> u64 {
        self.queue().0
    }

    /// Returns the last failures.
    pub(crate) const fn recent_errors(&self) -> &RecentErrors {
        &self.recent_errors
    }

    /// Returns the counts of successes by the time to their first content and by their duration, each by the
    /// [`BOUNDS`](super::BOUNDS).
    pub(crate) fn latency_counts(&self) -> [Vec<u64>; 2] {
        let [success, ..] = self.durations();
        [self.first_contents(), success]
            .map(|histogram| histogram.buckets.into_iter().map(|(_, count)| count).collect())
    }

    /// Returns the number of tokens of each of the [`TOKEN_KINDS`].
    pub(super) fn tokens(&self) -> [u64; 3] {
        self.known().tokens.each_ref().map(|total| total.load(Ordering::Relaxed))
    }

    /// Returns the histograms of durations, in the order of [`RESULTS`].
    pub(super) fn durations(&self) -> [HistogramSnapshot; 3] {
        let Counts { whole, durations: [success, failure, cancelled], .. } = self.known();
        [success.read_with(Some(whole)), failure.read_with(None), cancelled.read_with(None)]
    }

    /// Returns the histogram of times to the first content.
    pub(super) fn first_contents(&self) -> HistogramSnapshot {
        let Counts { whole, first_content, .. } = self.known();
        first_content.read_with(Some(whole))
    }

    /// Returns the histogram of the mean times between two events of a stream.
    pub(super) fn between_events(&self) -> HistogramSnapshot {
        self.known().between_events.read_with(None)
    }

    /// Returns the number of requests that have started.
    pub(crate) fn begun(&self) -> u64 {
        self.known().begun.load(Ordering::Relaxed)
    }

    /// Returns the number of requests that have started and not ended.
    pub(crate) fn in_flight(&self) -> u64 {
        let ended: u64 = self.results().into_iter().map(|(_, count)| count).sum();
        // The counters are not read at the same time.
        self.begun().saturating_sub(ended)
    }

    /// Returns the number of ended requests by operation, class and status.
    pub(crate) fn results(&self) -> Vec<(ResultLabels, u64)> {
        self.known().results.read()
    }
}

impl QueueListener for ScopeMetrics {
    fn joined(&self) {
        self.counts().queued.fetch_add(1, Ordering::Relaxed);
    }

    fn left(&self, waited: Duration) {
        self.counts().queue_wait.observe(waited);
    }
}

/// The progress of a request.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Started,
    /// The first content of a stream was there after this time.
    Streaming(Duration),
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
    status: u16,
    operation: Operation,
}

impl RequestMetrics {
    /// Starts the metrics of a request that began at `start`.
    pub(crate) fn begin(metrics: Arc<ScopeMetrics>, operation: Operation, start: Instant) -> Self {
        metrics.begin();
        Self::begun(metrics, operation, start)
    }

    /// Returns the metrics of a request that has begun at `start` and that the scope counts as begun.
    pub(crate) const fn begun(metrics: Arc<ScopeMetrics>, operation: Operation, start: Instant) -> Self {
        Self { metrics, start, stage: Stage::Started, status: 0, operation }
    }

    /// Records the response head.
    pub(crate) fn head(&mut self, head: ResponseHead) {
        let after = head.at.saturating_duration_since(self.start);
        self.status = head.status;
        self.stage = match (head.success, head.complete) {
            (true, true) => Stage::Complete(after),
            (false, true) => Stage::Ended(after),
            (true, false) => Stage::Streaming(after),
            (false, false) => Stage::Started,
        };
        if let Stage::Streaming(after) = self.stage {
            self.metrics.counts().first_content.observe(after);
        }
    }

    /// Counts the request with this outcome.
    pub(crate) fn complete(mut self, outcome: &Outcome, stats: BodyStats) {
        let labels = self.labels(Some(outcome.class()));
        self.metrics.add_tokens(stats.tokens);
        match std::mem::replace(&mut self.stage, Stage::Counted) {
            Stage::Complete(after) => self.metrics.end_whole(labels, after),
            Stage::Ended(after) => self.metrics.end(labels, after),
            Stage::Streaming(first) => {
                let after = self.elapsed();
                if !outcome.is_success() {
                    self.stream_broke(outcome.class());
                }
                if let Some(gaps @ 1..) = stats.events.checked_sub(1) {
                    self.metrics.counts().between_events.observe(after.saturating_sub(first) / gaps);
                }
                self.metrics.end(labels, after);
            }
            Stage::Started => self.metrics.end(labels, self.elapsed()),
            Stage::Counted => {}
        }
    }

    /// Keeps the failure of a stream that began well.
    #[cold]
    fn stream_broke(&self, class: Class) {
        self.metrics.recent_errors.add(class, Instant::now(), || RecentError {
            at: SystemTime::now(),
            class: class.as_str(),
            status: Some(self.status),
            message: "The stream broke after its first content.".to_owned(),
        });
    }

    const fn labels(&self, class: Option<Class>) -> ResultLabels {
        ResultLabels { operation: Some(self.operation), class, status: self.status }
    }

    fn elapsed(&self) -> Duration {
        Instant::now().saturating_duration_since(self.start)
    }
}

impl Drop for RequestMetrics {
    fn drop(&mut self) {
        if !matches!(self.stage, Stage::Counted) {
            self.metrics.end(self.labels(None), self.elapsed());
        }
    }
}
