//! A layer that counts and records each attempt on a deployment: [`RecordAttempt`].
//!
//! The layer reads the clock at the beginning and at the end of an attempt, for the metrics of the deployment, for the
//! time that the request has waited for upstreams, and for its record. tower-http's trace and metrics layers see a status;
//! this layer sees the outcome at the end of the body, so that a stream that breaks is counted as broken.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::SystemTime,
};

use pin_project_lite::pin_project;
use tokio::time::Instant;
use tollgate_layers::{Class, Outcome};
use tower::{Layer, Service, layer::layer_fn};

use crate::{
    Error,
    body::{Body, OutcomeCallback, Response},
    classify::kind_of,
    error::{ErrorObject, HasOutcome, Origin},
    metrics::{RecentError, RequestMetrics, ResponseHead},
    record::{AttemptResult, scrubbed},
    request::Request,
};

/// Counts each attempt on the deployment, names the deployment in responses and errors, and records the attempt in the
/// request's context.
#[derive(Clone, Debug)]
pub(crate) struct RecordAttempt<S> {
    inner: S,
    origin: Arc<Origin>,
}

impl<S> RecordAttempt<S> {
    /// Returns the layer of one deployment.
    pub(crate) fn layer(origin: Arc<Origin>) -> impl Layer<S, Service = Self> {
        layer_fn(move |inner| Self { inner, origin: Arc::clone(&origin) })
    }
}

impl<S> Service<Request> for RecordAttempt<S>
where
    S: Service<Request, Response = Response, Error = Error>,
{
    type Response = Response;
    type Error = Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, request: Request) -> Self::Future {
        request.context.called(self.origin.retries);
        let attempt = Attempt::begin(Arc::clone(&self.origin), request.clone());
        ResponseFuture { inner: self.inner.call(request), attempt: Some(attempt) }
    }
}

pin_project! {
    /// The future of [`RecordAttempt`].
    pub(crate) struct ResponseFuture<F> {
        #[pin]
        inner: F,
        // None after completion.
        attempt: Option<Attempt>,
    }
}

impl<F> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response, Error>>,
{
    type Output = Result<Response, Error>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        // Processing of the response, below, is not time of the upstream.
        let now = Instant::now();
        if let Some(attempt) = this.attempt {
            // The first poll follows the call at once.
            attempt.start.get_or_insert(now);
        }
        let result = ready!(this.inner.poll(cx));
        Poll::Ready(match this.attempt.take() {
            Some(attempt) => attempt.end(result, now),
            None => result,
        })
    }
}

/// The largest request that is searched for the words of a message: a worker is busy with it for a millisecond.
const SEARCHED: usize = 256 * 1024;

/// An attempt in progress. An attempt that is dropped was cancelled.
struct Attempt {
    origin: Arc<Origin>,
    /// The request. Its words are removed from the message of a failure.
    request: Request,
    start: Option<Instant>,
    ended: bool,
}

impl Attempt {
    fn begin(origin: Arc<Origin>, request: Request) -> Self {
        origin.metrics.begin();
        if let Some(cause) = request.context.take_cause() {
            origin.group_metrics.retry(cause);
        }
        Self { origin, request, start: None, ended: false }
    }

    /// Ends the attempt: its response or its error was there at `now`.
    fn end(mut self, result: Result<Response, Error>, now: Instant) -> Result<Response, Error> {
        self.ended = true;
        let start = self.start.unwrap_or(now);
        self.request.context.add_upstream(now.saturating_duration_since(start));
        log_failure(&self.origin, &result);
        match result {
            Ok(response) => Ok(self.respond(response, (start, now))),
            Err(error) => {
                self.fail(&error, (start, now));
                Err(Error::Attempt(Arc::clone(&self.origin), Box::new(error)))
            }
        }
    }

    fn respond(&self, mut response: Response, (start, now): (Instant, Instant)) -> Response {
        let recorded = self.request.context.draft.as_ref().map(|draft| (draft, self.result(&response)));
        let status = response.status().as_u16();
        let body = response.body_mut();
        let (success, complete) = (body.outcome().is_success(), body.has_ended());
        if !success {
            let class = body.outcome().class();
            self.request.context.set_cause(class);
            self.keep((class, Some(status)), now, || self.message(body).unwrap_or_default());
        }
        let mut metrics = self.metrics(start);
        metrics.head(ResponseHead { success, complete, status, at: now });
        body.attach(metrics);
        if let Some((draft, result)) = recorded {
            body.attach(draft.attempt(&self.origin, (start, now), result));
        }
        if !complete && tracing::enabled!(tracing::Level::INFO) {
            body.attach(log_late_failure(Arc::clone(&self.origin)));
        }
        body.set_origin(Arc::clone(&self.origin));
        response
    }

    fn fail(&self, error: &Error, (start, now): (Instant, Instant)) {
        let outcome = error.outcome();
        self.request.context.set_cause(outcome.class());
        self.keep((outcome.class(), None), now, || error.to_string());
        let mut metrics = self.metrics(start);
        metrics.head(ResponseHead { success: false, complete: true, status: 0, at: now });
        metrics.complete(&outcome, Default::default());
        if let Some(draft) = &self.request.context.draft {
            let class = Some(outcome.class());
            let result = AttemptResult { class, status: None, message: Some(error.to_string()) };
            draft.attempt(&self.origin, (start, now), result).complete(&outcome, Default::default());
        }
    }

    /// Returns the metrics of this attempt, which are begun already.
    fn metrics(&self, start: Instant) -> RequestMetrics {
        RequestMetrics::begun(Arc::clone(&self.origin.metrics), self.request.info.operation, start)
    }

    /// Keeps a failure for the status page.
    #[cold]
    fn keep(&self, (class, status): (Class, Option<u16>), now: Instant, message: impl FnOnce() -> String) {
        self.origin.metrics.recent_errors().add(class, now, || RecentError {
            at: SystemTime::now(),
            class: class.as_str(),
            status,
            message: message(),
        });
    }

    /// Returns the result of a response for the record.
    fn result(&self, response: &Response) -> AttemptResult {
        let body = response.body();
        let (class, status) = (Some(body.outcome().class()), Some(response.status().as_u16()));
        AttemptResult { class, status, message: self.message(body) }
    }

    /// Returns the message of a failure without words of the request. Peek has removed the credentials.
    fn message(&self, body: &Body) -> Option<String> {
        let failure = body.full_bytes().filter(|_| !body.outcome().is_success())?;
        if self.request.bytes.len() > SEARCHED {
            return Some(format!("The message is left out: the request has more than {SEARCHED} bytes."));
        }
        Some(scrubbed(ErrorObject::read(failure).message(), &self.request.bytes.flat()))
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let now = Instant::now();
        let start = self.start.unwrap_or(now);
        drop(self.metrics(start));
        if let Some(draft) = &self.request.context.draft {
            drop(draft.attempt(&self.origin, (start, now), AttemptResult::default()));
        }
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
    OutcomeCallback::new(Arc::new(move |outcome: Option<&Outcome>| {
        // A cancelled attempt has no outcome and did not fail.
        if let Some(outcome) = outcome.filter(|outcome| !outcome.is_success()) {
            let (deployment, group, kind) = (&origin.deployment, &origin.group, kind_of(outcome));
            tracing::info!(?deployment, ?group, ?kind, "attempt failed after its response head");
        }
    }))
}
