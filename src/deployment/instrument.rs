//! A layer that counts requests, for the gateway, each group and each deployment: [`InstrumentLayer`].
//!
//! tower-http's trace and metrics layers see a status. This layer sees the outcome at the end of the body, so that a
//! stream that breaks is counted as broken.

use std::sync::Arc;

use tollgate_layers::TrackOutcome;
use tower::Layer;

use crate::{
    body::{BodyOutcome, Response},
    error::HasOutcome,
    metrics::{RequestMetrics, ScopeMetrics},
    request::{AroundCall, BeginCall, EndCall},
};

/// Counts requests by outcome, counts the requests in flight and measures their durations.
#[derive(Clone, Debug)]
pub(crate) struct InstrumentLayer {
    metrics: Arc<ScopeMetrics>,
}

impl InstrumentLayer {
    /// Creates a layer that counts in `metrics`.
    pub(crate) const fn new(metrics: Arc<ScopeMetrics>) -> Self {
        Self { metrics }
    }
}

/// The service of [`InstrumentLayer`].
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
        RequestMetrics::begin(Arc::clone(&self.metrics))
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
