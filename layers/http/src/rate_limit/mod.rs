//! Rate limits that a response reports in its header fields: [`RateLimits`], [`exhausted_until`].
//!
//! Servers report their limits under many names. This module reads:
//!
//! | fields | sent by | source |
//! |---|---|---|
//! | `RateLimit: "default";r=50;t=30`, `RateLimit-Policy: "default";q=100;w=60` | the standard, since draft 8 | [draft-ietf-httpapi-ratelimit-headers-11] |
//! | `RateLimit: limit=100, remaining=50, reset=5` | draft 7 | [draft 7] |
//! | `RateLimit-Limit: 100, 100;w=60`, `RateLimit-Remaining`, `RateLimit-Reset` | drafts 0 to 6 | [draft 3], [draft 6] |
//! | `X-RateLimit-Limit: 10, 10;w=60`, `-Remaining`, `-Reset` | Envoy, Kong and others, after draft 3 | [Envoy's rate limit filter] |
//! | `x-ratelimit-limit`, `-remaining`, `-reset`: a limit per hour, the reset as a Unix time | GitHub | [GitHub's REST API] |
//! | `x-ratelimit-limit-requests`, `-remaining-requests`, `-reset-requests`, `...-tokens` | OpenAI, Azure, Groq | [OpenAI's rate limits] |
//! | `anthropic-ratelimit-requests-limit`, `-remaining`, `-reset` as RFC 3339, `...-tokens-...` | Anthropic | [Anthropic's rate limits] |
//!
//! The layers work with limits *per minute*. A limit with another window, or with an unknown one that takes longer than a
//! minute to recover, is therefore not reported to them, unless it is used up: then the fields state when the server
//! accepts calls again, whatever the window is.
//!
//! ```
//! use std::time::Duration;
//! use http::{HeaderMap, HeaderValue};
//! use tollgate_http::rate_limit::{self, RateLimits};
//!
//! let mut headers = HeaderMap::new();
//! headers.insert("ratelimit-policy", HeaderValue::from_static(r#""minute";q=100;w=60, "day";q=1000;w=86400"#));
//! headers.insert("ratelimit", HeaderValue::from_static(r#""minute";r=50;t=30, "day";r=600;t=40000"#));
//! let requests = RateLimits::from_headers(&headers).requests;
//! assert_eq!((requests.limit, requests.remaining), (Some(100), Some(50)));
//! assert_eq!(requests.reset, Some(Duration::from_secs(30)));
//! assert_eq!(rate_limit::exhausted_until(&headers), None, "no limit is used up");
//! ```
//!
//! Hazards: a reset that is an absolute time is compared with the `date` field of the response, and with this host's
//! clock if there is none. A malformed field is ignored, as the draft requires. At most sixteen members of a list are
//! read.
//!
//! [draft-ietf-httpapi-ratelimit-headers-11]: https://www.ietf.org/archive/id/draft-ietf-httpapi-ratelimit-headers-11.html
//! [draft 7]: https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-ratelimit-headers-07
//! [draft 6]: https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-ratelimit-headers-06
//! [draft 3]: https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-ratelimit-headers-03
//! [Envoy's rate limit filter]: https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/rate_limit_filter
//! [GitHub's REST API]: https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
//! [OpenAI's rate limits]: https://platform.openai.com/docs/guides/rate-limits
//! [Anthropic's rate limits]: https://docs.anthropic.com/en/api/rate-limits

mod ietf;
mod structured;
#[cfg(test)]
mod tests;
mod vendor;

use std::time::Duration;

use http::{HeaderMap, HeaderName};
use tollgate_layers::outcome::ReportedLimit;

/// The limits per minute that a response reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimits {
    /// The limit of requests.
    pub requests: ReportedLimit,
    /// The limit of tokens, which only the APIs of language models report.
    pub tokens: ReportedLimit,
}

impl RateLimits {
    /// Reads the limits of a response. A limit that no field reports is empty.
    #[must_use]
    pub fn from_headers(headers: &HeaderMap) -> Self {
        // Most servers send none of these fields; checking their few names is cheaper than looking up every known name.
        if !headers.keys().any(is_rate_limit) {
            return Self::default();
        }
        let requests = vendor::requests(headers);
        let requests = if requests.is_empty() { ietf::requests(headers) } else { requests };
        Self { requests, tokens: vendor::tokens(headers) }
    }
}

/// Returns the time until all used-up limits have recovered; at most [`LONGEST`](crate::times::LONGEST). Returns `None` if
/// no limit is used up, or if no field states the time.
///
/// Limits of any window and unit count, except one of concurrent requests, which recovers with the end of any of them.
#[must_use]
pub fn exhausted_until(headers: &HeaderMap) -> Option<Duration> {
    vendor::all(headers)
        .chain(ietf::all(headers))
        .filter(|limit| limit.remaining == Some(0))
        .filter_map(|limit| limit.reset)
        .max()
}

/// Returns true if the name has the prefix of a known rate limit field.
fn is_rate_limit(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.starts_with("x-ratelimit-")
        || name.starts_with("anthropic-ratelimit-")
        || name.starts_with("ratelimit")
}
