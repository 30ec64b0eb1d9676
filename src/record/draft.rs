//! The record of a request in progress: [`Draft`].

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::HeaderValue;
use tokio::time::Instant;
use tollgate_layers::{Class, Outcome};

use super::{Attempt, Course, Trace};
use crate::{error::Origin, metrics::BodyStats, spend::Spending};

/// The part of a record that the layers below the front complete. Shared by the layers and the response's body.
pub(crate) struct Draft {
    start: Instant,
    trace: Option<Trace>,
    spending: Arc<Spending>,
    course: Mutex<Course>,
}

/// The result of an attempt, as far as it is known with the response's head.
#[derive(Debug, Default)]
pub(crate) struct AttemptResult {
    /// The class; `None` for a cancelled attempt.
    pub(crate) class: Option<Class>,
    /// The status of the upstream, if it sent one.
    pub(crate) status: Option<u16>,
    /// The message of a failure.
    pub(crate) message: Option<String>,
}

impl Draft {
    /// Returns an empty draft of a request that arrived at `start`.
    pub(crate) fn new(start: Instant, trace: Option<Trace>) -> Self {
        Self { start, trace, spending: Arc::default(), course: Mutex::default() }
    }

    /// Returns the header `traceparent` for the upstream of the attempt that begins, if requests are traced.
    pub(crate) fn traceparent(&self) -> Option<HeaderValue> {
        self.trace?.traceparent(self.course().attempts.len())
    }

    /// Returns the spending of the request, which its attempts add to.
    pub(crate) fn spending(&self) -> Arc<Spending> {
        Arc::clone(&self.spending)
    }

    /// Returns the time from the arrival to `at`.
    pub(crate) fn since_start(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.start)
    }

    /// Records the name of the client's key.
    pub(crate) fn set_key(&self, name: &Arc<str>) {
        self.course().key = Some(Arc::clone(name));
    }

    /// Records the call that the body contains, before the tree is called.
    pub(crate) fn called(&self, operation: &'static str, model: &Arc<str>, bytes: usize) {
        let mut course = self.course();
        course.operation = Some(operation);
        course.model = Some(Arc::clone(model));
        course.bytes = bytes as u64;
        course.read = self.since_start(Instant::now());
    }

    /// Records the next group.
    pub(crate) fn fallback(&self, group: &Arc<str>) {
        self.course().fallbacks.push(Arc::clone(group));
    }

    /// Records an attempt from `begun` to `ended`. Returns the handle of its body.
    pub(crate) fn attempt(
        self: &Arc<Self>,
        origin: &Arc<Origin>,
        (begun, ended): (Instant, Instant),
        result: AttemptResult,
    ) -> AttemptHandle {
        let AttemptResult { class, status, message } = result;
        let (begun, ended) = (self.since_start(begun), self.since_start(ended));
        let mut course = self.course();
        let index = course.attempts.len();
        let (origin, tokens) = (Arc::clone(origin), Default::default());
        course.attempts.push(Attempt { origin, begun, ended, class, status, tokens, message });
        AttemptHandle { draft: Some(Arc::clone(self)), index }
    }

    /// Calls `read` with the course so far.
    pub(crate) fn read<R>(&self, read: impl FnOnce(&Course) -> R) -> R {
        read(&self.course())
    }

    /// Takes the course. The response has ended, so its attempts are charged.
    pub(super) fn take(&self) -> Course {
        Course { cost: self.spending.dollars(), ..std::mem::take(&mut *self.course()) }
    }

    fn course(&self) -> MutexGuard<'_, Course> {
        self.course.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, index: usize, change: impl FnOnce(&mut Attempt)) {
        // The course of a request is taken when the request has ended, which an attempt may outlive.
        if let Some(attempt) = self.course().attempts.get_mut(index) {
            change(attempt);
        }
    }
}

impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Draft")
    }
}

/// The handle of an attempt: records the outcome of its body.
#[derive(Debug)]
pub(crate) struct AttemptHandle {
    draft: Option<Arc<Draft>>,
    index: usize,
}

impl AttemptHandle {
    /// Records the outcome.
    pub(crate) fn complete(mut self, outcome: &Outcome, stats: BodyStats) {
        if let Some(draft) = self.draft.take() {
            let ended = draft.since_start(Instant::now());
            draft.change(self.index, |attempt| {
                (attempt.ended, attempt.class, attempt.tokens) = (ended, Some(outcome.class()), stats.tokens);
            });
        }
    }
}

impl Drop for AttemptHandle {
    fn drop(&mut self) {
        if let Some(draft) = self.draft.take() {
            let ended = draft.since_start(Instant::now());
            draft.change(self.index, |attempt| (attempt.ended, attempt.class) = (ended, None));
        }
    }
}
