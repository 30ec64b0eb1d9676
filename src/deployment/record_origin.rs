//! A layer that records the deployment in its responses and errors: [`RecordOrigin`].

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower::{Layer, Service, layer::layer_fn};

use crate::{
    Error,
    body::{OutcomeCallback, Response},
    classify::kind_of,
    error::{HasOutcome, Origin},
    request::{Request, RequestContext},
};

/// Records the deployment in each of its responses and errors, and the time it took in the request context.
#[derive(Clone, Debug)]
pub(crate) struct RecordOrigin<S> {
    inner: S,
    origin: Arc<Origin>,
}

impl<S> RecordOrigin<S> {
    /// Returns the layer of one deployment.
    pub(crate) fn layer(origin: Arc<Origin>) -> impl Layer<S, Service = Self> {
        layer_fn(move |inner| Self { inner, origin: Arc::clone(&origin) })
    }
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
        RecordOriginFuture { inner: self.inner.call(request), start: None, context, origin: Some(origin) }
    }
}

pin_project! {
    /// The future of [`RecordOrigin`].
    pub(crate) struct RecordOriginFuture<F> {
        #[pin]
        inner: F,
        // The time of the first poll, which follows the call at once.
        start: Option<Instant>,
        context: Arc<RequestContext>,
        origin: Option<Arc<Origin>>,
    }
}

/// Logs an attempt that failed, at level INFO: its deployment, group and kind. The body of the upstream is not logged,
/// because it may repeat the prompt.
fn log_failure(origin: &Origin, result: &Result<Response, Error>) {
    let (outcome, status, error) = match result {
        Ok(response) => (*response.body().outcome(), Some(response.status().as_u16()), None),
        Err(error) => (error.outcome(), None, Some(tracing::field::display(error))),
    };
    if !outcome.is_success() {
        let (deployment, group, kind) = (&origin.deployment, &origin.group, kind_of(&outcome));
        tracing::info!(?deployment, ?group, ?kind, status, error, "attempt failed");
    }
}

/// Returns a listener that logs an attempt that fails after its response head was passed on.
fn log_late_failure(origin: Arc<Origin>) -> OutcomeCallback {
    OutcomeCallback::new(Arc::new(move |outcome| {
        // A cancelled attempt has no outcome and did not fail.
        if let Some(outcome) = outcome.filter(|outcome| !outcome.is_success()) {
            let (deployment, group, kind) = (&origin.deployment, &origin.group, kind_of(outcome));
            tracing::info!(?deployment, ?group, ?kind, "attempt failed after its response head");
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
        // Processing of the response, below, is not time of the upstream.
        let now = Instant::now();
        let start = *this.start.get_or_insert(now);
        let mut result = ready!(this.inner.poll(cx));
        this.context.add_upstream(now.saturating_duration_since(start));
        if let Some(origin) = this.origin.take() {
            log_failure(&origin, &result);
            result = match result {
                Ok(mut response) => {
                    let body = response.body_mut();
                    if !body.has_ended() && tracing::enabled!(tracing::Level::INFO) {
                        body.attach(log_late_failure(Arc::clone(&origin)));
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
