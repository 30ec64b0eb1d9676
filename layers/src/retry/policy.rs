//! The configuration of [`Retry`](super::Retry), and a trait of it that names the bounds once: [`RetryPolicy`].

use std::time::Duration;

use tokio::time::Instant;

use super::{Backoff, Budget};
use crate::{Attempts, Classify, Outcome, Setting, attempts::NoAttempts, setting::Constant};

/// The configuration of a [`RetryLayer`](super::RetryLayer), shared by the clones of its service.
#[derive(Clone, Debug)]
pub struct RetryConfig<R, C, A = NoAttempts, D = Constant<Option<Instant>>, M = Constant<Option<u32>>> {
    pub(super) retries: R,
    pub(super) classify: C,
    pub(super) attempts: A,
    pub(super) deadline: D,
    pub(super) max_attempts: M,
    pub(super) pacing: Pacing,
}

/// The settings that do not depend on the request.
#[derive(Clone, Debug)]
pub struct Pacing {
    pub(super) budget: Option<Budget>,
    pub(super) backoff: Backoff,
    pub(super) max_wait: Duration,
    /// True if the setting of retries also decides about client errors.
    pub(super) client_errors: bool,
}

/// The decisions of [`Retry`](super::Retry). Implemented by [`RetryConfig`]; for bounds in generic code.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a `RetryPolicy<{Req}, {Res}, {Err}>`",
    label = "not the configuration of a retry",
    note = "make the service by `RetryLayer`"
)]
pub trait RetryPolicy<Req, Res, Err> {
    /// Returns the outcome of a result.
    fn classify(&self, result: Result<&Res, &Err>) -> Outcome;
    /// Returns the number of retries that are allowed after this outcome.
    fn retries(&self, req: &Req, outcome: &Outcome) -> u32;
    /// Returns true if the outcome is returned to the caller, whatever was tried before.
    fn is_final(&self, req: &Req, outcome: &Outcome) -> bool {
        if outcome.is_refusal() || outcome.is_success() || !outcome.allows_retry() {
            return true;
        }
        let is_asked = self.pacing().client_errors && self.retries(req, outcome) > 0;
        !(is_asked || outcome.class().worth_another())
    }
    /// Returns the record of attempts of the request.
    fn attempts<'a>(&self, req: &'a Req) -> Option<&'a Attempts>;
    /// Returns the deadline of the request.
    fn deadline(&self, req: &Req) -> Option<Instant>;
    /// Returns the limit of attempts per request.
    fn max_attempts(&self, req: &Req) -> Option<u32>;
    /// Returns the settings that do not depend on the request.
    fn pacing(&self) -> &Pacing;
}

impl<Req, Res, Err, R, C, A, D, M> RetryPolicy<Req, Res, Err> for RetryConfig<R, C, A, D, M>
where
    R: for<'a> Setting<(&'a Req, &'a Outcome), Value = u32>,
    C: Classify<Res, Err>,
    A: for<'a> Setting<&'a Req, Value = Option<&'a Attempts>>,
    D: for<'a> Setting<&'a Req, Value = Option<Instant>>,
    M: for<'a> Setting<&'a Req, Value = Option<u32>>,
{
    fn classify(&self, result: Result<&Res, &Err>) -> Outcome {
        self.classify.classify(result)
    }

    fn retries(&self, req: &Req, outcome: &Outcome) -> u32 {
        self.retries.get((req, outcome))
    }

    fn attempts<'a>(&self, req: &'a Req) -> Option<&'a Attempts> {
        self.attempts.get(req)
    }

    fn deadline(&self, req: &Req) -> Option<Instant> {
        self.deadline.get(req)
    }

    fn max_attempts(&self, req: &Req) -> Option<u32> {
        self.max_attempts.get(req)
    }

    fn pacing(&self) -> &Pacing {
        &self.pacing
    }
}
