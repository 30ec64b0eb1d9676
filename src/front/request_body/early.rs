//! The setting `early_heartbeat`: the head of a stream is sent before its response is there.

use std::time::Duration;

use futures_util::FutureExt;
use http::{HeaderValue, header};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, timeout_at},
};

use crate::{
    Error,
    body::{Body, BoxResponseFuture, Response},
    dialect::ClientDialect,
    front::{catch_panic, handle_error::error_response, headers},
};

/// Waits for the response to a call until `time`.
///
/// # Errors
///
/// Returns the call if it is pending at that time.
pub(super) async fn wait(
    mut call: BoxResponseFuture,
    time: Instant,
) -> Result<Result<Response, Error>, BoxResponseFuture> {
    timeout_at(time, &mut call).await.map_err(|_| call)
}

/// Returns a stream that waits for the response to `call`, with a heartbeat every `period`. The headers that describe the
/// course of the request are not known yet.
pub(super) fn response(
    call: BoxResponseFuture,
    (period, dialect): (Duration, ClientDialect),
    permit: OwnedSemaphorePermit,
) -> Response {
    // A panic in a body would break the connection.
    let call = catch_panic::ResponseFuture::new(call);
    let call = call.map(move |result| result.unwrap_or_else(|error| error_response(&error, dialect)));
    let mut body = Body::early(Box::pin(call), period, dialect);
    body.attach(permit);
    let mut response = http::Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers::keep_flowing(response.headers_mut());
    response.into()
}
