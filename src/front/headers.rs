//! Response headers: the filter of upstream headers, and the gateway's own under LiteLLM's names, for existing dashboards.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use tokio::time::Instant;
use tollgate_layers::{Class, Outcome};

use super::{
    client_limits,
    handle_error::{RETRY_AFTER_MS, write_retry_after},
};
use crate::{
    body::events::is_events,
    classify::{OutcomeKind, kind_of},
    request::{RequestContext, Response},
    spend::Spending,
};

/// The id of the request: generated, or the client's own.
pub(crate) const CALL_ID: HeaderName = HeaderName::from_static("x-litellm-call-id");
const MODEL_ID: HeaderName = HeaderName::from_static("x-litellm-model-id");
const MODEL_GROUP: HeaderName = HeaderName::from_static("x-litellm-model-group");
const API_BASE: HeaderName = HeaderName::from_static("x-litellm-model-api-base");
const RETRIES: HeaderName = HeaderName::from_static("x-litellm-attempted-retries");
const MAX_RETRIES: HeaderName = HeaderName::from_static("x-litellm-max-retries");
const FALLBACKS: HeaderName = HeaderName::from_static("x-litellm-attempted-fallbacks");
const COST: HeaderName = HeaderName::from_static("x-litellm-response-cost");
const DURATION: HeaderName = HeaderName::from_static("x-litellm-response-duration-ms");
const OVERHEAD: HeaderName = HeaderName::from_static("x-litellm-overhead-duration-ms");
/// The groups that were tried after the first, written if all have failed.
const TRIED: HeaderName = HeaderName::from_static("x-tollgate-tried-groups");
/// OpenAI's SDKs obey this header. It keeps them from multiplying the retries of the gateway.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
/// The maximum length of [`TRIED`], and of each name in it, in bytes. Names are of any length, and clients limit the length
/// of a head.
const TRIED_LENGTH: usize = 1024;
const NAME_LENGTH: usize = 64;

/// The usual number of headers in a response: those of the upstream that pass, and those of the gateway.
const CAPACITY: usize = 16;

/// The headers that must not be logged.
pub(crate) const SENSITIVE: [HeaderName; 6] = [
    header::AUTHORIZATION,
    header::PROXY_AUTHORIZATION,
    header::COOKIE,
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-litellm-api-key"),
];

/// Returns the name under which the client receives an upstream's header, or none if the header is dropped; this is the
/// only such table. Three kinds pass: headers that describe the message, headers that a client acts by, and the ids that
/// a provider's support requires. Rate limit headers get LiteLLM's names, because they describe one deployment: a client
/// that slowed down by them would slow down for all. Every other header is dropped: it belongs to one hop or to the
/// upstream's origin, reveals the operator's account (`openai-organization`) or the upstream's software, or is written
/// by the gateway itself (`x-litellm-*`).
fn client_name(name: HeaderName) -> Option<HeaderName> {
    const fn renamed(name: &'static str) -> HeaderName {
        HeaderName::from_static(name)
    }
    Some(match name.as_str() {
        "content-type" | "content-encoding" | "content-language" | "cache-control" | "x-accel-buffering" => {
            name
        }
        "retry-after" | "retry-after-ms" => name,
        "x-request-id" | "request-id" | "apim-request-id" | "x-amzn-requestid" => name,
        "openai-processing-ms" | "openai-version" => name,
        "x-ratelimit-limit-requests" => const { renamed("llm_provider-x-ratelimit-limit-requests") },
        "x-ratelimit-limit-tokens" => const { renamed("llm_provider-x-ratelimit-limit-tokens") },
        "x-ratelimit-remaining-requests" => const { renamed("llm_provider-x-ratelimit-remaining-requests") },
        "x-ratelimit-remaining-tokens" => const { renamed("llm_provider-x-ratelimit-remaining-tokens") },
        "x-ratelimit-reset-requests" => const { renamed("llm_provider-x-ratelimit-reset-requests") },
        "x-ratelimit-reset-tokens" => const { renamed("llm_provider-x-ratelimit-reset-tokens") },
        _ => return None,
    })
}

