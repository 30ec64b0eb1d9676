//! The error of a balancer without capacity: [`Exhausted`].

use std::{error::Error, fmt, time::Duration};

use tokio::time::Instant;

/// The error for a request that no endpoint has capacity for in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted {
    retry_after: Option<Duration>,
}

impl Exhausted {
    pub(super) const NO_ENDPOINT: Self = Self { retry_after: None };

    /// Returns the error for a call that has capacity from this time on.
    pub(crate) fn at(until: Instant) -> Self {
        let wait = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        Self { retry_after: Some(wait) }
    }

    /// Returns the time after which a new request is admitted: all requests that wait now are served by then, and one more
    /// slot is free. Requests that arrive meanwhile are not taken into account.
    ///
    /// Never zero. `None` if there is no endpoint, or none that the request's
    /// [directive](crate::attempts::Directive::Untried) permits.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.retry_after {
            Some(after) => write!(f, "no endpoint has capacity; try again in {} ms", after.as_millis()),
            None => f.write_str("there is no endpoint to call"),
        }
    }
}

impl Error for Exhausted {}
