//! Anthropic's error object.

use serde::{Deserialize, Serialize};

use crate::dialect::json::Text;

#[derive(Serialize)]
struct Shape<'a> {
    r#type: &'static str,
    error: Error<'a>,
    request_id: Option<&'a str>,
}

#[derive(Serialize)]
struct Error<'a> {
    r#type: &'static str,
    message: &'a str,
}

/// The words by which clients of Anthropic recognise a request that is longer than the context window, and make it shorter.
const TOO_LONG: &str = "prompt is too long";

/// Returns the body of an error with this status. `is_too_long` is true if the request is longer than the context window.
pub(in crate::dialect) fn error_body(status: u16, message: &str, is_too_long: bool) -> Vec<u8> {
    let is_worded = !is_too_long || message.contains(TOO_LONG);
    let worded = (!is_worded).then(|| format!("{TOO_LONG}: {message}"));
    let error = Error { r#type: error_type(status), message: worded.as_deref().unwrap_or(message) };
    // Writing these to memory cannot fail.
    serde_json::to_vec(&Shape { r#type: "error", error, request_id: None }).unwrap_or_default()
}

/// Returns Anthropic's type of an error with this status. Source: the list of errors in its API reference.
const fn error_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        408 | 504 => "timeout_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 | 529 => "overloaded_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    }
}

/// Returns true for an error object of Anthropic's.
pub(in crate::dialect) fn is_error(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Known<'a> {
        #[serde(borrow)]
        r#type: Text<'a>,
        #[serde(borrow)]
        error: KnownError<'a>,
    }
    #[derive(Deserialize)]
    struct KnownError<'a> {
        #[serde(borrow, rename = "type")]
        _type: Text<'a>,
        #[serde(borrow, rename = "message")]
        _message: Text<'a>,
    }
    serde_json::from_slice::<Known<'_>>(body)
        .is_ok_and(|Known { r#type, error: KnownError { .. } }| *r#type == *"error")
}
