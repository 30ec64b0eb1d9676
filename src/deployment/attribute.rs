//! Writes the deployment on each of its answers and errors: [`RecordOrigin`].

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
    body::{OutcomeCallback, Response},
    classify::kind_of,
    error::{HasOutcome, Origin},
    request::{Request, RequestContext},
};

/// Writes the deployment on each of its answers and errors, and the time it took on the request's trail.
#[derive(Clone, Debug)]
pub(crate) struct RecordOriginLayer {
    origin: Arc<Origin>,
}

impl RecordOriginLayer {
    /// Answers are this deployment's.
    pub(crate) const fn new(origin: Arc<Origin>) -> Self {
        Self { origin }
    }
}

impl<S> Layer<S> for RecordOriginLayer {
    type Service = RecordOrigin<S>;

    fn layer(&self, inner: S) -> RecordOrigin<S> {
        RecordOrigin { inner, origin: Arc::clone(&self.origin) }
    }
}

/// See [`RecordOriginLayer`].
#[derive(Clone, Debug)]
pub(crate) struct RecordOrigin<S> {
    inner: S,
    origin: Arc<Origin>,
}

impl<S> Service<Request> for RecordOrigin<S>
where
    S: Service<Request, Response = Response, Error = Error>,
{
    type Response = Response;
    type Error = Error;
    type Future = RecordOriginFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let context = Arc::clone(&request.context);
        context.called(self.origin.retries);
        let origin = Arc::clone(&self.origin);
        RecordOriginFuture {
            inner: self.inner.call(request),
            start: Instant::now(),
            context,
            origin: Some(origin),
        }
    }
}

pin_project! {
    /// The future of [`RecordOrigin`].
    pub(crate) struct RecordOriginFuture<F> {
        #[pin]
        inner: F,
        start: Instant,
        context: Arc<RequestContext>,
        origin: Option<Arc<Origin>>,
    }
}

/// One line for each attempt that failed, at `RUST_LOG=tollgate=info`: who and why. What the upstream said is not
/// told: it may repeat the prompt.
fn tell(origin: &Origin, result: &Result<Response, Error>) {
    let outcome = match result {
        Ok(response) => *response.body().outcome(),
        Err(error) => error.outcome(),
    };
    if outcome.is_success() {
        return;
    }
    let (deployment, group) = (&origin.deployment, &origin.group);
    let kind = kind_of(&outcome);
    match result {
        Ok(response) => {
            let status = response.status().as_u16();
            tracing::info!(?deployment, ?group, ?kind, status, "attempt failed");
        }
        Err(error) => tracing::info!(?deployment, ?group, ?kind, %error, "attempt failed"),
    }
}

/// The same for one that fails when its head has gone.
fn teller(origin: Arc<Origin>) -> OutcomeCallback {
    OutcomeCallback::new(Arc::new(move |outcome| {
        // One that was cancelled has not failed.
        if let Some(outcome) = outcome.filter(|outcome| !outcome.is_success()) {
            let (deployment, group, kind) = (&origin.deployment, &origin.group, kind_of(outcome));
            tracing::info!(?deployment, ?group, ?kind, "attempt failed under way");
        }
    }))
}

impl<F> Future for RecordOriginFuture<F>
where
    F: Future<Output = Result<Response, Error>>,
{
    type Output = Result<Response, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        // Reading the answer, below, is the gateway's own time.
        let now = Instant::now();
        let mut result = ready!(this.inner.poll(cx));
        this.context.add_upstream(now.saturating_duration_since(*this.start));
        if let Some(origin) = this.origin.take() {
            tell(&origin, &result);
            result = match result {
                Ok(mut response) => {
                    let body = response.body_mut();
                    if !body.has_ended() && tracing::enabled!(tracing::Level::INFO) {
                        body.attach(teller(Arc::clone(&origin)));
                    }
                    body.set_origin(origin);
                    Ok(response)
                }
                Err(error) => Err(Error::Attempt(origin, Box::new(error))),
            };
        }
        Poll::Ready(result)
    }
}
