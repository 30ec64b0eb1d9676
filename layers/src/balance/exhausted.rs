//! The balancer's own refusal: [`Exhausted`].

use std::{error::Error, fmt, time::Duration};

/// No endpoint has room, and none will in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted {
    retry_after: Option<Duration>,
}

impl Exhausted {
    pub(super) const fn new(retry_after: Option<Duration>) -> Self {
        Self { retry_after }
    }

    /// When a lone caller who returns will be admitted: as soon as all who wait now have been served, and one more
    /// slot frees. Arrivals to come are not counted. Never zero; `None` where there is no endpoint at all, or none that the
    /// request was [still ready to take](crate::attempts::Directive::Untried).
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.retry_after {
            Some(after) => write!(f, "no endpoint has room; try again in {} ms", after.as_millis()),
            None => f.write_str("there is no endpoint to call"),
        }
    }
}

impl Error for Exhausted {}
