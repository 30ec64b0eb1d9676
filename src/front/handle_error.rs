//! The layer that turns errors into responses: [`HandleError`], and [`error_response`], the only conversion.

use std::{convert::Infallible, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, Response as HttpResponse, StatusCode, header};

use super::paths::RoutedRequest;
use crate::{
    Error,
    body::{Body, Response, codings::ACCEPTED},
    classify::OutcomeKind,
    dialect::ClientDialect,
    error::{ErrorObject, HasOutcome},
    request::{AroundCall, BeginCall, EndCall},
};

/// The header `retry-after-ms`, in milliseconds. OpenAI's SDKs prefer it to `retry-after`.
pub(crate) const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

/// Returns the response that reports `error` to a client, in its dialect.
pub(crate) fn error_response(error: &Error, dialect: ClientDialect) -> Response {
    if let Error::Attempt(origin, error) = error {
        let mut response = error_response(error, dialect);
        response.body_mut().set_origin(Arc::clone(origin));
        return response;
    }
    let (status, outcome) = (error.status(), error.outcome());
    let body = ErrorObject::of(error).body_in(dialect, status, &outcome);
    let mut response = json(status, Body::ended(body, outcome));
    match error {
        Error::Exhausted(exhausted) => {
            let after = exhausted.retry_after().unwrap_or(Duration::from_secs(1));
            write_retry_after(response.headers_mut(), after);
        }
        Error::Busy => write_retry_after(response.headers_mut(), Duration::from_secs(1)),
        Error::Method(allowed) => {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
        }
        Error::InvalidRequest(invalid) if invalid.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            response.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static(ACCEPTED));
        }
        Error::KeyLimit(limit) => {
            if let Some(after) = limit.retry_after {
                write_retry_after(response.headers_mut(), after);
            }
        }
        Error::Unauthenticated(_) => {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        _ => {}
    }
    response
}

/// Returns the response after a panic. It contains no detail of the panic.
pub(crate) fn panicked() -> Response {
    let error = ErrorObject::new(
        "The gateway has failed on this request.",
        "internal_server_error",
        "internal_error",
    );
    let body = Body::ended(error.body(), OutcomeKind::ServerError.outcome());
    json(StatusCode::INTERNAL_SERVER_ERROR, body)
}

/// Returns a JSON response with this status and body.
pub(crate) fn json(status: StatusCode, body: Body) -> Response {
    let mut response = HttpResponse::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.into()
}

/// Writes `retry-after` in whole seconds, rounded up so that no client retries too early, and `retry-after-ms`.
pub(crate) fn write_retry_after(headers: &mut HeaderMap, after: Duration) {
    let millis = u64::try_from(after.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX).max(1);
    headers.insert(header::RETRY_AFTER, HeaderValue::from(millis.div_ceil(1000)));
    headers.insert(RETRY_AFTER_MS, HeaderValue::from(millis));
}

/// Turns errors into responses in the dialect of the operation. The service above it is infallible.
pub(crate) type HandleError<S> = AroundCall<S, ToResponse>;

/// Makes a response of each error for [`HandleError`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct ToResponse;

impl<B> BeginCall<RoutedRequest<B>> for ToResponse {
    type Call = ClientDialect;

    fn begin(&self, request: &RoutedRequest<B>) -> ClientDialect {
        request.target.dialect()
    }
}

impl EndCall<Response, Error> for ClientDialect {
    type Response = Response;
    type Error = Infallible;

    fn end(self, result: Result<Response, Error>) -> Result<Response, Infallible> {
        Ok(result.unwrap_or_else(|error| error_response(&error, self)))
    }
}
