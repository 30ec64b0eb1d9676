//! Counts what passes: [`Instrument`] at three heights (gateway, group, deployment), and [`Attribute`], which writes
//! on an answer whose it is.
//!
//! tower-http's trace and metrics layers see a status; this one hears the class that the leaf found, at the end
//! of the body, so that a stream that breaks is counted as broken.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tokio::time::Instant;
use tollgate_layers::Track;
use tower::{Layer, Service};

use crate::{
    Error,
    body::{Answer, Listener},
    classify::kind_of,
    error::{Judged, Origin},
    metrics::{Count, Meter},
    request::{Request, Response, Trail},
};

/// Counts the requests that pass, their classes, how many are under way, and how long they take.
#[derive(Clone, Debug)]
pub struct InstrumentLayer {
    meter: Arc<Meter>,
}

impl InstrumentLayer {
    /// Counts into this meter.
    #[must_use]
    pub const fn new(meter: Arc<Meter>) -> Self {
        Self { meter }
    }
}

impl<S> Layer<S> for InstrumentLayer {
    type Service = Instrument<S>;

    fn layer(&self, inner: S) -> Instrument<S> {
        Instrument { inner, meter: Arc::clone(&self.meter) }
    }
}

/// See [`InstrumentLayer`].
#[derive(Clone, Debug)]
pub struct Instrument<S> {
    inner: S,
    meter: Arc<Meter>,
}

impl<S, Req> Service<Req> for Instrument<S>
where
    S: Service<Req, Response = Response>,
    S::Error: Judged,
{
    type Response = Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, req: Req) -> Self::Future {
        let count = Count::begin(Arc::clone(&self.meter));
        ResponseFuture { inner: self.inner.call(req), count: Some(count) }
    }
}

pin_project! {
    /// The future of [`Instrument`].
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        count: Option<Count>,
    }
}

impl<F, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response, E>>,
    E: Judged,
{
    type Output = Result<Response, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let outcome = ready!(this.inner.poll(cx));
        Poll::Ready(match this.count.take() {
            Some(mut count) => {
                if let Ok(response) = &outcome {
                    let body = response.body();
                    count.head(body.ending().is_success(), body.has_ended());
                }
                Answer.track(count, outcome)
            }
            None => outcome,
        })
    }
}

/// Writes the deployment on each of its answers and errors, and the time it took on the request's trail.
#[derive(Clone, Debug)]
pub struct AttributeLayer {
    origin: Arc<Origin>,
}

impl AttributeLayer {
    /// Answers are this deployment's.
    #[must_use]
    pub const fn new(origin: Arc<Origin>) -> Self {
        Self { origin }
    }
}

impl<S> Layer<S> for AttributeLayer {
    type Service = Attribute<S>;

    fn layer(&self, inner: S) -> Attribute<S> {
        Attribute { inner, origin: Arc::clone(&self.origin) }
    }
}

/// See [`AttributeLayer`].
#[derive(Clone, Debug)]
pub struct Attribute<S> {
    inner: S,
    origin: Arc<Origin>,
}

impl<S> Service<Request> for Attribute<S>
where
    S: Service<Request, Response = Response, Error = Error>,
{
    type Response = Response;
    type Error = Error;
    type Future = AttributeFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let trail = Arc::clone(&request.trail);
        trail.called(self.origin.retries);
        let origin = Arc::clone(&self.origin);
        AttributeFuture {
            inner: self.inner.call(request),
            start: Instant::now(),
            trail,
            origin: Some(origin),
        }
    }
}

pin_project! {
    /// The future of [`Attribute`].
    pub struct AttributeFuture<F> {
        #[pin]
        inner: F,
        start: Instant,
        trail: Arc<Trail>,
        origin: Option<Arc<Origin>>,
    }
}

/// One line for each attempt that failed, at `RUST_LOG=tollgate=info`: who and why. What the upstream said is not
/// told: it may repeat the prompt.
fn tell(origin: &Origin, outcome: &Result<Response, Error>) {
    let ending = match outcome {
        Ok(response) => *response.body().ending(),
        Err(error) => error.ending(),
    };
    if ending.is_success() {
        return;
    }
    let (deployment, group) = (&origin.deployment, &origin.group);
    let kind = kind_of(&ending);
    match outcome {
        Ok(response) => {
            let status = response.status().as_u16();
            tracing::info!(?deployment, ?group, ?kind, status, "attempt failed");
        }
        Err(error) => tracing::info!(?deployment, ?group, ?kind, %error, "attempt failed"),
    }
}

/// The same for one that fails when its head has gone.
fn teller(origin: Arc<Origin>) -> Listener {
    Listener::new(Arc::new(move |ending| {
        // One that was cancelled has not failed.
        if let Some(ending) = ending.filter(|ending| !ending.is_success()) {
            let (deployment, group, kind) = (&origin.deployment, &origin.group, kind_of(ending));
            tracing::info!(?deployment, ?group, ?kind, "attempt failed under way");
        }
    }))
}

impl<F> Future for AttributeFuture<F>
where
    F: Future<Output = Result<Response, Error>>,
{
    type Output = Result<Response, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        // Reading the answer, below, is the gateway's own time.
        let now = Instant::now();
        let mut outcome = ready!(this.inner.poll(cx));
        this.trail.add_upstream(now.saturating_duration_since(*this.start));
        if let Some(origin) = this.origin.take() {
            tell(&origin, &outcome);
            outcome = match outcome {
                Ok(mut response) => {
                    let body = response.body_mut();
                    if !body.has_ended() && tracing::enabled!(tracing::Level::INFO) {
                        body.fasten(teller(Arc::clone(&origin)));
                    }
                    body.set_origin(origin);
                    Ok(response)
                }
                Err(error) => Err(Error::Attempt(origin, Box::new(error))),
            };
        }
        Poll::Ready(outcome)
    }
}
