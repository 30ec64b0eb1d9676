//! Tests of the classification: the golden table, headers, and properties of all inputs.

mod golden;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use proptest::prelude::*;
use tollgate_layers::{Class, outcome::ReportedLimit};

use super::*;

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &str)| {
        (HeaderName::from_static(name), HeaderValue::from_str(value).expect("a value"))
    };
    pairs.iter().map(pair).collect()
}

fn secs(count: u64) -> Option<std::time::Duration> {
    Some(std::time::Duration::from_secs(count))
}

#[test]
fn an_outcome_keeps_its_kind() {
    for kind in OutcomeKind::ALL {
        assert_eq!(OutcomeKind::ALL[kind as usize], kind);
        assert_eq!(kind_of(&kind.outcome()), kind);
    }
}

#[test]
fn an_outcome_without_a_tag_has_the_general_kind_of_its_class() {
    for class in Class::ALL {
        assert_eq!(kind_of(&Outcome::new(class)).class(), class);
    }
    assert_eq!(kind_of(&Outcome::new(Class::Timeout).with_kind(200)), OutcomeKind::Timeout);
}

#[test]
fn a_litellm_exception_has_a_kind() {
    for (name, class) in [
        ("RateLimitError", Class::RateLimited),
        ("ServiceUnavailableError", Class::Unavailable),
        ("InternalServerError", Class::Unavailable),
        ("APIConnectionError", Class::Unavailable),
        ("ContextWindowExceededError", Class::ContextWindow),
        ("ContentPolicyViolationError", Class::ContentPolicy),
        ("AuthenticationError", Class::Unauthorized),
        ("PermissionDeniedError", Class::Unauthorized),
        ("NotFoundError", Class::Unauthorized),
        ("BadRequestError", Class::Caller),
        ("Timeout", Class::Timeout),
    ] {
        assert_eq!(OutcomeKind::from_exception(name).map(OutcomeKind::class), Some(class), "{name}");
        assert_eq!(
            OutcomeKind::from_exception(&format!("litellm.{name}")),
            OutcomeKind::from_exception(name)
        );
    }
    assert_eq!(OutcomeKind::from_exception("a plain text"), None);
}

