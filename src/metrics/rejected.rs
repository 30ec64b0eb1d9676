//! The counters of requests that are refused before they are a call of a model: [`RejectedRequests`].

use std::sync::atomic::{AtomicU64, Ordering};

/// The reason of a refusal.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rejected {
    /// The path does not exist.
    Path,
    /// The path does not accept the method.
    Method,
    /// The key is missing or wrong.
    Key,
}

/// The number of refused requests, by reason.
#[derive(Debug, Default)]
pub(crate) struct RejectedRequests {
    counts: [AtomicU64; 3],
}

impl RejectedRequests {
    /// The `code` and the status of the error for each [`Rejected`], in its order.
    const ERRORS: [(&str, &str); 3] =
        [("not_found", "404"), ("method_not_allowed", "405"), ("invalid_api_key", "401")];

    /// Counts a refused request.
    pub(crate) fn add(&self, reason: Rejected) {
        self.counts[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the code, the status and the count of each reason.
    pub(super) fn read(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        Self::ERRORS.into_iter().zip(counts).map(|((code, status), count)| (code, status, count))
    }
}
