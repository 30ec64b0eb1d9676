//! A layer that counts requests, for the gateway, each group and each deployment: [`Instrument`].
//!
//! tower-http's trace and metrics layers see a status. This layer sees the outcome at the end of the body, so that a
//! stream that breaks is counted as broken.

use std::sync::Arc;

use tollgate_layers::TrackOutcome;

use crate::{
    body::{BodyOutcome, Response},
    error::HasOutcome,
    metrics::{RequestMetrics, ScopeMetrics},
    request::{AroundCall, BeginCall, EndCall},
};

/// Counts requests by outcome, counts the requests in flight and measures their durations.
pub(crate) type Instrument<S> = AroundCall<S, Arc<ScopeMetrics>>;

impl<Req> BeginCall<Req> for Arc<ScopeMetrics> {
    type Call = RequestMetrics;

    fn begin(&self, _: &Req) -> RequestMetrics {
        RequestMetrics::begin(Arc::clone(self))
    }
}

impl<E: HasOutcome> EndCall<Response, E> for RequestMetrics {
    type Response = Response;
    type Error = E;

    fn end(mut self, result: Result<Response, E>) -> Result<Response, E> {
        let body = result.as_ref().ok().map(|response| response.body());
        // Of an early body it is notified when the response is there.
        if let Some(body) = body.filter(|body| !body.is_early()) {
            self.head(body.outcome().is_success(), body.has_ended());
        }
        BodyOutcome.track(self, result)
    }
}
