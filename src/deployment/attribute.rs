//! Writes the deployment on each of its answers and errors: [`Attribute`].

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower::{Layer, Service};

use crate::{
    Error,
    body::{Listener, Response},
    classify::kind_of,
    error::{Judged, Origin},
    request::{Request, Trail},
};

/// Writes the deployment on each of its answers and errors, and the time it took on the request's trail.
#[derive(Clone, Debug)]
pub(crate) struct AttributeLayer {
    origin: Arc<Origin>,
}

impl AttributeLayer {
    /// Answers are this deployment's.
    pub(crate) const fn new(origin: Arc<Origin>) -> Self {
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
pub(crate) struct Attribute<S> {
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
    pub(crate) struct AttributeFuture<F> {
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
