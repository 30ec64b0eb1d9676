//! What the headers of an answer tell about the upstream's limits.
//!
//! OpenAI, Azure and Groq use the same names for different things: OpenAI and Groq write a reset as `2m59.56s`, Azure
//! as whole seconds with `-1` for "unknown", and Groq's (and some of OpenAI's) limits of requests are *per day*.
//! Layers think in minutes, so a limit that takes longer than that to recover is not told to them, except that it is
//! used up.

use std::time::Duration;

use http::{HeaderMap, HeaderName};
use tollgate_layers::ending::Seen;

use super::moment;

/// A limit per minute is whole again after a minute at most; the second more is for rounding.
const MINUTE: Duration = Duration::from_secs(61);

/// Numbers above are points in time and not spans: seconds since 1970 from here on, milliseconds from the second on.
const EPOCH_SECONDS: f64 = 1e9;
const EPOCH_MILLIS: f64 = 1e12;

/// The three headers of one limit.
struct Names {
    limit: HeaderName,
    remaining: HeaderName,
    reset: HeaderName,
}

impl Names {
    const fn of(limit: &'static str, remaining: &'static str, reset: &'static str) -> Self {
        Self {
            limit: HeaderName::from_static(limit),
            remaining: HeaderName::from_static(remaining),
            reset: HeaderName::from_static(reset),
        }
    }
}

/// OpenAI's names, shared by Azure, Groq, Together, Fireworks; Cerebras's; Anthropic's.
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

/// Likewise. Anthropic's `tokens` is the tighter one of input and output, so it comes before them.
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

/// Limits of no known unit or of a whole day: only that they are used up matters. GitHub, OpenRouter; Cerebras.
static OTHERS: [Names; 2] = [
    Names::of("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"),
    Names::of(
        "x-ratelimit-limit-requests-day",
        "x-ratelimit-remaining-requests-day",
        "x-ratelimit-reset-requests-day",
    ),
];

/// What an answer told about both limits.
#[derive(Debug, Default)]
pub(super) struct Limits {
    pub(super) requests: Seen,
    pub(super) tokens: Seen,
}

impl Limits {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        // Most servers tell nothing, and to look at their few names is cheaper than to look for all of ours.
        if !headers.keys().any(is_ours) {
            return Self::default();
        }
        Self { requests: first(&REQUESTS, headers), tokens: first(&TOKENS, headers) }
    }
}

/// How all the names begin.
fn is_ours(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.starts_with("x-ratelimit-") || name.starts_with("anthropic-ratelimit-")
}

/// When the last of those limits recovers that are used up.
pub(super) fn exhausted_until(headers: &HeaderMap) -> Option<Duration> {
    let all = REQUESTS.iter().chain(&TOKENS).chain(&OTHERS);
    all.map(|names| read(names, headers))
        .filter(|seen| seen.remaining == Some(0))
        .filter_map(|seen| seen.reset)
        .max()
}

fn first(family: &[Names], headers: &HeaderMap) -> Seen {
    let told = family.iter().map(|names| read(names, headers)).find(|seen| !seen.is_empty());
    told.map(per_minute).unwrap_or_default()
}

/// What holds of it for a limit per minute.
fn per_minute(seen: Seen) -> Seen {
    match seen.reset {
        Some(reset) if reset > MINUTE && seen.remaining == Some(0) => Seen { limit: None, ..seen },
        Some(reset) if reset > MINUTE => Seen::default(),
        Some(_) | None => seen,
    }
}

fn read(names: &Names, headers: &HeaderMap) -> Seen {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    Seen {
        limit: text(&names.limit).and_then(count),
        remaining: text(&names.remaining).and_then(count),
        reset: text(&names.reset).and_then(|text| reset(text, headers)),
    }
}

/// A count; none for Azure's `-1`.
fn count(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

fn reset(text: &str, headers: &HeaderMap) -> Option<Duration> {
    match moment::number(text) {
        Some(millis) if millis >= EPOCH_MILLIS => moment::seconds(millis / 1000.0 - moment::now(headers)),
        Some(seconds) if seconds >= EPOCH_SECONDS => moment::seconds(seconds - moment::now(headers)),
        Some(seconds) => moment::seconds(seconds),
        None => {
            moment::duration(text).or_else(|| moment::seconds(moment::date(text)? - moment::now(headers)))
        }
    }
}
