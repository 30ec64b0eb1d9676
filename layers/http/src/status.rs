//! Classification of responses by their HTTP status: [`StatusClassifier`].

use std::time::Duration;

use http::{HeaderMap, HeaderName, Response, StatusCode};
use tollgate_layers::{Class, Classify, Outcome};

use crate::{
    error::ErrorOutcome,
    rate_limit::{self, RateLimits},
    retry_after::retry_after,
};

static REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");

/// Classifies a response by its status and its header fields, as the client of an HTTP API reads them.
///
/// | status | class | source |
/// |---|---|---|
/// | 1xx, 2xx, 3xx | [`Success`](Class::Success) | |
/// | 401, 407 | [`Unauthorized`](Class::Unauthorized): the credentials are not valid | [RFC 9110, 15.5.2] |
/// | 403 | [`Unauthorized`](Class::Unauthorized); [`RateLimited`](Class::RateLimited) with a valid `Retry-After` or with `x-ratelimit-remaining: 0` | [RFC 9110, 15.5.4], [GitHub] |
/// | 408, 504 | [`Timeout`](Class::Timeout) | [RFC 9110, 15.5.9] |
/// | 429 | [`RateLimited`](Class::RateLimited) | [RFC 6585, 4] |
/// | other 4xx, such as 400, 404, 410 and 422 | [`Caller`](Class::Caller): another server would respond alike | |
/// | other 5xx | [`Unavailable`](Class::Unavailable) | |
///
/// A 404 and a 410 are usually about the resource that the caller named, so they neither are retried nor cool an endpoint
/// down. Where they mean that the *server* is not the right one, give them another class by
/// [`with_exceptions`](Self::with_exceptions):
///
/// ```
/// use http::{HeaderMap, StatusCode};
/// use tollgate_http::StatusClassifier;
/// use tollgate_layers::Class;
///
/// let classifier = StatusClassifier::new().with_exceptions(|status: StatusCode| match status {
///     // A deployment that was deleted.
///     StatusCode::NOT_FOUND => Some(Class::Unauthorized),
///     // A conflict of two writers: another attempt may succeed.
///     StatusCode::CONFLICT => Some(Class::Unavailable),
///     _ => None,
/// });
/// let class = |status| classifier.classify_head(status, &HeaderMap::new()).class();
/// assert_eq!(class(StatusCode::NOT_FOUND), Class::Unauthorized);
/// assert_eq!(class(StatusCode::GONE), Class::Caller);
/// ```
///
/// The outcome has the limits that the response reports ([`RateLimits`]) and, unless it is a success or about the request,
/// the time to wait: [`retry_after`](crate::retry_after()), else for a rate limit the time until the used-up limit has
/// recovered ([`exhausted_until`](rate_limit::exhausted_until)).
///
/// tower-http's `StatusInRangeAsFailures` separates two classes for traces; here the class also decides what a layer does.
///
/// Hazards: a success is a success so far, because the body is still to come; use it with
/// [`TrackBodyLayer`](crate::TrackBodyLayer) if a response may be long. One 401 or 403 starts a cooldown; if an API sends
/// 403 for single resources, make it [`Class::Caller`].
///
/// [RFC 9110, 15.5.2]: https://www.rfc-editor.org/rfc/rfc9110.html#section-15.5.2
/// [RFC 9110, 15.5.4]: https://www.rfc-editor.org/rfc/rfc9110.html#section-15.5.4
/// [RFC 9110, 15.5.9]: https://www.rfc-editor.org/rfc/rfc9110.html#section-15.5.9
/// [RFC 6585, 4]: https://www.rfc-editor.org/rfc/rfc6585.html#section-4
/// [GitHub]: https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit
#[derive(Clone, Copy, Debug)]
pub struct StatusClassifier<F = fn(StatusCode) -> Option<Class>> {
    exceptions: F,
}

impl StatusClassifier {
    /// Creates a classifier without exceptions.
    #[must_use]
    pub const fn new() -> Self {
        Self { exceptions: |_| None }
    }
}

impl Default for StatusClassifier {
    fn default() -> Self {
        Self::new()
    }
}

impl<F> StatusClassifier<F> {
    /// Sets the function that returns the class of a status that is an exception, and `None` for all others.
    pub fn with_exceptions<G>(self, exceptions: G) -> StatusClassifier<G>
    where
        G: Fn(StatusCode) -> Option<Class>,
    {
        StatusClassifier { exceptions }
    }
}

impl<F: Fn(StatusCode) -> Option<Class>> StatusClassifier<F> {
    /// Returns the outcome of a response with this status and these header fields, for response types that are not
    /// [`http::Response`], such as reqwest's.
    pub fn classify_head(&self, status: StatusCode, headers: &HeaderMap) -> Outcome {
        let class = (self.exceptions)(status).unwrap_or_else(|| class_of(status, headers));
        let limits = RateLimits::from_headers(headers);
        let outcome = Outcome::new(class).with_reported(limits.requests, limits.tokens);
        outcome.with_retry_after(wait(class, headers))
    }
}

