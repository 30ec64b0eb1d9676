//! A layer that counts requests, for the gateway and for each group: [`Instrument`].
//!
//! tower-http's trace and metrics layers see a status. This layer sees the outcome at the end of the body, so that a
//! stream that breaks is counted as broken. Attempts are counted by
//! [`RecordAttempt`](crate::deployment::record_attempt::RecordAttempt).

use std::sync::Arc;

use tokio::time::Instant;
use tollgate_layers::{Class, TrackOutcome};

use crate::{
    body::{BodyOutcome, Response},
    error::HasOutcome,
    metrics::{RequestMetrics, ResponseHead, ScopeMetrics},
    operation::Operation,
    request::{AroundCall, BeginCall, EndCall, Request},
};

/// Counts requests by operation, class and status, counts the requests in flight and measures their durations.
pub(crate) type Instrument<S> = AroundCall<S, Arc<ScopeMetrics>>;

/// A request whose metrics can begin.
pub(crate) trait Measured {
    /// Returns the operation.
    fn operation(&self) -> Operation;

    /// Returns the beginning.
    fn start(&self) -> Instant;

    /// Returns the class of the failure that the request follows, if it is a fallback.
    fn cause(&self) -> Option<Class> {
        None
    }
}

impl Measured for Request {
    fn operation(&self) -> Operation {
        self.info.operation
    }

    fn start(&self) -> Instant {
        Instant::now()
    }

    fn cause(&self) -> Option<Class> {
        self.context.take_cause()
    }
}

impl<Req: Measured> BeginCall<Req> for Arc<ScopeMetrics> {
    type Call = RequestMetrics;

    fn begin(&self, request: &Req) -> RequestMetrics {
        if let Some(cause) = request.cause() {
            self.fallback(cause);
        }
        RequestMetrics::begin(Arc::clone(self), request.operation(), request.start())
    }
}

impl<E: HasOutcome> EndCall<Response, E> for RequestMetrics {
    type Response = Response;
    type Error = E;

    fn end(mut self, result: Result<Response, E>) -> Result<Response, E> {
        // Of an early body it is notified when the response is there.
        if let Ok(response) = result.as_ref().map(AsRef::as_ref)
            && !response.body().is_early()
        {
            let body = response.body();
            self.head(ResponseHead {
                success: body.outcome().is_success(),
                complete: body.has_ended(),
                status: response.status().as_u16(),
                at: Instant::now(),
            });
        }
        BodyOutcome.track(self, result)
    }
}
