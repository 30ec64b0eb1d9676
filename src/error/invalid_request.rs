//! Requests that are refused before an upstream is called: [`InvalidRequest`].

use std::{error, fmt, time::Duration};

use http::StatusCode;

/// The error of a request that is invalid, with a message for the client.
///
/// The message never repeats a value of the request, only names and positions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InvalidRequest {
    status: StatusCode,
    code: &'static str,
    message: String,
    param: Option<String>,
}

impl InvalidRequest {
    /// Creates an error with this status, `code`, parameter and message.
    fn new(
        status: StatusCode,
        code: &'static str,
        param: Option<String>,
        message: impl Into<String>,
    ) -> Self {
        Self { status, code, message: message.into(), param }
    }

    /// Returns the 413 of a body that is larger than `limit` bytes.
    pub(crate) fn too_large(limit: usize) -> Self {
        let message = format!("The request body is larger than {limit} bytes.");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", None, message)
    }

    /// Returns the 408 of an upload of less than `bytes` bytes `within` the period.
    pub(crate) fn stalled(bytes: usize, within: Duration) -> Self {
        let seconds = within.as_secs();
        let message = format!("Less than {bytes} bytes of the request body arrived within {seconds} s.");
        Self::new(StatusCode::REQUEST_TIMEOUT, "request_body_timeout", None, message)
    }

    /// Returns the 408 of an upload that is not complete `within` the period.
    pub(crate) fn upload_timeout(within: Duration) -> Self {
        let message = format!("The request body did not arrive within {} s.", within.as_secs());
        Self::new(StatusCode::REQUEST_TIMEOUT, "request_body_timeout", None, message)
    }

    /// Returns the 408 of an upload that gives way to others.
    pub(crate) fn slowest() -> Self {
        let message = "The memory for request bodies is used up, and this one arrived more slowly than others. Try again, \
                       or send it faster.";
        Self::new(StatusCode::REQUEST_TIMEOUT, "request_body_timeout", None, message)
    }

    /// Returns the 415 of a body with a content-encoding that is not read. The message states which ones are.
    pub(crate) fn content_encoding(message: &str) -> Self {
        let param = Some("content-encoding".into());
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_content_encoding", param, message)
    }

    /// Returns the 400 of a body that cannot be decompressed.
    #[cfg(feature = "compression")]
    pub(crate) fn undecodable() -> Self {
        let message =
            "The request body cannot be decompressed by its content-encoding: it is cut off or damaged.";
        let param = Some("content-encoding".into());
        Self::new(StatusCode::BAD_REQUEST, "invalid_content_encoding", param, message)
    }

    /// Returns the 400 of a `param` that names an unknown model; `near` is the most similar name that exists.
    pub(crate) fn unknown_model(param: &str, name: &str, near: Option<&str>) -> Self {
        // The length of a name is not limited; the length of the message is.
        let name: String = name.chars().take(100).collect();
        let hint = match near {
            Some(near) => format!("Did you mean `{near}`?"),
            None => "GET /v1/models lists the models.".to_owned(),
        };
        let message = format!("'{param}' names `{name}`, but there is no such model. {hint}");
        Self::new(StatusCode::BAD_REQUEST, "model_not_found", Some(param.into()), message)
    }

    /// Returns the status of the response: 400, 408, 413 or 415.
    pub(crate) const fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the parameter or header that is invalid, if the error belongs to one.
    pub(crate) fn param(&self) -> Option<&str> {
        self.param.as_deref()
    }

    /// Returns the `code` of the error object.
    pub(crate) const fn code(&self) -> &'static str {
        self.code
    }

    /// Returns the 400 of a body that cannot be read.
    pub(crate) fn body(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_json", None, message)
    }

    /// Returns the 400 of a form that cannot be read.
    pub(crate) fn form(what: &str) -> Self {
        let message = format!("The request body is not valid multipart/form-data: {what}.");
        Self::new(StatusCode::BAD_REQUEST, "invalid_form", None, message)
    }

    /// Returns the 400 of a syntax error at `offset` of `body`.
    pub(crate) fn at(body: &[u8], offset: usize, what: &str) -> Self {
        let before = body.get(..offset).unwrap_or(body);
        let line = memchr::memchr_iter(b'\n', before).count() + 1;
        let column = before.len() - memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1) + 1;
        Self::body(format!(
            "The request body is not valid JSON: {what} (line {line}, column {column}, byte {offset})."
        ))
    }

    /// Returns the 400 of a body that `serde_json` rejects.
    pub(crate) fn json(body: &[u8], error: &serde_json::Error) -> Self {
        let text = error.to_string();
        let what = text.rsplit_once(" at line ").map_or(&*text, |(what, _)| what);
        Self::at(body, offset(body, error), what)
    }

    /// Returns the 400 of a request without `param`.
    pub(crate) fn missing(param: &str) -> Self {
        let message = format!("Missing required parameter: '{param}'.");
        Self::new(StatusCode::BAD_REQUEST, "missing_required_parameter", Some(param.into()), message)
    }

    /// Returns the 400 of a request with `param` more than once.
    pub(crate) fn duplicate(param: impl Into<String>) -> Self {
        let param = param.into();
        let message = format!("'{param}' is given more than once.");
        Self::new(StatusCode::BAD_REQUEST, "duplicate_parameter", Some(param), message)
    }

    /// Returns the 400 of an invalid value of `param`; `rule` describes a valid one ("must be a string").
    pub(crate) fn value(param: impl Into<String>, rule: &str) -> Self {
        let param = param.into();
        let message = format!("'{param}' {rule}.");
        Self::new(StatusCode::BAD_REQUEST, "invalid_value", Some(param), message)
    }
}

impl fmt::Display for InvalidRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl error::Error for InvalidRequest {}

/// Returns the byte offset of an error. `serde_json` counts lines and columns from one; a column is a number of bytes.
fn offset(body: &[u8], error: &serde_json::Error) -> usize {
    let start = match error.line().checked_sub(2) {
        Some(newlines) => memchr::memchr_iter(b'\n', body).nth(newlines).map_or(0, |newline| newline + 1),
        None => 0,
    };
    (start + error.column().saturating_sub(1)).min(body.len())
}
