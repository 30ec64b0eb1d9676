//! OpenAI's error object, [`ErrorObject`], and the HTTP status of each [`Error`].

use bytes::Bytes;
use http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use tollgate_layers::{Class, Outcome};

use super::{BodyError, Error, StreamBreak};
use crate::{
    classify::{self, OutcomeKind},
    dialect::{ClientDialect, Opened, failed},
};

/// The type of an upstream's error that names none.
const DEFAULT_TYPE: &str = "server_error";

/// An error in OpenAI's format, as the client receives it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ErrorObject {
    message: String,
    r#type: String,
    param: Option<String>,
    code: Option<String>,
}

#[derive(Serialize)]
struct Shape<'a> {
    error: &'a ErrorObject,
}

impl ErrorObject {
    /// Creates the object of an error of the gateway, without a `param`.
    pub(crate) fn new(message: impl Into<String>, kind: &str, code: &str) -> Self {
        Self { message: message.into(), r#type: kind.to_owned(), param: None, code: Some(code.to_owned()) }
    }

    /// Sets the parameter of the request that the error is about.
    pub(crate) fn with_param(mut self, param: &str) -> Self {
        self.param = Some(param.to_owned());
        self
    }

    /// Returns the object of an [`Error`].
    pub(crate) fn of(error: &Error) -> Self {
        let (_, kind, code) = status_type_code(error);
        let param = match error {
            Error::InvalidRequest(invalid) => invalid.param(),
            Error::PreCall(error) => Some(error.code_and_param().1),
            Error::UnknownResponse(error) => Some(error.code_and_param().1),
            Error::UnknownModel(_) | Error::Unserved { .. } | Error::ModelDenied(_) => Some("model"),
            _ => None,
        };
        Self { param: param.map(str::to_owned), ..Self::new(error.to_string(), kind, code) }
    }

    /// Returns the object of a stream that broke off.
    fn of_break(broken: &StreamBreak) -> Self {
        match broken {
            StreamBreak::Body(fault) => {
                let kind =
                    if fault.kind() == OutcomeKind::Timeout { "timeout_error" } else { "server_error" };
                Self::new(fault.to_string(), kind, fault.code())
            }
            StreamBreak::Upstream(data, _) => Self::read_any(data),
        }
    }

    /// Reads the error object of an upstream, in any dialect.
    pub(crate) fn read(data: &[u8]) -> Self {
        Self::of_json(&serde_json::from_slice(data).unwrap_or_default())
    }

    /// Reads the error object of an upstream, in any dialect. Other text becomes its message.
    fn read_any(data: &[u8]) -> Self {
        Self::of_json(&json_or_text(data))
    }

    /// Reads the error object of an upstream as [`read_any`](Self::read_any) does, with `kind` as its type if it has none.
    pub(crate) fn reworded(data: &[u8], kind: &str) -> Self {
        let object = Self::read_any(data);
        let is_default = object.r#type == DEFAULT_TYPE;
        if is_default { Self { r#type: kind.to_owned(), ..object } } else { object }
    }

    fn of_json(json: &Value) -> Self {
        const PLACES: [&str; 4] = ["/error", "/response/error", "/choices/0/error", "/errors/0"];
        // Some upstreams wrap the object in a list of one.
        let whole = json.get(0).unwrap_or(json);
        let error = PLACES.iter().find_map(|place| whole.pointer(place).filter(|error| error.is_object()));
        let error = error.unwrap_or(whole);
        let kind = text(error.get("type")).or_else(|| text(whole.get("error_type")));
        Self {
            message: classify::message_of(json).unwrap_or("the upstream reported an error").to_owned(),
            r#type: kind.unwrap_or_else(|| DEFAULT_TYPE.to_owned()),
            param: text(error.get("param")),
            code: text(error.get("code")),
        }
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Returns the JSON body of a response in OpenAI's format.
    pub(crate) fn body(&self) -> Vec<u8> {
        // A struct of strings always serialises.
        serde_json::to_vec(&Shape { error: self }).unwrap_or_default()
    }

    /// Returns the JSON body of a response with this status and outcome, in a client's dialect.
    pub(crate) fn body_in(&self, dialect: ClientDialect, status: StatusCode, outcome: &Outcome) -> Vec<u8> {
        let is_too_long = outcome.class() == Class::ContextWindow;
        let body = dialect.error_body(status.as_u16(), &self.message, is_too_long);
        body.unwrap_or_else(|| self.body())
    }

    /// Returns the event at the end of a stream of OpenAI's Responses that broke off after this many events.
    pub(crate) fn failed_response(broken: &StreamBreak, opened: Option<&Opened>, events: u32) -> Bytes {
        let Self { message, code, .. } = Self::of_break(broken);
        let is_limit = broken.outcome().class() == Class::RateLimited;
        let code = if is_limit { Some("rate_limit_exceeded") } else { code.as_deref() };
        failed(opened, events.into(), (code, &message)).into()
    }

    /// Returns the event at the end of a stream that broke off, in a client's dialect.
    pub(crate) fn event_of(broken: &StreamBreak, dialect: ClientDialect) -> Bytes {
        if dialect == ClientDialect::Responses {
            return Self::failed_response(broken, None, 0);
        }
        let outcome = broken.outcome();
        let status = classify::status_of(classify::kind_of(&outcome));
        let body = Self::of_break(broken).body_in(dialect, status, &outcome);
        let mut event = dialect.error_event().as_bytes().to_vec();
        event.extend_from_slice(b"data: ");
        event.extend_from_slice(&body);
        event.extend_from_slice(b"\n\n");
        event.into()
    }
}

impl Error {
    /// Returns the HTTP status of the response.
    pub(crate) fn status(&self) -> StatusCode {
        status_type_code(self).0
    }
}

/// Returns the status, type and code of the response to an error.
fn status_type_code(error: &Error) -> (StatusCode, &'static str, &'static str) {
    match error {
        Error::InvalidRequest(invalid) => (invalid.status(), "invalid_request_error", invalid.code()),
        Error::Unauthenticated(key) => (StatusCode::UNAUTHORIZED, "authentication_error", key.code()),
        Error::ModelDenied(_) => (StatusCode::FORBIDDEN, "permission_error", "key_model_access_denied"),
        Error::MasterKeyOnly => (StatusCode::FORBIDDEN, "permission_error", "master_key_required"),
        Error::PreCall(error) => (StatusCode::BAD_REQUEST, "invalid_request_error", error.code_and_param().0),
        Error::Operator(error) => error.status_type_code(),
        Error::KeyLimit(limit) => {
            (StatusCode::TOO_MANY_REQUESTS, limit.kind.openai_type(), limit.kind.code())
        }
        Error::NoRoute { .. } => (StatusCode::NOT_FOUND, "invalid_request_error", "not_found"),
        Error::Method(_) => (StatusCode::METHOD_NOT_ALLOWED, "invalid_request_error", "method_not_allowed"),
        Error::UnknownModel(_) | Error::Unserved { .. } => {
            (StatusCode::NOT_FOUND, "invalid_request_error", "model_not_found")
        }
        Error::UnknownResponse(error) => {
            (StatusCode::NOT_FOUND, "invalid_request_error", error.code_and_param().0)
        }
        Error::TagsDenied(_) => (StatusCode::UNAUTHORIZED, "permission_error", "tags_not_allowed"),
        Error::Busy => (StatusCode::SERVICE_UNAVAILABLE, "overloaded_error", "overloaded"),
        Error::Elapsed(elapsed) => {
            (StatusCode::REQUEST_TIMEOUT, "timeout_error", elapsed.name().unwrap_or("timeout"))
        }
        Error::Exhausted(_) => (StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", "rate_limit_exceeded"),
        Error::Transport(transport) if transport.timed_out => {
            (StatusCode::REQUEST_TIMEOUT, "timeout_error", "connect_timeout")
        }
        Error::Transport(_) => (StatusCode::BAD_GATEWAY, "upstream_error", "upstream_unreachable"),
        // A wrong `api_base` is a mistake of the operator: the client must not receive a 404 for its model.
        Error::Body(fault @ BodyError::Redirect) => (StatusCode::BAD_GATEWAY, "upstream_error", fault.code()),
        Error::Body(fault) => {
            let kind = fault.kind();
            (classify::status_of(kind), classify::openai_type(kind), fault.code())
        }
        Error::Attempt(_, error) => status_type_code(error),
    }
}

/// Returns the body of an upstream's error in OpenAI's format: unchanged if it has this format already.
pub(crate) fn body_of(data: &[u8]) -> Bytes {
    let json = json_or_text(data);
    if json.get("error").is_some_and(Value::is_object) {
        return Bytes::copy_from_slice(data);
    }
    ErrorObject::of_json(&json).body().into()
}

/// Returns data as JSON. Other text, which some upstreams send as the data of an error event, is returned as a string.
fn json_or_text(data: &[u8]) -> Value {
    const LONGEST: usize = 4096;
    serde_json::from_slice(data).unwrap_or_else(|_| {
        let text = String::from_utf8_lossy(data.get(..LONGEST).unwrap_or(data));
        let text = text.trim();
        if text.is_empty() { Value::Null } else { text.into() }
    })
}

/// Returns a string or a number as text. Upstreams send codes as either.
fn text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_error(data: &str) -> String {
        String::from_utf8(ErrorObject::read(data.as_bytes()).body()).expect("utf-8")
    }

    #[test]
    fn an_error_object_of_any_dialect_gets_one_format() {
        let cases = [
            (
                r#"{"error":{"message":"busy","type":"overloaded_error","code":529}}"#,
                r#"{"error":{"message":"busy","type":"overloaded_error","param":null,"code":"529"}}"#,
            ),
            (
                r#"{"object":"error","message":"old","type":"BadRequestError","code":40001}"#,
                r#"{"error":{"message":"old","type":"BadRequestError","param":null,"code":"40001"}}"#,
            ),
            (
                r#"{"error":"oom","error_type":"generation"}"#,
                r#"{"error":{"message":"oom","type":"generation","param":null,"code":null}}"#,
            ),
            (
                r#"{"choices":[{"error":{"code":429,"message":"limited"},"message":{"content":""}}]}"#,
                r#"{"error":{"message":"limited","type":"server_error","param":null,"code":"429"}}"#,
            ),
            (
                r#"{"success":false,"errors":[{"code":7003,"message":"no route"}]}"#,
                r#"{"error":{"message":"no route","type":"server_error","param":null,"code":"7003"}}"#,
            ),
            (
                r#"[{"error":{"code":503,"message":"busy"}}]"#,
                r#"{"error":{"message":"busy","type":"server_error","param":null,"code":"503"}}"#,
            ),
            (
                r#"{"detail":[{"msg":"field required"}]}"#,
                r#"{"error":{"message":"field required","type":"server_error","param":null,"code":null}}"#,
            ),
        ];
        for (upstream, ours) in cases {
            assert_eq!(read_error(upstream), ours);
        }
    }

    #[test]
    fn an_error_object_in_openais_format_is_passed_on_unchanged() {
        let data = br#"{ "error": {"message": "x", "extra": 1} }"#;
        assert_eq!(&body_of(data)[..], data);
        for text in ["it broke", "\"it broke\"", " it broke\n"] {
            assert!(body_of(text.as_bytes()).starts_with(br#"{"error":{"message":"it broke""#), "{text}");
        }
        for other in [r#"{"object":"error","message":"x"}"#, r#"[{"error":{"message":"x"}}]"#] {
            assert!(body_of(other.as_bytes()).starts_with(br#"{"error":{"message":"x""#), "{other}");
        }
    }
}
