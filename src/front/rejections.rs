//! Requests that are refused before they are a call of a model: counted and logged by [`Rejections`].

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::{Duration, Instant};

use crate::{
    Error,
    metrics::{Rejected, RejectedRequests},
};

/// The number of log lines in each [`PERIOD`]. Any client can cause them, and must not fill the disk.
const LINES: u32 = 20;

/// The period to which [`LINES`] applies.
const PERIOD: Duration = Duration::from_secs(10);

/// The counters and the log of refused requests. Clones share both.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rejections {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    counts: Arc<RejectedRequests>,
    lines: Mutex<Lines>,
}

/// The log lines of the current period.
#[derive(Debug, Default)]
struct Lines {
    since: Option<Instant>,
    written: u32,
    omitted: u64,
}

impl Rejections {
    /// Returns the recorder that counts on `counts`.
    pub(crate) fn new(counts: Arc<RejectedRequests>) -> Self {
        Self { shared: Arc::new(Shared { counts, lines: Mutex::default() }) }
    }

    /// Counts a refused request and logs its path, without the query, which may contain a key.
    pub(super) fn record<B>(&self, error: &Error, request: &http::Request<B>) {
        self.shared.counts.add(match error {
            Error::Unauthenticated(_) => Rejected::Key,
            Error::Method(_) => Rejected::Method,
            _ => Rejected::Path,
        });
        let line = self.shared.lines.lock().unwrap_or_else(PoisonError::into_inner).next(Instant::now());
        let Some(omitted) = line else { return };
        if omitted > 0 {
            tracing::warn!("{omitted} further requests were refused, and not logged");
        }
        let path: String = request.uri().path().chars().take(200).collect();
        let status = error.status().as_u16();
        tracing::warn!(status, method = %request.method(), path, "request refused: {error}");
    }
}

impl Lines {
    /// Returns the number of lines omitted before the next one, or `None` if that is omitted too.
    fn next(&mut self, now: Instant) -> Option<u64> {
        if self.since.is_none_or(|since| now.duration_since(since) >= PERIOD) {
            (self.since, self.written) = (Some(now), 0);
        }
        if self.written == LINES {
            self.omitted += 1;
            return None;
        }
        self.written += 1;
        Some(std::mem::take(&mut self.omitted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn rejections_beyond_the_limit_of_log_lines_are_counted_in_the_next_line() {
        let mut lines = Lines::default();
        let mut next = || lines.next(Instant::now());
        assert!((0..LINES).all(|_| next() == Some(0)));
        assert_eq!([next(), next()], [None, None]);
        tokio::time::advance(PERIOD).await;
        assert_eq!([next(), next()], [Some(2), Some(0)]);
    }
}
