//! How long an upstream asks us to wait.
//!
//! The most exact word wins: milliseconds, then `retry-after`, then what the body says in a field of its own, then
//! the reset of a limit that is used up, then the sentence in the message. A word that is zero, past or garbage is
//! none, and the next one is asked.

use std::time::Duration;

use http::{HeaderMap, HeaderName};

use super::{fault::Fault, limits, moment};

static RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");
static RETRY_AFTER: HeaderName = http::header::RETRY_AFTER;

/// What stands before a duration in the sentences of OpenAI, Azure, Groq and Gemini.
const SENTENCES: [&str; 5] =
    ["try again in ", "retry in ", "retry after ", "try again after ", "please wait "];

/// The wait that the upstream asks for in so many words.
pub(super) fn asked(headers: &HeaderMap, fault: &Fault) -> Option<Duration> {
    millis(headers).or_else(|| retry_after(headers)).or(fault.wait())
}

/// The wait that can be gathered from a limit that is used up, or from the message.
pub(super) fn hinted(headers: &HeaderMap, fault: &Fault) -> Option<Duration> {
    limits::exhausted_until(headers).or_else(|| sentence(fault.text()))
}

fn millis(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(&RETRY_AFTER_MS)?.to_str().ok()?;
    moment::seconds(moment::number(text)? / 1000.0)
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(&RETRY_AFTER)?.to_str().ok()?;
    match moment::number(text) {
        Some(count) => moment::seconds(count),
        None => moment::seconds(moment::date(text)? - moment::now(headers)),
    }
}

/// `text` is in lower case.
fn sentence(text: &str) -> Option<Duration> {
    SENTENCES.iter().find_map(|opening| {
        let at = text.find(opening)? + opening.len();
        moment::leading_duration(text.get(at..)?)
    })
}
