//! Counts what passes, at three heights: gateway, group, deployment.
//!
//! tower-http's trace and metrics layers see a status; this one hears the class that the leaf found, at the end
//! of the body, so that a stream that breaks is counted as broken.

use std::sync::Arc;

use tollgate_layers::TrackOutcome;
use tower::Layer;

use crate::{
    body::{BodyOutcome, Response},
    error::HasOutcome,
    metrics::{RequestMetrics, ScopeMetrics},
    request::{AroundCall, BeginCall, EndCall},
};

/// Counts the requests that pass, their classes, how many are under way, and how long they take.
#[derive(Clone, Debug)]
pub(crate) struct InstrumentLayer {
    meter: Arc<ScopeMetrics>,
}

impl InstrumentLayer {
    /// Counts into this meter.
    pub(crate) const fn new(meter: Arc<ScopeMetrics>) -> Self {
        Self { meter }
    }
}

/// See [`InstrumentLayer`].
pub(crate) type Instrument<S> = AroundCall<S, InstrumentLayer>;

impl<S> Layer<S> for InstrumentLayer {
    type Service = Instrument<S>;

    fn layer(&self, inner: S) -> Instrument<S> {
        AroundCall::new(inner, self.clone())
    }
}

impl<Req> BeginCall<Req> for InstrumentLayer {
    type Call = RequestMetrics;

    fn begin(&self, _: &Req) -> RequestMetrics {
        RequestMetrics::begin(Arc::clone(&self.meter))
    }
}

impl<E: HasOutcome> EndCall<Response, E> for RequestMetrics {
    type Response = Response;
    type Error = E;

    fn end(mut self, result: Result<Response, E>) -> Result<Response, E> {
        if let Ok(response) = &result {
            let body = response.body();
            self.head(body.outcome().is_success(), body.has_ended());
        }
        BodyOutcome.track(self, result)
    }
}
