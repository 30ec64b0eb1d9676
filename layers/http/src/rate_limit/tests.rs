//! Golden cases of the header fields of each vendor and draft, and properties of all values.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;
use tollgate_layers::outcome::ReportedLimit;

use super::{RateLimits, exhausted_until};
use crate::times::LONGEST;

/// A name, a source, header fields, and the result.
struct Case {
    name: &'static str,
    fields: &'static str,
    wanted: &'static str,
}

/// The cases of `golden.http`: a name behind `###`, the source, the fields, and behind `=>` the result.
fn cases() -> Vec<Case> {
    let case = |text: &'static str| {
        let (name, rest) = text.split_once("\nsource: ").unwrap_or_else(|| panic!("{text}: no source"));
        let (rest, wanted) = rest.split_once("\n=> ").unwrap_or_else(|| panic!("{name}: no result"));
        let (_, fields) = rest.split_once('\n').unwrap_or_else(|| panic!("{name}: no fields"));
        Case { name, fields, wanted: wanted.trim() }
    };
    include_str!("golden.http").split("### ").skip(1).map(case).collect()
}

fn headers(fields: &str) -> HeaderMap {
    let field = |line: &str| {
        let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("{line}: not a field"));
        let name: HeaderName = name.to_lowercase().parse().expect("a name");
        (name, HeaderValue::from_str(value).expect("a value"))
    };
    let mut headers = HeaderMap::new();
    fields.lines().map(field).for_each(|(name, value)| {
        headers.append(name, value);
    });
    headers
}

/// Returns `limit/remaining/reset in milliseconds`, with `-` for unknown parts.
fn shown(limit: ReportedLimit) -> String {
    let number = |number: Option<u128>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    let (limit, remaining, reset) =
        (limit.limit, limit.remaining, limit.reset.map(|reset| reset.as_millis()));
    if (limit, remaining, reset) == (None, None, None) {
        return "none".to_owned();
    }
    format!("{}/{}/{}", number(limit.map(u128::from)), number(remaining.map(u128::from)), number(reset))
}

#[test]
fn each_golden_case_is_read_as_its_source_describes_it() {
    let cases = cases();
    assert!(cases.len() >= 40, "{} cases", cases.len());
    let wrong: Vec<_> = cases
        .iter()
        .filter_map(|case| {
            let headers = headers(case.fields);
            let limits = RateLimits::from_headers(&headers);
            let until =
                exhausted_until(&headers).map_or("-".to_owned(), |until| until.as_millis().to_string());
            let got = format!("{} {} {until}", shown(limits.requests), shown(limits.tokens));
            (got != case.wanted).then(|| format!("{}: {got}, not {}", case.name, case.wanted))
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_response_without_rate_limit_fields_reports_nothing() {
    let headers = headers("content-type: text/plain\nrate: 3\nx-rate-limit: 5");
    assert_eq!(RateLimits::from_headers(&headers), RateLimits::default());
    assert_eq!(exhausted_until(&headers), None);
}

#[test]
fn of_a_long_list_only_the_first_members_are_read() {
    let list = |members: usize| {
        let many = (0..members).map(|i| format!("\"p{i}\";r=9;t=9")).collect::<Vec<_>>().join(",");
        exhausted_until(&headers(&format!("RateLimit: {many},\"last\";r=0;t=9")))
    };
    assert_eq!(list(15), Some(Duration::from_secs(9)));
    assert_eq!(list(16), None);
}

const NAMES: [&str; 14] = [
    "ratelimit",
    "ratelimit-policy",
    "ratelimit-limit",
    "ratelimit-remaining",
    "ratelimit-reset",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "x-ratelimit-limit-requests",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-reset-requests",
    "anthropic-ratelimit-tokens-remaining",
    "anthropic-ratelimit-tokens-reset",
    "date",
];

/// Returns values that nearly are what a server should send, and any bytes.
fn values() -> impl Strategy<Value = Vec<u8>> {
    let parts = prop_oneof![
        Just("\"a\"".to_owned()),
        Just(";r=0".to_owned()),
        Just(";t=".to_owned()),
        Just(";w=60".to_owned()),
        Just(",".to_owned()),
        Just("limit=".to_owned()),
        Just("1e300".to_owned()),
        Just("NaN".to_owned()),
        Just("-".to_owned()),
        Just("\"".to_owned()),
        Just("\\".to_owned()),
        "[0-9]{1,20}(s|ms|h)?",
        "[ -~]{0,6}",
    ];
    let near = proptest::collection::vec(parts, 0..12).prop_map(|parts| parts.concat().into_bytes());
    prop_oneof![near, proptest::collection::vec(any::<u8>(), 0..40)]
}

proptest! {
    #[test]
    fn no_value_makes_a_reader_panic_or_a_time_unbounded(
        values in proptest::collection::vec(values(), NAMES.len()),
    ) {
        let mut headers = HeaderMap::new();
        for (name, value) in NAMES.into_iter().zip(&values) {
            if let Ok(value) = HeaderValue::from_bytes(value) {
                headers.append(name, value);
            }
        }
        let limits = RateLimits::from_headers(&headers);
        let resets = [limits.requests.reset, limits.tokens.reset, exhausted_until(&headers)];
        for reset in resets.into_iter().flatten() {
            prop_assert!(!reset.is_zero() && reset <= LONGEST);
        }
    }

    #[test]
    fn a_stated_limit_per_minute_is_read_back(limit in 0u64..1_000_000, remaining in 0u64..1_000_000, reset in 1u64..60) {
        let wanted = ReportedLimit {
            limit: Some(limit), remaining: Some(remaining), reset: Some(Duration::from_secs(reset)),
        };
        for fields in [
            format!("RateLimit-Policy: \"p\";q={limit};w=60\nRateLimit: \"p\";r={remaining};t={reset}"),
            format!("RateLimit-Policy: {limit};w=60\nRateLimit: limit={limit}, remaining={remaining}, reset={reset}"),
            format!("RateLimit-Limit: {limit}, {limit};w=60\nRateLimit-Remaining: {remaining}\nRateLimit-Reset: {reset}"),
        ] {
            prop_assert_eq!(RateLimits::from_headers(&headers(&fields)).requests, wanted, "{}", fields);
        }
    }
}
