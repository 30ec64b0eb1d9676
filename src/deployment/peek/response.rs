//! Conversion of a complete upstream body into the response for the client.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header, response::Parts};
use tollgate_layers::Outcome;

use crate::{
    body::{
        Body,
        codings::is_identity,
        events::is_events,
        watch::{ChunkInfo, Usage},
        watch_config::{Expected, WatchConfig},
    },
    classify::{self, OutcomeKind},
    dialect::ClientDialect,
    error::{BodyError, ErrorObject, body_of},
    request,
};

/// The `content-type` of JSON.
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// The `content-type` of an event stream.
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");

/// Returns the response to a complete 200 that is not an event stream. One in a content coding that is not known is not read.
pub(super) fn complete(
    (mut parts, is_encoded): (Parts, bool),
    bytes: Bytes,
    config: &WatchConfig,
) -> Result<request::Response, BodyError> {
    let so_far = (config.peek.classifier.success)(&parts.headers);
    if is_encoded {
        config.charge(None);
        return Ok(Response::from_parts(parts, Body::ended(bytes, so_far)).into());
    }
    if config.expected.is_any() {
        return any_form(parts, bytes, so_far, config);
    }
    // Some upstreams send blank lines as keep-alive.
    let text = bytes.trim_ascii();
    let opens = matches!(text.first(), Some(b'{' | b'['));
    if !opens && text.split(|byte| *byte == b'\n').all(is_comment) {
        return Err(BodyError::Empty);
    }
    let Some(info) = ChunkInfo::read(text) else {
        return Err(if opens { BodyError::Truncated } else { wrong_form(config) });
    };
    if config.expected == Expected::Stored {
        name_json(&mut parts.headers);
        return Ok(Response::from_parts(parts, Body::ended(issued(bytes, config), so_far)).into());
    }
    if let Some(outcome) = failure(&info, text, &parts.headers, config) {
        return Ok(error_in_success(parts, text, outcome, config));
    }
    match config.expected {
        _ if !has_output(&info, config.expected) => return Err(BodyError::Empty),
        Expected::Stream => return Err(BodyError::NotAStream),
        Expected::Choices | Expected::Data | Expected::Json => name_json(&mut parts.headers),
        // Returned above.
        Expected::Stored | Expected::Text | Expected::Bytes => {}
    }
    let so_far = if info.is_filtered() { filtered(so_far) } else { so_far };
    Ok(passed(parts, bytes, (info.usage, so_far), config))
}

/// Returns the response to a complete 200 of any form: only JSON is read, and only if no bytes are expected.
fn any_form(
    parts: Parts,
    bytes: Bytes,
    so_far: Outcome,
    config: &WatchConfig,
) -> Result<request::Response, BodyError> {
    if bytes.is_empty() {
        return Err(BodyError::Empty);
    }
    if is_html(&parts.headers) {
        return Err(wrong_form(config));
    }
    let text = bytes.trim_ascii();
    let is_json = config.expected == Expected::Text && text.starts_with(b"{");
    let info = if is_json { ChunkInfo::read(text) } else { None };
    if let Some(outcome) = info.and_then(|info| failure(&info, text, &parts.headers, config)) {
        return Ok(error_in_success(parts, text, outcome, config));
    }
    Ok(passed(parts, bytes, (info.and_then(|info| info.usage), so_far), config))
}

/// Returns a success with its usage.
fn passed(
    parts: Parts,
    bytes: Bytes,
    (usage, so_far): (Option<Usage>, Outcome),
    config: &WatchConfig,
) -> request::Response {
    config.charge(usage);
    let tokens = usage.map(|usage| usage.tokens()).unwrap_or_default();
    let body = Body::ended(issued(bytes, config), Usage::on(usage, so_far)).with_tokens(tokens);
    Response::from_parts(parts, body).into()
}

/// Returns a complete response with ids of the gateway in place of the upstream's.
fn issued(bytes: Bytes, config: &WatchConfig) -> Bytes {
    match config.issuer() {
        Some((issuer, model)) => issuer.response(model, bytes),
        None => bytes,
    }
}

/// Returns the outcome of an upstream's error. A stored response that is not found is a mistake of the client, not a deployment
/// that is missing.
pub(super) fn classified(parts: &Parts, bytes: &[u8], config: &WatchConfig) -> Outcome {
    let outcome = (config.peek.classifier.response)(parts.status, &parts.headers, bytes);
    match classify::kind_of(&outcome) {
        OutcomeKind::NotFound if config.names_stored && parts.status == StatusCode::NOT_FOUND => {
            OutcomeKind::BadRequest.outcome().with_reported(outcome.requests(), outcome.tokens())
        }
        _ => outcome,
    }
}

/// Returns the outcome of a success without output, because a content filter removed it.
pub(super) const fn filtered(outcome: Outcome) -> Outcome {
    outcome.with_kind(OutcomeKind::Filtered as u8)
}

/// Returns true if a complete response contains what was asked for: output, or the reason why there is none.
const fn has_output(info: &ChunkInfo, expected: Expected) -> bool {
    match expected {
        Expected::Stream | Expected::Choices => info.content || info.finished != 0,
        Expected::Data => info.data,
        Expected::Json | Expected::Stored | Expected::Text | Expected::Bytes => true,
    }
}

