//! Counts what passes, at three heights: gateway, group, deployment.
//!
//! tower-http's trace and metrics layers see a status; this one hears the class that the leaf found, at the end
//! of the body, so that a stream that breaks is counted as broken.

use std::sync::Arc;

use tollgate_layers::Track;
use tower::Layer;

use crate::{
    body::{Answer, Response},
    error::Judged,
    metrics::{RequestMetrics, ScopeMetrics},
    request::{Begin, MapOutcome, Outcome},
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
pub(crate) type Instrument<S> = MapOutcome<S, InstrumentLayer>;

impl<S> Layer<S> for InstrumentLayer {
    type Service = Instrument<S>;

    fn layer(&self, inner: S) -> Instrument<S> {
        MapOutcome::new(inner, self.clone())
    }
}

impl<Req> Begin<Req> for InstrumentLayer {
    type Call = RequestMetrics;

    fn begin(&self, _: &Req) -> RequestMetrics {
        RequestMetrics::begin(Arc::clone(&self.meter))
    }
}

impl<E: Judged> Outcome<Response, E> for RequestMetrics {
    type Response = Response;
    type Error = E;

    fn end(mut self, outcome: Result<Response, E>) -> Result<Response, E> {
        if let Ok(response) = &outcome {
            let body = response.body();
            self.head(body.ending().is_success(), body.has_ended());
        }
        Answer.track(self, outcome)
    }
}
