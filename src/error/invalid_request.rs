//! A request that is refused before anybody was asked.

use std::{borrow::Cow, error, fmt, str::Utf8Error, time::Duration};

use http::StatusCode;

/// Why a request was refused: the caller's own fault, in words for the caller.
///
/// It never repeats a value of the request, only names and places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InvalidRequest {
    status: StatusCode,
    code: &'static str,
    message: String,
    param: Option<Cow<'static, str>>,
}

impl InvalidRequest {
    /// The body is larger than `limit` bytes: 413.
    pub(crate) fn too_large(limit: usize) -> Self {
        Self {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            code: "request_too_large",
            message: format!("The request body is larger than {limit} bytes."),
            param: None,
        }
    }

    /// The client stopped sending: 400, which hardly anybody will see.
    pub(crate) fn broken_off() -> Self {
        Self::body("The request body broke off.")
    }

    /// The client hardly sends any more: 408.
    pub(crate) fn stalled(bytes: usize, within: Duration) -> Self {
        Self {
            status: StatusCode::REQUEST_TIMEOUT,
            code: "request_body_timeout",
            message: format!(
                "Less than {bytes} bytes of the request body came within {} s.",
                within.as_secs()
            ),
            param: None,
        }
    }

    /// The body is compressed: 415, rather than a word about its grammar.
    pub(crate) fn encoded() -> Self {
        Self {
            status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
            code: "unsupported_content_encoding",
            message: "The request body has a content-encoding. Send it as it is.".to_owned(),
            param: Some("content-encoding".into()),
        }
    }

    /// `param` names a model that is not here; `near` is the one that was probably meant.
    pub(crate) fn unknown_model(param: &'static str, name: &str, near: Option<&str>) -> Self {
        // A name is as long as the caller likes, an error is not.
        let name: String = name.chars().take(100).collect();
        let hint = match near {
            Some(near) => format!("Did you mean `{near}`?"),
            None => "GET /v1/models lists those that are.".to_owned(),
        };
        Self {
            status: StatusCode::BAD_REQUEST,
            code: "model_not_found",
            message: format!("'{param}' names `{name}`, but there is no such model. {hint}"),
            param: Some(param.into()),
        }
    }

    /// The status of the answer: 400, 408, 413 or 415.
    pub(crate) const fn status(&self) -> StatusCode {
        self.status
    }

    /// The parameter or header that is wrong, if it is one.
    pub(crate) fn param(&self) -> Option<&str> {
        self.param.as_deref()
    }

    /// What kind of mistake it is, as a word for programs.
    pub(crate) const fn code(&self) -> &'static str {
        self.code
    }

    /// The body as a whole cannot be read.
    pub(crate) fn body(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code: "invalid_json", message: message.into(), param: None }
    }

    /// Broken at `offset` of `body`.
    pub(crate) fn at(body: &[u8], offset: usize, what: &str) -> Self {
        let before = body.get(..offset).unwrap_or(body);
        let line = memchr::memchr_iter(b'\n', before).count() + 1;
        let column = before.len() - memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1) + 1;
        Self::body(format!(
            "The request body is not valid JSON: {what} (line {line}, column {column}, byte {offset})."
        ))
    }

    pub(crate) fn not_utf8(body: &[u8], error: Utf8Error) -> Self {
        Self::at(body, error.valid_up_to(), "it is not UTF-8")
    }

    pub(crate) fn json(body: &[u8], error: &serde_json::Error) -> Self {
        let text = error.to_string();
        let what = text.rsplit_once(" at line ").map_or(&*text, |(what, _)| what);
        Self::at(body, offset(body, error), what)
    }

    pub(crate) fn missing(param: &'static str) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            code: "missing_required_parameter",
            message: format!("Missing required parameter: '{param}'."),
            param: Some(param.into()),
        }
    }

    pub(crate) fn duplicate(param: impl Into<Cow<'static, str>>) -> Self {
        let param = param.into();
        Self {
            status: StatusCode::BAD_REQUEST,
            code: "duplicate_parameter",
            message: format!("'{param}' is given more than once."),
            param: Some(param),
        }
    }

    /// `param` has a value that it cannot have; `rule` says what it must be ("must be a string").
    pub(crate) fn value(param: impl Into<Cow<'static, str>>, rule: &str) -> Self {
        let param = param.into();
        Self {
            status: StatusCode::BAD_REQUEST,
            code: "invalid_value",
            message: format!("'{param}' {rule}."),
            param: Some(param),
        }
    }
}

impl fmt::Display for InvalidRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl error::Error for InvalidRequest {}

/// `serde_json` counts lines and columns from one; a column is a number of bytes.
fn offset(body: &[u8], error: &serde_json::Error) -> usize {
    let start = match error.line().checked_sub(2) {
        Some(newlines) => memchr::memchr_iter(b'\n', body).nth(newlines).map_or(0, |newline| newline + 1),
        None => 0,
    };
    (start + error.column().saturating_sub(1)).min(body.len())
}
