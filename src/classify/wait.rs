//! The wait that an upstream requests.
//!
//! The most precise source is used: a header (milliseconds before seconds), then a field of the body, then the reset of a
//! used-up limit, then a sentence in the message. A wait that is zero, past or invalid is skipped.

use std::time::Duration;

use http::HeaderMap;
use tollgate_http::{rate_limit, retry_after, times};

use super::error_details::ErrorDetails;

/// The phrases before a duration in messages of OpenAI, Azure, Groq and Gemini.
const SENTENCES: [&str; 5] =
    ["try again in ", "retry in ", "retry after ", "try again after ", "please wait "];

/// Returns the wait in a header or in a field of the body.
pub(super) fn asked(headers: &HeaderMap, details: &ErrorDetails) -> Option<Duration> {
    retry_after(headers).or(details.wait())
}

/// Returns the wait derived from a used-up limit, or from the message.
pub(super) fn hinted(headers: &HeaderMap, details: &ErrorDetails) -> Option<Duration> {
    rate_limit::exhausted_until(headers).or_else(|| sentence(details.text()))
}

/// Returns the wait in a message. `text` is in lower case.
fn sentence(text: &str) -> Option<Duration> {
    SENTENCES.iter().find_map(|opening| {
        let at = text.find(opening)? + opening.len();
        times::leading_duration(text.get(at..)?)
    })
}
