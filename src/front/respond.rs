//! The only place where an error becomes a response: [`Respond`], [`answer`].

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response as HttpResponse, StatusCode, header};
use pin_project_lite::pin_project;
use serde::Serialize;
use tollgate_layers::Ending;
use tower::{Layer, Service};

use crate::{
    Error,
    body::Body,
    classify::{self, Kind},
    error::{Fault, Judged},
    request::Response,
};

/// Milliseconds, more exact than `retry-after`; OpenAI's SDKs prefer it.
pub const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

/// An error in OpenAI's shape.
#[derive(Debug, Serialize)]
struct Shape<'a> {
    error: Inner<'a>,
}

#[derive(Debug, Serialize)]
struct Inner<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    param: Option<&'a str>,
    code: &'a str,
}

/// What the client sees of an error: status, type and code.
fn face(error: &Error) -> (StatusCode, &'static str, &'static str) {
    match error {
        Error::Rejected(rejected) => (rejected.status(), "invalid_request_error", rejected.code()),
        Error::Unauthenticated { .. } => {
            (StatusCode::UNAUTHORIZED, "authentication_error", "invalid_api_key")
        }
        Error::NoRoute => (StatusCode::NOT_FOUND, "invalid_request_error", "not_found"),
        Error::Method(_) => (StatusCode::METHOD_NOT_ALLOWED, "invalid_request_error", "method_not_allowed"),
        Error::UnknownModel(_) => (StatusCode::NOT_FOUND, "invalid_request_error", "model_not_found"),
        Error::Busy => (StatusCode::SERVICE_UNAVAILABLE, "overloaded_error", "overloaded"),
        Error::Elapsed(elapsed) => {
            (StatusCode::REQUEST_TIMEOUT, "timeout_error", elapsed.clock().unwrap_or("timeout"))
        }
        Error::Exhausted(_) => (StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", "rate_limit_exceeded"),
        Error::Wire(wire) if wire.timed_out => {
            (StatusCode::REQUEST_TIMEOUT, "timeout_error", "connect_timeout")
        }
        Error::Wire(_) => (StatusCode::BAD_GATEWAY, "upstream_error", "upstream_unreachable"),
        // That nothing is there is the operator's business: to the client it is not a model that does not exist.
        Error::Fault(fault @ Fault::Redirect) => (StatusCode::BAD_GATEWAY, "upstream_error", fault.code()),
        Error::Fault(fault) => {
            let kind = fault.kind();
            (classify::status_of(kind), classify::openai_type(kind), fault.code())
        }
        Error::Attempt(_, error) => face(error),
    }
}

/// The response that tells a client of this error.
#[must_use]
pub fn answer(error: &Error) -> Response {
    if let Error::Attempt(origin, error) = error {
        let mut response = answer(error);
        response.body_mut().set_origin(Arc::clone(origin));
        return response;
    }
    let (status, kind, code) = face(error);
    let param = match error {
        Error::Rejected(rejected) => rejected.param(),
        Error::UnknownModel(_) => Some("model"),
        _ => None,
    };
    let mut response =
        shaped(status, error.ending(), &Inner { message: &error.to_string(), kind, param, code });
    match error {
        Error::Exhausted(exhausted) => {
            retry_after(&mut response, exhausted.retry_after().unwrap_or(Duration::from_secs(1)));
        }
        Error::Busy => retry_after(&mut response, Duration::from_secs(1)),
        Error::Method(allowed) => {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
        }
        Error::Unauthenticated { .. } => {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        _ => {}
    }
    response
}

/// The response after a panic, which says nothing about it.
#[must_use]
pub fn panicked() -> Response {
    let message = "The gateway has failed on this request.";
    let error = Inner { message, kind: "internal_server_error", param: None, code: "internal_error" };
    shaped(StatusCode::INTERNAL_SERVER_ERROR, Kind::ServerError.ending(), &error)
}

fn shaped(status: StatusCode, ending: Ending, error: &Inner<'_>) -> Response {
    let shape = Shape { error: Inner { ..*error } };
    let text = serde_json::to_vec(&shape).unwrap_or_default();
    json(status, Body::ended(Bytes::from(text), ending))
}

/// A JSON response with this body.
#[must_use]
pub fn json(status: StatusCode, body: Body) -> Response {
    let mut response = HttpResponse::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.into()
}

/// Both headers: whole seconds rounded up, so that nobody comes too early, and milliseconds.
fn retry_after(response: &mut Response, after: Duration) {
    let millis = u64::try_from(after.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX).max(1);
    let headers = response.headers_mut();
    headers.insert(header::RETRY_AFTER, HeaderValue::from(millis.div_ceil(1000)));
    headers.insert(RETRY_AFTER_MS, HeaderValue::from(millis));
}

/// Turns errors into responses; above it nothing can fail.
#[derive(Clone, Copy, Debug, Default)]
pub struct RespondLayer;

impl<S> Layer<S> for RespondLayer {
    type Service = Respond<S>;

    fn layer(&self, inner: S) -> Respond<S> {
        Respond { inner }
    }
}

/// See [`RespondLayer`].
#[derive(Clone, Debug)]
pub struct Respond<S> {
    inner: S,
}

impl<S, Req> Service<Req> for Respond<S>
where
    S: Service<Req, Response = Response, Error = Error>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // Below here every service is always ready: an error could only be a fault of ours, and the call that
        // follows would tell of it.
        self.inner.poll_ready(cx).map(|_| Ok(()))
    }

    fn call(&mut self, req: Req) -> Self::Future {
        ResponseFuture { inner: self.inner.call(req) }
    }
}

pin_project! {
    /// The future of [`Respond`].
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
    }
}

impl<F> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response, Error>>,
{
    type Output = Result<Response, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = ready!(self.project().inner.poll(cx));
        Poll::Ready(Ok(outcome.unwrap_or_else(|error| answer(&error))))
    }
}
