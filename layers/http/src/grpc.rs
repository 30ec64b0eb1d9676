//! Classification of gRPC responses by their status: [`GrpcClassifier`].

use std::time::Duration;

use http::{HeaderMap, HeaderName, Response, StatusCode};
use tollgate_layers::{Class, Classify, Outcome};

use crate::{error::ErrorOutcome, retry_after::retry_after, times, trailers::ClassifyTrailers};

static STATUS: HeaderName = HeaderName::from_static("grpc-status");
static PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");

const CANCELLED: u8 = 1;
const UNKNOWN: u8 = 2;

/// The kind of an outcome without a status. With a status it is the code plus one.
const PENDING: u8 = 0;

/// Classifies a gRPC response by its `grpc-status`: in the header of a response that consists of trailers only, else in the
/// trailers, which [`TrackBodyLayer::grpc`](crate::TrackBodyLayer::grpc) reads.
///
/// | status | class |
/// |---|---|
/// | `OK` | [`Success`](Class::Success) |
/// | `DEADLINE_EXCEEDED` | [`Timeout`](Class::Timeout) |
/// | `RESOURCE_EXHAUSTED` | [`RateLimited`](Class::RateLimited) |
/// | `UNAUTHENTICATED`, `PERMISSION_DENIED` | [`Unauthorized`](Class::Unauthorized) |
/// | `INVALID_ARGUMENT`, `NOT_FOUND`, `ALREADY_EXISTS`, `FAILED_PRECONDITION`, `OUT_OF_RANGE`, `UNIMPLEMENTED` | [`Caller`](Class::Caller) |
/// | `ABORTED` | [`Caller`](Class::Caller): a retry belongs to a higher level, such as the whole transaction |
/// | `CANCELLED` | [`Caller`](Class::Caller), and no evidence: typically the caller cancelled the call |
/// | `UNAVAILABLE`, `INTERNAL`, `UNKNOWN`, `DATA_LOSS`, and a status that is not a number | [`Unavailable`](Class::Unavailable) |
///
/// The classes follow the [status codes of gRPC] and the [advice on retries] in them: `UNAVAILABLE` if the call alone can be
/// retried, `ABORTED` at a higher level, `FAILED_PRECONDITION` not at all. A response without a status, which something
/// between client and server has made, is mapped from its HTTP status by [gRPC's table]; only a 429 is a rate limit here and
/// has the time of its `Retry-After`, because the layers distinguish a limit from a failure.
///
/// `grpc-retry-pushback-ms` is the time to wait, at most [`LONGEST`](times::LONGEST). A negative value, or one that is not a
/// number, asks for no repeat ([gRFC A6]): the outcome does not [allow a retry](Outcome::allows_retry).
///
/// The [kind](Outcome::kind) of an outcome is the status code plus one, for metrics and logs; 0 without a status.
///
/// [status codes of gRPC]: https://github.com/grpc/grpc/blob/master/doc/statuscodes.md
/// [advice on retries]: https://grpc.github.io/grpc/core/md_doc_statuscodes.html
/// [gRPC's table]: https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md
/// [gRFC A6]: https://github.com/grpc/proposal/blob/master/A6-client-retries.md#pushback
#[derive(Clone, Copy, Debug, Default)]
pub struct GrpcClassifier;

impl<B, E: ErrorOutcome> Classify<Response<B>, E> for GrpcClassifier {
    fn classify(&self, result: Result<&Response<B>, &E>) -> Outcome {
        match result {
            Ok(response) => {
                let of_http = || without_status(response.status(), response.headers());
                of_fields(response.headers()).unwrap_or_else(of_http)
            }
            Err(error) => error.outcome(),
        }
    }
}

impl ClassifyTrailers for GrpcClassifier {
    /// Returns the outcome by the status in the trailers, or in the head. A response that ends without a status has the
    /// status `UNKNOWN`.
    fn classify_trailers(&self, head: &Outcome, trailers: Option<&HeaderMap>) -> Outcome {
        let of_head = || if head.kind() == PENDING { of_code(None) } else { *head };
        trailers.and_then(of_fields).unwrap_or_else(of_head)
    }
}

/// Returns the outcome of headers or trailers with a status.
fn of_fields(fields: &HeaderMap) -> Option<Outcome> {
    let code = fields.get(&STATUS)?.to_str().ok().and_then(|code| code.parse().ok());
    let outcome = of_code(code);
    Some(if outcome.is_success() { outcome } else { with_pushback(outcome, fields) })
}

/// Returns the outcome of a status code; `None` is a status that is not a number.
fn of_code(code: Option<u8>) -> Outcome {
    let class = match code {
        Some(0) => Class::Success,
        // DEADLINE_EXCEEDED
        Some(4) => Class::Timeout,
        // RESOURCE_EXHAUSTED
        Some(8) => Class::RateLimited,
        // PERMISSION_DENIED, UNAUTHENTICATED
        Some(7 | 16) => Class::Unauthorized,
        // CANCELLED, INVALID_ARGUMENT; NOT_FOUND, ALREADY_EXISTS; FAILED_PRECONDITION, ABORTED, OUT_OF_RANGE, UNIMPLEMENTED
        Some(1 | 3 | 5 | 6 | 9..=12) => Class::Caller,
        // UNKNOWN, INTERNAL, UNAVAILABLE, DATA_LOSS
        Some(_) | None => Class::Unavailable,
    };
    let outcome = Outcome::new(class).with_kind(code.unwrap_or(UNKNOWN).saturating_add(1));
    if code == Some(CANCELLED) { outcome.without_evidence() } else { outcome }
}

