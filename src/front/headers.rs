//! What an answer's headers tell the operator, under LiteLLM's names, so that dashboards keep working.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use tokio::time::Instant;
use tollgate_layers::Class;

use crate::request::{RequestContext, Response};

/// The id of the request, made here or taken from the client.
pub(crate) const CALL_ID: HeaderName = HeaderName::from_static("x-litellm-call-id");
const MODEL_ID: HeaderName = HeaderName::from_static("x-litellm-model-id");
const MODEL_GROUP: HeaderName = HeaderName::from_static("x-litellm-model-group");
const API_BASE: HeaderName = HeaderName::from_static("x-litellm-model-api-base");
const RETRIES: HeaderName = HeaderName::from_static("x-litellm-attempted-retries");
const MAX_RETRIES: HeaderName = HeaderName::from_static("x-litellm-max-retries");
const FALLBACKS: HeaderName = HeaderName::from_static("x-litellm-attempted-fallbacks");
const DURATION: HeaderName = HeaderName::from_static("x-litellm-response-duration-ms");
const OVERHEAD: HeaderName = HeaderName::from_static("x-litellm-overhead-duration-ms");
/// The groups that were tried after the first, when all have failed.
const TRIED: HeaderName = HeaderName::from_static("x-tollgate-tried-groups");
/// OpenAI's SDKs obey it: what we gave up must not be multiplied by them.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// How many headers an answer commonly has: what passes of the upstream's, and ours.
const ROOM: usize = 16;

/// What no log may show.
pub(crate) const SENSITIVE: [HeaderName; 6] = [
    header::AUTHORIZATION,
    header::PROXY_AUTHORIZATION,
    header::COOKIE,
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-litellm-api-key"),
];

/// What becomes of an upstream's header on its way to the client.
enum Fate {
    Passed,
    Renamed(HeaderName),
    Kept,
}

/// The one table of an upstream's headers. Three sorts pass: those that describe the message, those that a client
/// acts by, and the ids under which a provider can be asked about an answer. Its rate limits get the names that
/// LiteLLM gives them, because they are those of one deployment and a client that slowed down by them would slow down
/// for all. Whatever is not here stays with us: it belongs to one hop or to the upstream's origin, tells of the
/// operator's account (`openai-organization`) or of whose software answers, or is ours to say (`x-litellm-*`).
fn fate(name: &HeaderName) -> Fate {
    const fn renamed(name: &'static str) -> Fate {
        Fate::Renamed(HeaderName::from_static(name))
    }
    match name.as_str() {
        "content-type" | "content-encoding" | "content-language" | "cache-control" | "x-accel-buffering" => {
            Fate::Passed
        }
        "retry-after" | "retry-after-ms" => Fate::Passed,
        "x-request-id" | "request-id" | "apim-request-id" | "x-amzn-requestid" => Fate::Passed,
        "openai-processing-ms" | "openai-version" => Fate::Passed,
        "x-ratelimit-limit-requests" => const { renamed("llm_provider-x-ratelimit-limit-requests") },
        "x-ratelimit-limit-tokens" => const { renamed("llm_provider-x-ratelimit-limit-tokens") },
        "x-ratelimit-remaining-requests" => const { renamed("llm_provider-x-ratelimit-remaining-requests") },
        "x-ratelimit-remaining-tokens" => const { renamed("llm_provider-x-ratelimit-remaining-tokens") },
        "x-ratelimit-reset-requests" => const { renamed("llm_provider-x-ratelimit-reset-requests") },
        "x-ratelimit-reset-tokens" => const { renamed("llm_provider-x-ratelimit-reset-tokens") },
        _ => Fate::Kept,
    }
}

/// What is meant for the client, unless `connection` says that it was meant for us alone.
fn sift(theirs: HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(ROOM);
    let ours_alone: Vec<HeaderName> = theirs
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let mut goes_as = None;
    for (name, value) in theirs {
        // A name that stands for several values comes with the first of them.
        if let Some(name) = name {
            goes_as = match fate(&name) {
                Fate::Kept => None,
                _ if ours_alone.contains(&name) => None,
                Fate::Passed => Some(name),
                Fate::Renamed(name) => Some(name),
            };
        }
        if let Some(name) = &goes_as {
            headers.append(name, value);
        }
    }
    headers
}

/// Writes what this request has been through.
pub(crate) fn write(response: &mut Response, context: &RequestContext, expose_upstreams: bool) {
    let mut headers = sift(std::mem::take(response.headers_mut()));
    if let Some(origin) = response.body().origin() {
        headers.insert(MODEL_ID, origin.deployment.clone());
        headers.insert(MODEL_GROUP, origin.group.clone());
        if expose_upstreams {
            headers.insert(API_BASE, origin.base.clone());
        }
    }
    let fallbacks = context.fallbacks();
    let (repeats, most) = context.repeats();
    headers.insert(RETRIES, count(repeats));
    if repeats > 0 {
        headers.insert(MAX_RETRIES, most.into());
    }
    headers.insert(FALLBACKS, count(fallbacks));
    let (whole, upstream) = (Instant::now().saturating_duration_since(context.arrival), context.upstream());
    headers.insert(DURATION, millis(whole));
    headers.insert(OVERHEAD, millis(whole.saturating_sub(upstream)));
    let outcome = response.body().outcome();
    if outcome.class() != Class::Success {
        gave_up(&mut headers, context, outcome.is_refusal());
    }
    *response.headers_mut() = headers;
}

/// After at least one attempt upstream, whoever retries would only multiply ours. A refusal of our own says when to
/// come back instead.
fn gave_up(headers: &mut HeaderMap, context: &RequestContext, refused: bool) {
    if context.attempts.made() > 0 && !refused {
        headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
    }
    let tried = context.groups().join(", ");
    if let (false, Ok(tried)) = (tried.is_empty(), HeaderValue::from_str(&tried)) {
        headers.insert(TRIED, tried);
    }
}

/// Milliseconds with three places, as LiteLLM writes them, without formatting.
fn millis(duration: std::time::Duration) -> HeaderValue {
    // The three places, the point, and as many digits as a u64 has.
    let mut text = [b'0'; 24];
    let (mut from, mut rest) = (text.len(), u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
    for place in 0.. {
        if place == 3 {
            from -= 1;
            text[from] = b'.';
        }
        if place > 3 && rest == 0 {
            break;
        }
        from -= 1;
        text[from] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    HeaderValue::from_bytes(&text[from..]).unwrap_or(HeaderValue::from_static("0"))
}

/// A count, which is nearly always zero.
fn count(count: usize) -> HeaderValue {
    if count == 0 { HeaderValue::from_static("0") } else { count.into() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn milliseconds_have_three_places() {
        for (micros, text) in
            [(0, "0.000"), (7, "0.007"), (999, "0.999"), (1000, "1.000"), (12_345_678, "12345.678")]
        {
            assert_eq!(millis(Duration::from_micros(micros)), text);
        }
        assert_eq!(millis(Duration::MAX), "18446744073709551.615");
    }
}
