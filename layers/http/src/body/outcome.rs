//! The outcome of a response, read from its body: [`BodyOutcome`].

use http::Response;
use tollgate_layers::{Classify, OnComplete, Outcome, TrackOutcome};

use super::track::TrackBody;
use crate::error::ErrorOutcome;

/// Reads the outcome of a response from its [`TrackBody`], and attaches handles to that body.
///
/// All layers above [`TrackBodyLayer`](super::TrackBodyLayer) take it, as their classifier and as their tracker. A response
/// was classified once, when the body was made; an error is classified by [`ErrorOutcome`].
#[derive(Clone, Copy, Debug, Default)]
pub struct BodyOutcome;

impl<B, T, E: ErrorOutcome> Classify<Response<TrackBody<B, T>>, E> for BodyOutcome {
    fn classify(&self, result: Result<&Response<TrackBody<B, T>>, &E>) -> Outcome {
        match result {
            Ok(response) => *response.body().outcome(),
            Err(error) => error.outcome(),
        }
    }
}

impl<H, B, T, E> TrackOutcome<H, Response<TrackBody<B, T>>, E> for BodyOutcome
where
    H: OnComplete + Send + Sync + 'static,
    E: ErrorOutcome,
{
    fn track(
        &self,
        handle: H,
        mut result: Result<Response<TrackBody<B, T>>, E>,
    ) -> Result<Response<TrackBody<B, T>>, E> {
        match &mut result {
            Ok(response) => response.body_mut().attach(handle),
            Err(error) => handle.complete(&error.outcome()),
        }
        result
    }
}
