//! The outcome of each [`Error`]: the second of the two places where it is matched without `_`.

use std::convert::Infallible;

use tollgate_layers::{Class, Outcome};

use super::{KeyLimitKind, PreCallError};
use crate::{Error, classify::OutcomeKind, error::HasOutcome};

impl HasOutcome for Error {
    fn outcome(&self) -> Outcome {
        match self {
            Self::InvalidRequest(_)
            | Self::Unauthenticated(_)
            | Self::ModelDenied(_)
            | Self::MasterKeyOnly
            | Self::PreCall(PreCallError::Region(_) | PreCallError::Operation(_))
            | Self::Operator(_)
            | Self::NoRoute { .. }
            | Self::Method(_)
            | Self::UnknownModel(_)
            | Self::UnknownResponse(_)
            | Self::Unserved { .. }
            | Self::TagsDenied(_) => OutcomeKind::BadRequest.outcome().refused(),
            Self::PreCall(PreCallError::ContextWindow { .. }) => {
                OutcomeKind::ContextWindow.outcome().refused()
            }
            Self::KeyLimit(limit) => {
                let kind = match limit.kind {
                    KeyLimitKind::Budget(_) | KeyLimitKind::GatewayBudget(_) => OutcomeKind::QuotaExhausted,
                    _ => OutcomeKind::RateLimited,
                };
                kind.outcome().refused().with_retry_after(limit.retry_after)
            }
            Self::Busy => OutcomeKind::Overloaded.outcome().refused(),
            Self::Elapsed(elapsed) if elapsed.is_evidence() => OutcomeKind::Timeout.outcome(),
            Self::Elapsed(_) => OutcomeKind::Timeout.outcome().without_evidence(),
            Self::Exhausted(exhausted) => {
                OutcomeKind::RateLimited.outcome().refused().with_retry_after(exhausted.retry_after())
            }
            Self::Transport(transport) => {
                let kind = if transport.timed_out { OutcomeKind::Timeout } else { OutcomeKind::Network };
                let outcome = if transport.sent { kind.outcome() } else { kind.outcome().never_sent() };
                if transport.evidence { outcome } else { outcome.without_evidence() }
            }
            Self::Body(error) => error.outcome(),
            Self::Attempt(_, error) => error.outcome(),
        }
    }
}

impl HasOutcome for Infallible {
    fn outcome(&self) -> Outcome {
        Outcome::new(Class::Success)
    }
}
