//! Conversion of a complete upstream body into the response for the client.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header, response::Parts};
use tollgate_layers::Outcome;

use crate::{
    body::{Body, watch::ChunkInfo, watch_config::WatchConfig},
    classify::{self, OutcomeKind},
    error::{BodyError, ErrorObject, body_of},
    request,
};

/// The `content-type` of JSON.
pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Returns the response to a complete 200 that is not an event stream.
pub(super) fn complete(
    parts: Parts,
    bytes: Bytes,
    config: &WatchConfig,
    stream: bool,
) -> Result<request::Response, BodyError> {
    let so_far = (config.peek.classifier.success)(&parts.headers);
    if is_encoded(&parts.headers) {
        return Ok(Response::from_parts(parts, Body::ended(bytes, so_far)).into());
    }
    // Some upstreams send blank lines as keep-alive.
    let text = bytes.trim_ascii();
    let opens = matches!(text.first(), Some(b'{' | b'['));
    if !opens && text.split(|byte| *byte == b'\n').all(is_comment) {
        return Err(BodyError::Empty);
    }
    let Some(info) = ChunkInfo::read(text) else {
        return Err(if opens { BodyError::Truncated } else { not_json(stream) });
    };
    if info.error
        && let Some(outcome) = (config.peek.classifier.event)(text, &parts.headers)
    {
        return Ok(error_in_success(parts, text, outcome, config));
    }
    let outcome = so_far.with_used(info.usage.map(|usage| usage.total()));
    Ok(Response::from_parts(parts, Body::ended(bytes, outcome)).into())
}

/// Returns the response to an error object in a 200, with the status of the error's kind.
pub(super) fn error_in_success(
    mut parts: Parts,
    data: &[u8],
    outcome: Outcome,
    config: &WatchConfig,
) -> request::Response {
    parts.status = status(outcome);
    parts.headers.insert(header::CONTENT_TYPE, JSON);
    error(parts, body_of(data), outcome, config)
}

/// Returns the response to an upstream's error: unchanged, except that credentials are removed. If the upstream refused
/// the gateway's own credential, the message states so, because the client's key is valid.
pub(super) fn error(
    mut parts: Parts,
    bytes: Bytes,
    outcome: Outcome,
    config: &WatchConfig,
) -> request::Response {
    config.peek.secrets.remove_from_headers(&mut parts.headers);
    let mut body = config.peek.secrets.redact(bytes);
    if let Some((what, code)) = credential_refusal(outcome) {
        let kind = classify::openai_type(classify::kind_of(&outcome));
        let original = ErrorObject::read(&body);
        body = ErrorObject::new(format!("{what}: {}", original.message()), kind, code).body().into();
        parts.headers.insert(header::CONTENT_TYPE, JSON);
    }
    Response::from_parts(parts, Body::ended(body, outcome)).into()
}

fn credential_refusal(outcome: Outcome) -> Option<(&'static str, &'static str)> {
    match classify::kind_of(&outcome) {
        OutcomeKind::Unauthorized => {
            Some(("The upstream refused the gateway's own credential, not yours", "upstream_unauthorized"))
        }
        OutcomeKind::Permission => {
            Some(("The upstream does not allow this to the gateway's own credential", "upstream_forbidden"))
        }
        OutcomeKind::Success
        | OutcomeKind::RateLimited
        | OutcomeKind::QuotaExhausted
        | OutcomeKind::Overloaded
        | OutcomeKind::ContextWindow
        | OutcomeKind::ContentPolicy
        | OutcomeKind::NotFound
        | OutcomeKind::TooLarge
        | OutcomeKind::BadRequest
        | OutcomeKind::Timeout
        | OutcomeKind::ServerError
        | OutcomeKind::Network
        | OutcomeKind::StreamBroken => None,
    }
}

/// Returns the response to a compressed error, although no compression was requested: the body cannot be searched for
/// credentials, and the client may not be able to read it.
pub(super) fn compressed_error(mut parts: Parts, config: &WatchConfig) -> request::Response {
    let outcome = (config.peek.classifier.response)(parts.status, &parts.headers, b"");
    let message = format!(
        "The upstream returned {} with a compressed body that was not requested. The body is not passed on.",
        parts.status.as_u16()
    );
    let kind = classify::openai_type(classify::kind_of(&outcome));
    let body = ErrorObject::new(message, kind, "compressed_error").body();
    parts.headers.remove(header::CONTENT_ENCODING);
    parts.headers.insert(header::CONTENT_TYPE, JSON);
    config.peek.secrets.remove_from_headers(&mut parts.headers);
    Response::from_parts(parts, Body::ended(body, outcome)).into()
}

pub(super) const fn not_json(stream: bool) -> BodyError {
    if stream { BodyError::NotAStream } else { BodyError::NotJson }
}

/// Returns true if the body is compressed, although no compression was requested. Some upstreams send `identity`.
pub(super) fn is_encoded(headers: &HeaderMap) -> bool {
    const NONE: [&[u8]; 3] = [b"", b"identity", b"none"];
    // The header is usually absent.
    if !headers.contains_key(header::CONTENT_ENCODING) {
        return false;
    }
    let values = headers.get_all(header::CONTENT_ENCODING).iter();
    let mut codings = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    codings.any(|coding| !NONE.iter().any(|none| coding.trim_ascii().eq_ignore_ascii_case(none)))
}

fn is_comment(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    line.is_empty() || line.starts_with(b":")
}

/// Returns the HTTP status of an outcome's kind, never a success.
fn status(outcome: Outcome) -> StatusCode {
    let status = classify::status_of(classify::kind_of(&outcome));
    if status.is_success() { StatusCode::BAD_GATEWAY } else { status }
}