/// Returns the headers for the client: those that [`client_name`] passes and that `connection` does not list.
fn client_headers(upstream: HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(CAPACITY);
    let hop_by_hop: Vec<HeaderName> = upstream
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let mut target = None;
    for (name, value) in upstream {
        // `HeaderMap` yields the name of several values only with the first of them.
        if let Some(name) = name {
            target = if hop_by_hop.contains(&name) { None } else { client_name(name) };
        }
        if let Some(name) = target.as_ref().filter(|name| is_understood(name, &value)) {
            headers.append(name, value);
        }
    }
    headers
}

/// Returns false for a waiting time that is neither a number nor a date.
fn is_understood(name: &HeaderName, value: &HeaderValue) -> bool {
    let is_wait = *name == header::RETRY_AFTER || *name == RETRY_AFTER_MS;
    !is_wait || value.to_str().is_ok_and(|text| is_number(text) || httpdate::parse_http_date(text).is_ok())
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Replaces the response's headers by those for the client, and adds those that describe the request's course: with the
/// address of the upstream, and with the cost if that is requested or the client has a key.
pub(crate) fn write(
    response: &mut Response,
    context: &RequestContext,
    (expose_upstreams, response_cost): (bool, bool),
) {
    let mut headers = client_headers(std::mem::take(response.headers_mut()));
    if let Some(origin) = response.body().origin() {
        headers.insert(MODEL_ID, origin.deployment.clone());
        headers.insert(MODEL_GROUP, origin.group.clone());
        if expose_upstreams {
            headers.insert(API_BASE, origin.base.clone());
        }
    }
    let fallbacks = context.fallbacks();
    let (repeats, max_retries) = context.repeats();
    headers.insert(RETRIES, count(repeats));
    if repeats > 0 {
        headers.insert(MAX_RETRIES, max_retries.into());
    }
    headers.insert(FALLBACKS, count(fallbacks));
    let (whole, upstream) = (Instant::now().saturating_duration_since(context.arrival), context.upstream());
    headers.insert(DURATION, millis(whole));
    headers.insert(OVERHEAD, millis(whole.saturating_sub(upstream)));
    if is_events(&headers) {
        keep_flowing(&mut headers);
    }
    let outcome = response.body().outcome();
    if outcome.class() != Class::Success {
        write_failure(&mut headers, context, outcome);
    }
    if let Some(spending) = context.spending.as_ref().filter(|_| response_cost || context.client.is_some()) {
        write_cost(&mut headers, response, spending);
    }
    if let Some(client) = &context.client {
        client_limits::write_headers(&mut headers, client);
    }
    *response.headers_mut() = headers;
}

/// Writes the cost of all attempts in dollars, if the response is complete and its prices are known.
fn write_cost(headers: &mut HeaderMap, response: &Response, spending: &Spending) {
    let dollars = if response.body().has_ended() { spending.dollars() } else { None };
    if let Some(cost) = dollars.and_then(|dollars| HeaderValue::try_from(dollars.to_string()).ok()) {
        headers.insert(COST, cost);
    }
}

/// Keeps proxies and browsers from storing a stream, and nginx from collecting it.
pub(crate) fn keep_flowing(headers: &mut HeaderMap) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
}

