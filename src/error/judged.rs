//! Of what class our own errors are: the second of the two places where [`Error`] is matched without `_`.

use std::convert::Infallible;

use tollgate_layers::{Class, Ending};

use crate::{Error, classify::Kind, error::Judged};

impl Judged for Error {
    fn ending(&self) -> Ending {
        match self {
            Self::Rejected(_)
            | Self::Unauthenticated { .. }
            | Self::NoRoute
            | Self::Method(_)
            | Self::UnknownModel(_) => Kind::BadRequest.ending().refused(),
            Self::Busy => Kind::Overloaded.ending().refused(),
            Self::Elapsed(elapsed) if elapsed.is_evidence() => Kind::Timeout.ending(),
            Self::Elapsed(_) => Kind::Timeout.ending().no_evidence(),
            Self::Exhausted(exhausted) => {
                Kind::RateLimited.ending().refused().with_retry_after(exhausted.retry_after())
            }
            Self::Wire(wire) => {
                let kind = if wire.timed_out { Kind::Timeout } else { Kind::Network };
                let ending = if wire.sent { kind.ending() } else { kind.ending().never_sent() };
                if wire.evidence { ending } else { ending.no_evidence() }
            }
            Self::Fault(fault) => fault.ending(),
            Self::Attempt(_, error) => error.ending(),
        }
    }
}

impl Judged for Infallible {
    fn ending(&self) -> Ending {
        Ending::of(Class::Success)
    }
}
