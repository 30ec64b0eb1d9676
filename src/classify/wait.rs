//! The wait that an upstream requests.
//!
//! The most precise source is used: milliseconds, then `retry-after`, then a field of the body, then the reset of a
//! used-up limit, then a sentence in the message. A wait that is zero, past or invalid is skipped.

use std::time::Duration;

use http::{HeaderMap, HeaderName};

use super::{dates, error_details::ErrorDetails, limits};

static RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");
static RETRY_AFTER: HeaderName = http::header::RETRY_AFTER;

/// The phrases before a duration in messages of OpenAI, Azure, Groq and Gemini.
const SENTENCES: [&str; 5] =
    ["try again in ", "retry in ", "retry after ", "try again after ", "please wait "];

/// Returns the wait in a header or in a field of the body.
pub(super) fn asked(headers: &HeaderMap, details: &ErrorDetails) -> Option<Duration> {
    millis(headers).or_else(|| retry_after(headers)).or(details.wait())
}

/// Returns the wait derived from a used-up limit, or from the message.
pub(super) fn hinted(headers: &HeaderMap, details: &ErrorDetails) -> Option<Duration> {
    limits::exhausted_until(headers).or_else(|| sentence(details.text()))
}

fn millis(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(&RETRY_AFTER_MS)?.to_str().ok()?;
    dates::seconds(dates::number(text)? / 1000.0)
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(&RETRY_AFTER)?.to_str().ok()?;
    match dates::number(text) {
        Some(count) => dates::seconds(count),
        None => dates::seconds(dates::date(text)? - dates::now(headers)),
    }
}

/// Returns the wait in a message. `text` is in lower case.
fn sentence(text: &str) -> Option<Duration> {
    SENTENCES.iter().find_map(|opening| {
        let at = text.find(opening)? + opening.len();
        dates::leading_duration(text.get(at..)?)
    })
}