/// Writes the headers of a failure. If it is known when the upstream accepts calls again, the client receives that time, as
/// it does with a refusal of the gateway, which has these headers already. Otherwise, after at least one attempt upstream,
/// a retry by the client would only multiply those of the gateway.
fn write_failure(headers: &mut HeaderMap, context: &RequestContext, outcome: &Outcome) {
    if outcome.is_refusal() && kind_of(outcome) == OutcomeKind::QuotaExhausted {
        // A budget is renewed much later than a client retries.
        headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
    }
    if !outcome.is_refusal() {
        // The upstream's own values may not be ones that a client understands.
        headers.remove(header::RETRY_AFTER);
        headers.remove(RETRY_AFTER_MS);
        match outcome.retry_after() {
            Some(after) => write_retry_after(headers, after),
            None if context.attempts.made() > 0 => {
                headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
            }
            None => {}
        }
    }
    let tried = names(&context.groups());
    if let (false, Ok(tried)) = (tried.is_empty(), HeaderValue::from_str(&tried)) {
        headers.insert(TRIED, tried);
    }
}

/// Returns a list of names for a header: shortened, and with the number of those that do not fit.
fn names(groups: &[Arc<str>]) -> String {
    let mut list = String::new();
    for (index, name) in groups.iter().enumerate() {
        if list.len() + NAME_LENGTH > TRIED_LENGTH {
            let rest = groups.len() - index;
            return format!("{list}, and {rest} more");
        }
        let visible = name.chars().map(|char| if matches!(char, ' '..='~') { char } else { '?' });
        let shortened = if name.chars().nth(NAME_LENGTH).is_some() { "..." } else { "" };
        let separator = if list.is_empty() { "" } else { ", " };
        list.push_str(separator);
        list.extend(visible.take(NAME_LENGTH));
        list.push_str(shortened);
    }
    list
}

/// Formats milliseconds with three decimal places, as LiteLLM does, without `fmt`.
fn millis(duration: std::time::Duration) -> HeaderValue {
    // Room for three decimal places, the point, and the 20 digits of a u64.
    let mut text = [b'0'; 24];
    let (mut from, mut rest) = (text.len(), u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
    while rest > 0 || text.len() - from < 5 {
        from -= 1;
        if text.len() - from == 4 {
            text[from] = b'.';
            from -= 1;
        }
        text[from] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    HeaderValue::from_bytes(&text[from..]).unwrap_or(HeaderValue::from_static("0"))
}

/// Returns the header value of a count. Nearly all counts are zero, which needs no allocation.
fn count(count: usize) -> HeaderValue {
    if count == 0 { HeaderValue::from_static("0") } else { count.into() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn milliseconds_in_headers_have_three_decimal_places() {
        for (micros, text) in
            [(0, "0.000"), (7, "0.007"), (999, "0.999"), (1000, "1.000"), (12_345_678, "12345.678")]
        {
            assert_eq!(millis(Duration::from_micros(micros)), text);
        }
        assert_eq!(millis(Duration::MAX), "18446744073709551.615");
    }

    #[test]
    fn tried_groups_in_headers_are_shortened() {
        let groups = |names: &[&str]| names.iter().map(|name| Arc::from(*name)).collect::<Vec<_>>();
        assert_eq!(names(&groups(&["a", "gpt-4o", "größer\n"])), "a, gpt-4o, gr??er?");
        let long = "x".repeat(10_000);
        assert_eq!(names(&groups(&[&long, "b"])), format!("{}..., b", &long[..64]));
        let all = names(&groups(&[&*long; 256]));
        assert!(all.len() < 1100 && all.ends_with("..., and 242 more"), "{all}");
        assert_eq!(names(&[]), "");
    }

    #[test]
    fn a_retry_after_in_headers_is_a_number_or_a_date() {
        let passed = |value: &str| {
            let upstream = [(header::RETRY_AFTER, HeaderValue::from_str(value).unwrap())];
            client_headers(upstream.into_iter().collect()).len() == 1
        };
        assert!(passed("0") && passed("120") && passed("Sun, 06 Nov 1994 08:49:37 GMT"));
        for other in ["", "soon", "-1", "1.5s", "inf", "NaN", "1e9", "12 seconds", "tomorrow, 3 pm", "0x10"] {
            assert!(!passed(other), "{other}");
        }
    }
}
