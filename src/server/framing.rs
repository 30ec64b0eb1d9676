//! The check of a request's framing: [`CheckFraming`].
//!
//! hyper accepts some heads that another server on the way may read in another way, so that the two disagree about the
//! host or about the end of a request (request smuggling). Such a request gets an error, and its connection is closed.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::future::Either;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version, header};
use tower::Service;

use super::write_window::{BackpressureBody, WriteWindow};

/// A service that calls the inner one only with requests that have one meaning.
#[derive(Clone)]
pub(super) struct CheckFraming<S> {
    inner: S,
    window: WriteWindow,
}

impl<S> CheckFraming<S> {
    /// Returns the service. The responses to other requests keep to `window`.
    pub(super) const fn new(inner: S, window: WriteWindow) -> Self {
        Self { inner, window }
    }
}

impl<S, B, Res> Service<Request<B>> for CheckFraming<S>
where
    S: Service<Request<B>, Response = Response<BackpressureBody<Res>>, Error = Infallible>,
{
    type Response = S::Response;
    type Error = Infallible;
    type Future = Either<Ready<Result<S::Response, Infallible>>, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match fault(request.version(), request.headers()) {
            None => Either::Right(self.inner.call(request)),
            Some(fault) => Either::Left(ready(Ok(fault.response(self.window.clone())))),
        }
    }
}

/// The reason why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    NoHost,
    TwoHosts,
    TransferEncoding,
}

/// Returns the fault of a head. A body in another encoding than `chunked` would be taken for its content.
fn fault(version: Version, headers: &HeaderMap) -> Option<Fault> {
    let (mut hosts, mut encodings, mut chunked) = (0, 0, true);
    for (name, value) in headers {
        if *name == header::HOST {
            hosts += 1;
        } else if *name == header::TRANSFER_ENCODING {
            encodings += 1;
            chunked &= value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
        }
    }
    match hosts {
        0 if version >= Version::HTTP_11 => Some(Fault::NoHost),
        2.. => Some(Fault::TwoHosts),
        _ => (encodings > 1 || !chunked).then_some(Fault::TransferEncoding),
    }
}

impl Fault {
    fn response<B>(self, window: WriteWindow) -> Response<BackpressureBody<B>> {
        let (status, message) = match self {
            Self::NoHost => (StatusCode::BAD_REQUEST, "The request has no Host header: send one."),
            Self::TwoHosts => {
                (StatusCode::BAD_REQUEST, "The request has more than one Host header: send one.")
            }
            Self::TransferEncoding => (
                StatusCode::NOT_IMPLEMENTED,
                "The only transfer-encoding that is accepted is chunked, once: send no other.",
            ),
        };
        let body = format!(
            r#"{{"error":{{"message":"{message}","type":"invalid_request_error","param":null,"code":"invalid_http"}}}}"#
        );
        let mut response = window.response(Bytes::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn framing_with_two_meanings_is_a_fault() {
        let head = |text: &'static str| {
            let lines = text.lines().map(|line| line.split_once(": ").unwrap());
            let header = |(name, value): (&'static str, &'static str)| {
                (http::HeaderName::from_static(name), HeaderValue::from_static(value))
            };
            fault(Version::HTTP_11, &lines.map(header).collect())
        };
        for text in ["host: a", "host: a\ntransfer-encoding: chunked", "host: \ntransfer-encoding:  Chunked "]
        {
            assert_eq!(head(text), None, "{text}");
        }
        assert_eq!(head("x-a: b"), Some(Fault::NoHost));
        assert_eq!(head("host: a\nhost: a"), Some(Fault::TwoHosts));
        for coding in ["gzip", "gzip, chunked", "chunked, chunked", "identity", "", "xchunked", "chunked;q=1"]
        {
            let headers = [(header::HOST, "a"), (header::TRANSFER_ENCODING, coding)];
            let headers = headers.map(|(name, value)| (name, HeaderValue::from_str(value).unwrap()));
            let fault = fault(Version::HTTP_11, &headers.into_iter().collect());
            assert_eq!(fault, Some(Fault::TransferEncoding), "{coding}");
        }
        let twice = "host: a\ntransfer-encoding: chunked\ntransfer-encoding: chunked";
        assert_eq!(head(twice), Some(Fault::TransferEncoding));
        assert_eq!(fault(Version::HTTP_10, &HeaderMap::new()), None);
    }
}
