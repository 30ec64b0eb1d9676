//! Response tracking for the layers: [`BodyOutcome`].

use tollgate_layers::{Classify, Outcome, TrackOutcome};

use super::{Response, handle::OutcomeHandle};
use crate::{error::HasOutcome, metrics::BodyStats};

/// Reads a response's outcome from its body, and attaches handles to the body. The outcome is computed once, by Peek.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BodyOutcome;

impl<E: HasOutcome> Classify<Response, E> for BodyOutcome {
    fn classify(&self, result: Result<&Response, &E>) -> Outcome {
        match result {
            Ok(response) => *response.body().outcome(),
            Err(error) => error.outcome(),
        }
    }
}

impl<H, E> TrackOutcome<H, Response, E> for BodyOutcome
where
    H: Into<OutcomeHandle>,
    E: HasOutcome,
{
    fn track(&self, handle: H, mut result: Result<Response, E>) -> Result<Response, E> {
        // In place: a response head is some hundred bytes, and several handles are attached to each.
        match &mut result {
            Ok(response) => response.body_mut().attach(handle),
            Err(error) => handle.into().complete(&error.outcome(), BodyStats::default()),
        }
        result
    }
}