fn with_pushback(outcome: Outcome, fields: &HeaderMap) -> Outcome {
    let Some(value) = fields.get(&PUSHBACK) else { return outcome };
    match value.to_str().ok().and_then(|millis| millis.parse::<i32>().ok()).map(u64::try_from) {
        Some(Ok(millis)) => outcome.with_retry_after(Some(Duration::from_millis(millis).min(times::LONGEST))),
        Some(Err(_)) | None => outcome.without_retry(),
    }
}

/// Returns the outcome of a head without a gRPC status: a success so far if it is that of a gRPC response.
fn without_status(status: StatusCode, headers: &HeaderMap) -> Outcome {
    let class = match status.as_u16() {
        200 => Class::Success,
        // UNAUTHENTICATED, PERMISSION_DENIED
        401 | 403 => Class::Unauthorized,
        // UNIMPLEMENTED
        404 => Class::Caller,
        429 => Class::RateLimited,
        // UNAVAILABLE, INTERNAL, UNKNOWN
        _ => Class::Unavailable,
    };
    let waits = matches!(class, Class::RateLimited | Class::Unavailable);
    Outcome::new(class).with_retry_after(if waits { retry_after(headers) } else { None })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;
    use tollgate_layers::BoxError;

    use super::*;
    use crate::testing::{Field, fields};

    fn head(status: u16, pairs: &[Field]) -> Outcome {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::from_u16(status).expect("a status");
        *response.headers_mut() = fields(pairs);
        GrpcClassifier.classify(Ok::<_, &BoxError>(&response))
    }

    #[test]
    fn each_grpc_status_has_its_documented_class() {
        for (class, codes) in [
            (Class::Success, &["0"][..]),
            (Class::Timeout, &["4"]),
            (Class::RateLimited, &["8"]),
            (Class::Unauthorized, &["7", "16"]),
            (Class::Caller, &["1", "3", "5", "6", "9", "10", "11", "12"]),
            (Class::Unavailable, &["2", "13", "14", "15", "17", "255", "256", "-1", "", "OK"]),
        ] {
            for code in codes {
                let trailers = fields(&[("grpc-status", code)]);
                let of_trailers = GrpcClassifier.classify_trailers(&head(200, &[]), Some(&trailers));
                assert_eq!(of_trailers.class(), class, "{code}");
                // Trailers only.
                assert_eq!(head(200, &[("grpc-status", code)]), of_trailers, "{code}");
            }
        }
        assert_eq!(head(200, &[("grpc-status", "14")]).kind(), 15);
        assert!(!head(200, &[("grpc-status", "1")]).is_evidence());
    }

    #[test]
    fn a_response_without_a_grpc_status_is_mapped_from_its_http_status() {
        for (status, class) in [
            (200, Class::Success),
            (400, Class::Unavailable),
            (401, Class::Unauthorized),
            (403, Class::Unauthorized),
            (404, Class::Caller),
            (429, Class::RateLimited),
            (431, Class::Unavailable),
            (502, Class::Unavailable),
            (503, Class::Unavailable),
            (504, Class::Unavailable),
            (418, Class::Unavailable),
        ] {
            assert_eq!(head(status, &[]).class(), class, "{status}");
        }
        let limited = head(429, &[("retry-after", "3")]);
        assert_eq!(limited.retry_after(), Some(Duration::from_secs(3)));
        assert_eq!(head(503, &[("grpc-status", "5")]).class(), Class::Caller, "the gRPC status decides");
    }

    #[test]
    fn a_pushback_is_the_time_to_wait_or_forbids_a_retry() {
        let pushback = |value| {
            let outcome = head(200, &[("grpc-status", "14"), ("grpc-retry-pushback-ms", value)]);
            (outcome.allows_retry(), outcome.retry_after().map(|wait| wait.as_millis()))
        };
        assert_eq!(pushback("250"), (true, Some(250)));
        assert_eq!(pushback("0"), (true, None));
        assert_eq!(pushback("2147483647"), (true, Some(3_600_000)));
        for value in ["-1", "-2147483648", "2147483648", "soon", "1.5", ""] {
            assert_eq!(pushback(value), (false, None), "{value}");
        }
        assert!(head(200, &[("grpc-status", "0"), ("grpc-retry-pushback-ms", "-1")]).allows_retry());
    }

    #[test]
    fn a_stream_that_ends_without_a_status_has_failed() {
        let trailers = fields(&[("x", "y")]);
        for trailers in [None, Some(&trailers)] {
            let outcome = GrpcClassifier.classify_trailers(&head(200, &[]), trailers);
            assert_eq!(outcome.class(), Class::Unavailable);
        }
        let of_head = head(200, &[("grpc-status", "0")]);
        assert_eq!(GrpcClassifier.classify_trailers(&of_head, None), of_head);
    }

    proptest! {
        #[test]
        fn no_value_makes_the_classifier_panic_or_a_wait_unbounded(status: Vec<u8>, pushback: Vec<u8>, millis: i64) {
            for pushback in [pushback, millis.to_string().into_bytes()] {
                let mut trailers = HeaderMap::new();
                for (name, value) in [(&STATUS, &status), (&PUSHBACK, &pushback)] {
                    trailers.extend(HeaderValue::from_bytes(value).ok().map(|value| (name.clone(), value)));
                }
                let outcome = GrpcClassifier.classify_trailers(&Outcome::new(Class::Success), Some(&trailers));
                prop_assert!(outcome.retry_after().is_none_or(|wait| wait <= times::LONGEST));
            }
        }
    }
}
