//! The time to wait that a server asks for: [`retry_after`].

use std::time::Duration;

use http::{HeaderMap, HeaderName, header};

use crate::times;

/// The fields in milliseconds: of OpenAI and Azure, and of Azure Cosmos DB.
static MILLIS: [HeaderName; 2] =
    [HeaderName::from_static("retry-after-ms"), HeaderName::from_static("x-ms-retry-after-ms")];

/// Returns the time to wait before the next request, from `retry-after-ms`, `x-ms-retry-after-ms` or `Retry-After`; the
/// first that has a valid value. Never zero, and at most [`LONGEST`](times::LONGEST).
///
/// `Retry-After` is a number of seconds or an HTTP date ([RFC 9110, section 10.2.3]). A number with a fraction and a date
/// of RFC 3339, which some servers send, are accepted too. A date is compared with the `date` field of the response, so that
/// a difference between the clocks has no effect, and with this host's clock if there is none. Returns `None` without these
/// fields, and for a value that is zero, past, negative or not a number.
///
/// ```
/// use std::time::Duration;
/// use http::{HeaderMap, HeaderValue, header};
///
/// let mut headers = HeaderMap::new();
/// headers.insert(header::DATE, HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT"));
/// headers.insert(header::RETRY_AFTER, HeaderValue::from_static("Sun, 06 Nov 1994 08:50:07 GMT"));
/// assert_eq!(tollgate_http::retry_after(&headers), Some(Duration::from_secs(30)));
/// ```
///
/// [RFC 9110, section 10.2.3]: https://www.rfc-editor.org/rfc/rfc9110.html#section-10.2.3
#[must_use]
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    MILLIS.iter().find_map(|name| millis(headers, name)).or_else(|| seconds_or_date(headers))
}

fn millis(headers: &HeaderMap, name: &HeaderName) -> Option<Duration> {
    let text = headers.get(name)?.to_str().ok()?;
    times::seconds(times::number(text)? / 1000.0)
}

fn seconds_or_date(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    match times::number(text) {
        Some(count) => times::seconds(count),
        None => times::seconds(times::date(text)? - times::now(headers)),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{Field, fields};

    fn of(pairs: &[Field]) -> Option<u128> {
        retry_after(&fields(pairs)).map(|wait| wait.as_millis())
    }

    #[test]
    fn a_wait_is_read_in_every_form() {
        const NOW: Field = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        for (wait, pair) in [
            (120_000, ("retry-after", "120")),
            (7_660, ("retry-after", "7.66")),
            (30_000, ("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")),
            // The two obsolete forms of a date, which a recipient must accept: RFC 9110, section 5.6.7.
            (30_000, ("retry-after", "Sunday, 06-Nov-94 08:50:07 GMT")),
            (30_000, ("retry-after", "Sun Nov  6 08:50:07 1994")),
            (30_000, ("retry-after", "1994-11-06T08:50:07Z")),
            (1_250, ("retry-after-ms", "1250")),
            (14, ("x-ms-retry-after-ms", "14")),
            (3_600_000, ("retry-after", "1e300")),
            (3_600_000, ("retry-after", "Tue, 01 Jan 2999 00:00:00 GMT")),
        ] {
            assert_eq!(of(&[NOW, pair]), Some(wait), "{pair:?}");
        }
    }

    #[test]
    fn an_invalid_wait_is_none() {
        for text in ["", "0", "-1", "NaN", "inf", "-1e300", "soon", "Sun, 06 Nov 1994 08:49:37 PST", "1 2"] {
            assert_eq!(of(&[("retry-after", text)]), None, "{text}");
            assert_eq!(of(&[("retry-after-ms", text)]), None, "{text}");
        }
        assert_eq!(of(&[("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")]), None, "past");
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn milliseconds_are_preferred_if_they_are_valid() {
        assert_eq!(of(&[("retry-after", "7"), ("retry-after-ms", "6500")]), Some(6_500));
        assert_eq!(of(&[("retry-after", "7"), ("retry-after-ms", "soon")]), Some(7_000));
        assert_eq!(
            of(&[("retry-after", "7"), ("retry-after-ms", "0"), ("x-ms-retry-after-ms", "9")]),
            Some(9)
        );
    }

    proptest! {
        #[test]
        fn no_value_makes_a_wait_unbounded(value: Vec<u8>, number: f64, date in "[ -~]{0,32}") {
            for value in [value, number.to_string().into_bytes(), date.clone().into_bytes()] {
                let mut headers = HeaderMap::new();
                for name in MILLIS.iter().chain(&[header::RETRY_AFTER, header::DATE]) {
                    headers.extend(HeaderValue::from_bytes(&value).ok().map(|value| (name.clone(), value)));
                }
                prop_assert!(retry_after(&headers).is_none_or(|wait| !wait.is_zero() && wait <= times::LONGEST));
            }
        }
    }
}
