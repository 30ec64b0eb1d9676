//! Of what class our own errors are: the second of the two places where [`Error`] is matched without `_`.

use std::convert::Infallible;

use tollgate_layers::{Class, Ending};

use crate::{Error, classify::OutcomeKind, error::Judged};

impl Judged for Error {
    fn ending(&self) -> Ending {
        match self {
            Self::Rejected(_)
            | Self::Unauthenticated { .. }
            | Self::NoRoute
            | Self::Method(_)
            | Self::UnknownModel(_) => OutcomeKind::BadRequest.ending().refused(),
            Self::Busy => OutcomeKind::Overloaded.ending().refused(),
            Self::Elapsed(elapsed) if elapsed.is_evidence() => OutcomeKind::Timeout.ending(),
            Self::Elapsed(_) => OutcomeKind::Timeout.ending().no_evidence(),
            Self::Exhausted(exhausted) => {
                OutcomeKind::RateLimited.ending().refused().with_retry_after(exhausted.retry_after())
            }
            Self::Wire(wire) => {
                let kind = if wire.timed_out { OutcomeKind::Timeout } else { OutcomeKind::Network };
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
