//! What the gateway's answers tell the layers: [`Answer`].

use tollgate_layers::{Classify, Ending, Hear, Track};

use super::{Response, handle::Handle};
use crate::error::Judged;

/// Reads an answer's ending out of its body, and fastens handles to it. The ending was made once, at the leaf.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Answer;

impl<E: Judged> Classify<Response, E> for Answer {
    fn classify(&self, outcome: Result<&Response, &E>) -> Ending {
        match outcome {
            Ok(response) => *response.body().ending(),
            Err(error) => error.ending(),
        }
    }
}

impl<H, E> Track<H, Response, E> for Answer
where
    H: Into<Handle>,
    E: Judged,
{
    fn track(&self, handle: H, mut outcome: Result<Response, E>) -> Result<Response, E> {
        // Where it lies: an answer's head is some hundred bytes, and several handles are fastened to each.
        match &mut outcome {
            Ok(response) => response.body_mut().fasten(handle),
            Err(error) => handle.into().end(&error.ending()),
        }
        outcome
    }
}
