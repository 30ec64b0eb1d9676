//! What the gateway's answers tell the layers: [`BodyOutcome`].

use tollgate_layers::{Classify, OnComplete, Outcome, TrackOutcome};

use super::{Response, handle::OutcomeHandle};
use crate::error::HasOutcome;

/// Reads an answer's outcome out of its body, and fastens handles to it. The outcome was made once, at the leaf.
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
        // Where it lies: an answer's head is some hundred bytes, and several handles are fastened to each.
        match &mut result {
            Ok(response) => response.body_mut().attach(handle),
            Err(error) => handle.into().complete(&error.outcome()),
        }
        result
    }
}
