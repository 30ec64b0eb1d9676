//! Header fields of vendors, most of them older than the draft of a standard.
//!
//! OpenAI, Azure and Groq use equal names with different meanings: OpenAI and Groq write a reset as `2m59.56s`, Azure
//! as whole seconds with `-1` for "unknown", and Groq's (and some of OpenAI's) request limits are *per day*. The
//! layers work with limits per minute, so a limit that takes longer to recover is not reported to them, unless it is
//! used up.

use std::time::Duration;

use http::{HeaderMap, HeaderName};
use tollgate_layers::outcome::ReportedLimit;

use crate::times;

/// A limit per minute recovers within a minute; one second is added for rounding.
const MINUTE: Duration = Duration::from_secs(61);

/// Thresholds above which a number is a time and not a duration: in seconds since 1970, and in milliseconds.
const EPOCH_SECONDS: f64 = 1e9;
const EPOCH_MILLIS: f64 = 1e12;

/// The three headers of a limit.
pub(super) struct Names {
    pub(super) limit: HeaderName,
    pub(super) remaining: HeaderName,
    pub(super) reset: HeaderName,
}

impl Names {
    pub(super) const fn of(limit: &'static str, remaining: &'static str, reset: &'static str) -> Self {
        Self {
            limit: HeaderName::from_static(limit),
            remaining: HeaderName::from_static(remaining),
            reset: HeaderName::from_static(reset),
        }
    }
}

/// Request limits: OpenAI's names (also of Azure, Groq, Together, Fireworks), Cerebras's, Anthropic's.
static REQUESTS: [Names; 3] = [
    Names::of("x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
    Names::of(
        "x-ratelimit-limit-requests-minute",
        "x-ratelimit-remaining-requests-minute",
        "x-ratelimit-reset-requests-minute",
    ),
    Names::of(
        "anthropic-ratelimit-requests-limit",
        "anthropic-ratelimit-requests-remaining",
        "anthropic-ratelimit-requests-reset",
    ),
];

/// Token limits, in the same order. Anthropic's `tokens` is the stricter of input and output, so it comes first.
static TOKENS: [Names; 5] = [
    Names::of("x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    Names::of(
        "x-ratelimit-limit-tokens-minute",
        "x-ratelimit-remaining-tokens-minute",
        "x-ratelimit-reset-tokens-minute",
    ),
    Names::of(
        "anthropic-ratelimit-tokens-limit",
        "anthropic-ratelimit-tokens-remaining",
        "anthropic-ratelimit-tokens-reset",
    ),
    Names::of(
        "anthropic-ratelimit-input-tokens-limit",
        "anthropic-ratelimit-input-tokens-remaining",
        "anthropic-ratelimit-input-tokens-reset",
    ),
    Names::of(
        "anthropic-ratelimit-output-tokens-limit",
        "anthropic-ratelimit-output-tokens-remaining",
        "anthropic-ratelimit-output-tokens-reset",
    ),
];

/// Limits of an unknown unit or of a day (GitHub, OpenRouter; Cerebras): they only matter if they are used up.
static OTHERS: [Names; 2] = [
    Names::of("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"),
    Names::of(
        "x-ratelimit-limit-requests-day",
        "x-ratelimit-remaining-requests-day",
        "x-ratelimit-reset-requests-day",
    ),
];

/// Returns the limit of requests per minute.
pub(super) fn requests(headers: &HeaderMap) -> ReportedLimit {
    first(&REQUESTS, headers)
}

/// Returns the limit of tokens per minute.
pub(super) fn tokens(headers: &HeaderMap) -> ReportedLimit {
    first(&TOKENS, headers)
}

/// Returns all limits, whatever their unit and their time window.
pub(super) fn all(headers: &HeaderMap) -> impl Iterator<Item = ReportedLimit> {
    REQUESTS.iter().chain(&TOKENS).chain(&OTHERS).map(|names| read(names, headers))
}

fn first(family: &[Names], headers: &HeaderMap) -> ReportedLimit {
    let stated = family.iter().map(|names| read(names, headers)).find(|seen| !seen.is_empty());
    stated.map(per_minute).unwrap_or_default()
}

/// Removes what does not apply to a limit per minute.
pub(super) fn per_minute(seen: ReportedLimit) -> ReportedLimit {
    match seen.reset {
        Some(reset) if reset > MINUTE && seen.remaining == Some(0) => ReportedLimit { limit: None, ..seen },
        Some(reset) if reset > MINUTE => ReportedLimit::default(),
        Some(_) | None => seen,
    }
}

pub(super) fn read(names: &Names, headers: &HeaderMap) -> ReportedLimit {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    ReportedLimit {
        limit: text(&names.limit).and_then(count),
        remaining: text(&names.remaining).and_then(count),
        reset: text(&names.reset).and_then(|text| reset(text, headers)),
    }
}

/// Parses a count. Returns none for Azure's `-1`.
fn count(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

fn reset(text: &str, headers: &HeaderMap) -> Option<Duration> {
    match times::number(text) {
        Some(millis) if millis >= EPOCH_MILLIS => times::seconds(millis / 1000.0 - times::now(headers)),
        Some(seconds) if seconds >= EPOCH_SECONDS => times::seconds(seconds - times::now(headers)),
        Some(seconds) => times::seconds(seconds),
        None => times::duration(text).or_else(|| times::seconds(times::date(text)? - times::now(headers))),
    }
}