#[test]
fn the_gateways_own_errors_are_classified_as_their_kind() {
    for kind in OutcomeKind::ALL.into_iter().filter(|kind| kind.class() != Class::Success) {
        let body = format!(r#"{{"error":{{"message":"m","type":"{}","code":null}}}}"#, openai_type(kind));
        let judged = response(status_of(kind), &HeaderMap::new(), body.as_bytes());
        let same_status = status_of(kind_of(&judged)) == status_of(kind);
        assert!(
            same_status || judged.class() == kind.class(),
            "{kind:?} came back as {:?}",
            kind_of(&judged)
        );
    }
}

#[test]
fn a_success_reports_openai_rate_limit_headers() {
    let outcome = success(&headers(&[
        ("x-ratelimit-limit-requests", "60"),
        ("x-ratelimit-remaining-requests", "59"),
        ("x-ratelimit-reset-requests", "1s"),
        ("x-ratelimit-limit-tokens", "150000"),
        ("x-ratelimit-remaining-tokens", "149984"),
        ("x-ratelimit-reset-tokens", "6ms"),
    ]));
    assert_eq!(kind_of(&outcome), OutcomeKind::Success);
    assert_eq!(outcome.requests(), ReportedLimit { limit: Some(60), remaining: Some(59), reset: secs(1) });
    assert_eq!(outcome.tokens().remaining, Some(149_984));
    assert_eq!(outcome.tokens().reset, Some(std::time::Duration::from_millis(6)));
    assert_eq!(outcome.retry_after(), None);
}

#[test]
fn unknown_azure_rate_limits_are_none() {
    let outcome = success(&headers(&[
        ("x-ratelimit-remaining-requests", "79"),
        ("x-ratelimit-limit-tokens", "-1"),
        ("x-ratelimit-remaining-tokens", "-1"),
        ("x-ratelimit-reset-tokens", "0"),
    ]));
    assert_eq!(outcome.requests(), ReportedLimit { limit: None, remaining: Some(79), reset: None });
    assert!(outcome.tokens().is_empty());
}

#[test]
fn a_groq_rate_limit_per_day_is_not_a_limit_per_minute() {
    let groq = |remaining| {
        success(&headers(&[
            ("x-ratelimit-limit-requests", "14400"),
            ("x-ratelimit-remaining-requests", remaining),
            ("x-ratelimit-reset-requests", "2m59.56s"),
            ("x-ratelimit-limit-tokens", "18000"),
            ("x-ratelimit-remaining-tokens", "17997"),
            ("x-ratelimit-reset-tokens", "7.66s"),
        ]))
    };
    assert!(groq("14370").requests().is_empty());
    assert_eq!(groq("14370").tokens().limit, Some(18000));
    assert_eq!(groq("0").requests().limit, None);
    assert_eq!(groq("0").requests().remaining, Some(0));
}

#[test]
fn anthropic_rate_limit_resets_are_times() {
    let outcome = success(&headers(&[
        ("date", "Thu, 01 Jan 2026 00:00:00 GMT"),
        ("anthropic-ratelimit-requests-limit", "50"),
        ("anthropic-ratelimit-requests-remaining", "49"),
        ("anthropic-ratelimit-requests-reset", "2026-01-01T00:00:02Z"),
        ("anthropic-ratelimit-input-tokens-limit", "30000"),
        ("anthropic-ratelimit-input-tokens-remaining", "29000"),
        ("anthropic-ratelimit-input-tokens-reset", "2026-01-01T00:00:01.5+00:00"),
    ]));
    assert_eq!(outcome.requests(), ReportedLimit { limit: Some(50), remaining: Some(49), reset: secs(2) });
    assert_eq!(outcome.tokens().reset, Some(std::time::Duration::from_millis(1500)));
}

#[test]
fn an_ordinary_chunk_is_not_classified_as_an_error() {
    for chunk in [
        r#"{"choices":[{"delta":{"content":"an \"error\": {\"code\": 429} occurred"}}]}"#,
        r#"{"id":"x","choices":[{"delta":{"content":"error"},"finish_reason":null}],"error":null}"#,
        r#"{"error" : null,"choices":[]}"#,
        r#"{"error":"","choices":[]}"#,
        r#"{"error":{},"choices":[]}"#,
        r#"{"error":false}"#,
        r#"{"choices":[{"message":{"tool_calls":[{"function":{"name":"error","arguments":"{}"}}]}}]}"#,
        r#"{"choices":[{"delta":{"content":"x"},"error":null,"finish_reason":"stop"}]}"#,
        "[DONE]",
        "",
        "\"error",
    ] {
        assert_eq!(event(chunk.as_bytes(), &HeaderMap::new()), None, "{chunk}");
    }
}

#[test]
fn an_error_body_with_status_200_is_classified() {
    let body = br#"{"error":{"code":429,"message":"slow down"}}"#;
    assert_eq!(kind_of(&response(StatusCode::OK, &HeaderMap::new(), body)), OutcomeKind::RateLimited);
    assert_eq!(kind_of(&response(StatusCode::OK, &HeaderMap::new(), b"{}")), OutcomeKind::Success);
}

#[test]
fn the_error_message_of_each_provider_is_found() {
    for (body, wanted) in [
        (r#"{"error":{"message":"a","type":"t"}}"#, Some("a")),
        (r#"{"error":"b","error_type":"validation"}"#, Some("b")),
        (r#"{"message":"c"}"#, Some("c")),
        (r#"{"Message":"d"}"#, Some("d")),
        (r#"{"object":"error","message":{"detail":[{"loc":["body"],"msg":"e"}]}}"#, Some("e")),
        (r#"{"detail":[{"msg":"f","input":"the prompt"}]}"#, Some("f")),
        (r#"{"success":false,"errors":[{"code":7003,"message":"g"}]}"#, Some("g")),
        (r#"[{"error":{"message":"h","code":400}}]"#, Some("h")),
        (r#"{"detail":"Not Found"}"#, Some("Not Found")),
        ("{}", None),
    ] {
        let json = serde_json::from_str(body).expect("JSON");
        assert_eq!(super::error_details::message_of(&json), wanted, "{body}");
    }
}

proptest! {
    #[test]
    fn nothing_that_an_upstream_sends_makes_us_stumble(
        status in 100u16..=999, body in proptest::collection::vec(any::<u8>(), 0..200), wait in "[ -~]{0,24}",
    ) {
        let status = StatusCode::from_u16(status).expect("in range");
        let headers = headers(&[
            ("retry-after", &wait), ("retry-after-ms", &wait), ("x-ratelimit-remaining-requests", "0"),
            ("x-ratelimit-reset-requests", &wait), ("date", &wait),
        ]);
        for outcome in [Some(response(status, &headers, &body)), event(&body, &headers)].into_iter().flatten() {
            prop_assert!(outcome.retry_after().is_none_or(|wait| !wait.is_zero() && wait <= tollgate_http::times::LONGEST));
        }
    }

    #[test]
    fn a_400_is_never_a_429_for_its_text(before in "[ -~]{0,40}", after in "[ -~]{0,40}") {
        let text = format!("{before} rate limit reached (429 Too Many Requests), try again in 20s {after}");
        let body = serde_json::json!({"error": {"message": text, "type": "invalid_request_error", "code": null}});
        let outcome = response(StatusCode::BAD_REQUEST, &HeaderMap::new(), body.to_string().as_bytes());
        prop_assert_ne!(outcome.class(), Class::RateLimited);
        prop_assert_eq!(outcome.retry_after(), None);
    }

    #[test]
    fn text_that_the_model_wrote_never_makes_an_error(content in "\\PC{0,60}") {
        let content = format!("{content} \"error\": {{\"code\": 500}}");
        let chunk = serde_json::json!({"choices": [{"index": 0, "delta": {"content": content}}]});
        prop_assert_eq!(event(chunk.to_string().as_bytes(), &HeaderMap::new()), None);
    }
}