/// Returns the outcome of a complete 200 that reports a failure: in the form of an error, or instead of any output.
fn failure(info: &ChunkInfo, text: &[u8], headers: &HeaderMap, config: &WatchConfig) -> Option<Outcome> {
    let classifier = &config.peek.classifier;
    let error = if info.error { (classifier.event)(text, headers) } else { None };
    match error {
        None if !has_output(info, config.expected) => (classifier.failure)(text, headers),
        other => other,
    }
}

/// Returns the response to an error event before any content. The event is classified again with the response headers,
/// which may contain Retry-After.
pub(super) fn error_event(parts: Parts, data: &[u8], config: &WatchConfig) -> request::Response {
    let outcome = config.peek.classifier.named_error(data, &parts.headers);
    error_in_success(parts, data, outcome, config)
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
    if let Some(object) = reworded(&body, outcome, config) {
        body = object.body_in(config.dialect, parts.status, &outcome).into();
        parts.headers.insert(header::CONTENT_TYPE, JSON);
    }
    Response::from_parts(parts, Body::ended(body, outcome)).into()
}

/// Returns the error in other words than the upstream's, or none if the client understands those.
fn reworded(body: &[u8], outcome: Outcome, config: &WatchConfig) -> Option<ErrorObject> {
    let is_foreign = config.peek.rewords_errors || config.dialect == ClientDialect::Messages;
    let refusal = credential_refusal(outcome);
    if refusal.is_none() && (!is_foreign || config.dialect.has_form_of(body)) {
        return None;
    }
    let kind = classify::openai_type(classify::kind_of(&outcome));
    let object = if is_foreign { ErrorObject::reworded(body, kind) } else { ErrorObject::read(body) };
    Some(match refusal {
        Some((what, code)) => ErrorObject::new(format!("{what}: {}", object.message()), kind, code),
        None => object,
    })
}

fn credential_refusal(outcome: Outcome) -> Option<(&'static str, &'static str)> {
    match classify::kind_of(&outcome) {
        OutcomeKind::Unauthorized => {
            Some(("The upstream refused the gateway's own credential, not yours", "upstream_unauthorized"))
        }
        OutcomeKind::Permission => {
            Some(("The upstream does not allow this to the gateway's own credential", "upstream_forbidden"))
        }
        _ => None,
    }
}

/// Returns the response to an error that cannot be decompressed: the body cannot be searched for credentials, and the client
/// may not be able to read it either.
pub(super) fn compressed_error(mut parts: Parts, config: &WatchConfig) -> request::Response {
    let outcome = (config.peek.classifier.response)(parts.status, &parts.headers, b"");
    let message = format!(
        "The upstream returned {} with a compressed body that was not requested. The body is not passed on.",
        parts.status.as_u16()
    );
    let kind = classify::openai_type(classify::kind_of(&outcome));
    let object = ErrorObject::new(message, kind, "compressed_error");
    let body = object.body_in(config.dialect, parts.status, &outcome);
    parts.headers.remove(header::CONTENT_ENCODING);
    parts.headers.insert(header::CONTENT_TYPE, JSON);
    config.peek.secrets.remove_from_headers(&mut parts.headers);
    Response::from_parts(parts, Body::ended(body, outcome)).into()
}

/// Returns the error of a body that does not have the requested form.
pub(super) fn wrong_form(config: &WatchConfig) -> BodyError {
    if config.expected == Expected::Stream { BodyError::NotAStream } else { BodyError::NotJson }
}

/// Sets the content type of JSON, unless the upstream has named it: the official clients read no other.
pub(super) fn name_json(headers: &mut HeaderMap) {
    if !is_json(headers) {
        headers.insert(header::CONTENT_TYPE, JSON);
    }
}

/// Returns true if the upstream has named JSON as the content type.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let kind = media_type(headers);
    kind.len().checked_sub(4).is_some_and(|at| kind[at..].eq_ignore_ascii_case(b"json"))
}

/// Returns true if the upstream, or a proxy on the way, has named HTML as the content type.
pub(super) fn is_html(headers: &HeaderMap) -> bool {
    media_type(headers).eq_ignore_ascii_case(b"text/html")
}

fn media_type(headers: &HeaderMap) -> &[u8] {
    let kind = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii()
}

/// Sets the content type of an event stream, unless the upstream has named it.
pub(super) fn name_events(headers: &mut HeaderMap) {
    if !is_events(headers) {
        headers.insert(header::CONTENT_TYPE, EVENTS);
    }
}

/// Returns true if the body is compressed, although no compression was requested.
pub(super) fn is_encoded(headers: &HeaderMap) -> bool {
    // The header is usually absent.
    if headers.get(header::CONTENT_ENCODING).is_none() {
        return false;
    }
    let values = headers.get_all(header::CONTENT_ENCODING).iter();
    let texts = values.map(|value| value.to_str().unwrap_or("invalid"));
    texts.flat_map(|text| text.split(',')).any(|coding| !is_identity(coding.trim()))
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
