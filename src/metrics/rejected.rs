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
    /// The `code` of the error for each [`Rejected`], in its order.
    const CODES: [&str; 3] = ["not_found", "method_not_allowed", "invalid_api_key"];

    /// Counts a refused request.
    pub(crate) fn add(&self, reason: Rejected) {
        self.counts[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the code and the count of each reason.
    pub(super) fn by_code(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        Self::CODES.into_iter().zip(counts)
    }
}