impl<F, B, E> Classify<Response<B>, E> for StatusClassifier<F>
where
    F: Fn(StatusCode) -> Option<Class>,
    E: ErrorOutcome,
{
    fn classify(&self, result: Result<&Response<B>, &E>) -> Outcome {
        match result {
            Ok(response) => self.classify_head(response.status(), response.headers()),
            Err(error) => error.outcome(),
        }
    }
}

fn class_of(status: StatusCode, headers: &HeaderMap) -> Class {
    match status.as_u16() {
        ..400 => Class::Success,
        403 if is_rate_limited(headers) => Class::RateLimited,
        401 | 403 | 407 => Class::Unauthorized,
        408 | 504 => Class::Timeout,
        429 => Class::RateLimited,
        400..500 => Class::Caller,
        500.. => Class::Unavailable,
    }
}

/// Returns true for a 403 with which GitHub reports its primary or its secondary rate limit.
fn is_rate_limited(headers: &HeaderMap) -> bool {
    let is_zero = |value: &http::HeaderValue| value.as_bytes().trim_ascii() == b"0";
    retry_after(headers).is_some() || headers.get(&REMAINING).is_some_and(is_zero)
}

/// Returns the time to wait. Waiting does not help against an outcome that is about the request.
fn wait(class: Class, headers: &HeaderMap) -> Option<Duration> {
    match class {
        Class::RateLimited => retry_after(headers).or_else(|| rate_limit::exhausted_until(headers)),
        Class::Unavailable | Class::Timeout => retry_after(headers),
        Class::Success
        | Class::Caller
        | Class::ContextWindow
        | Class::ContentPolicy
        | Class::Unauthorized => None,
    }
}

#[cfg(test)]
mod tests {
    use tollgate_layers::BoxError;

    use super::*;
    use crate::testing::{Field, fields};

    fn class(status: u16, pairs: &[Field]) -> Class {
        let status = StatusCode::from_u16(status).expect("a status");
        StatusClassifier::new().classify_head(status, &fields(pairs)).class()
    }

    #[test]
    fn each_status_has_its_documented_class() {
        for (class_of_all, statuses) in [
            (Class::Success, &[101, 200, 204, 206, 301, 304][..]),
            (Class::Caller, &[400, 402, 404, 405, 409, 410, 413, 415, 418, 422, 451]),
            (Class::Unauthorized, &[401, 403, 407]),
            (Class::RateLimited, &[429]),
            (Class::Timeout, &[408, 504]),
            (Class::Unavailable, &[500, 501, 502, 503, 505, 529, 599, 700, 999]),
        ] {
            for status in statuses {
                assert_eq!(class(*status, &[]), class_of_all, "{status}");
            }
        }
    }

    #[test]
    fn a_403_is_githubs_rate_limit_only_if_its_fields_say_so() {
        assert_eq!(class(403, &[("retry-after", "60")]), Class::RateLimited);
        assert_eq!(class(403, &[("x-ratelimit-remaining", "0")]), Class::RateLimited);
        assert_eq!(class(403, &[("x-ratelimit-remaining", "17")]), Class::Unauthorized);
        assert_eq!(class(403, &[("retry-after", "-1"), ("x-ratelimit-remaining", "")]), Class::Unauthorized);
    }

    #[test]
    fn githubs_primary_limit_is_waited_for_until_its_reset() {
        let headers = fields(&[
            ("date", "Thu, 01 Jan 2026 00:00:00 GMT"),
            ("x-ratelimit-limit", "5000"),
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", "1767226500"),
        ]);
        let outcome = StatusClassifier::new().classify_head(StatusCode::FORBIDDEN, &headers);
        assert_eq!(outcome.retry_after(), Some(Duration::from_secs(900)));
    }

    #[test]
    fn only_an_outcome_that_waiting_helps_has_a_wait() {
        let headers = fields(&[("retry-after", "7"), ("x-ratelimit-remaining-requests", "3")]);
        let outcome = |status| {
            StatusClassifier::new().classify_head(StatusCode::from_u16(status).expect("a status"), &headers)
        };
        for status in [403, 429, 408, 503, 504] {
            assert_eq!(outcome(status).retry_after(), Some(Duration::from_secs(7)), "{status}");
        }
        for status in [200, 302, 400, 401, 404] {
            assert_eq!(outcome(status).retry_after(), None, "{status}");
        }
        assert_eq!(outcome(200).requests().remaining, Some(3));
    }

    #[test]
    fn an_exception_decides_before_the_table() {
        let classifier = StatusClassifier::new()
            .with_exceptions(|status: StatusCode| (status == 404).then_some(Class::Unavailable));
        let outcome = classifier.classify_head(StatusCode::NOT_FOUND, &fields(&[("retry-after", "2")]));
        assert_eq!(
            (outcome.class(), outcome.retry_after()),
            (Class::Unavailable, Some(Duration::from_secs(2)))
        );
        assert_eq!(classifier.classify_head(StatusCode::GONE, &HeaderMap::new()).class(), Class::Caller);
    }

    #[test]
    fn a_response_and_an_error_are_classified_alike_for_every_layer() {
        let classify = |result: Result<&Response<()>, &BoxError>| StatusClassifier::new().classify(result);
        assert_eq!(classify(Ok(&Response::new(()))).class(), Class::Success);
        assert_eq!(classify(Err(&"broken".into())).class(), Class::Unavailable);
    }
}
