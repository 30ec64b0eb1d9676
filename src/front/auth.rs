//! The master key: [`Auth`].

use std::{
    future::{Ready, ready},
    task::{Context, Poll},
};

use futures_util::future::Either;
use http::{HeaderMap, HeaderValue, header};
use ring::digest::{Digest, SHA256, digest};
use secrecy::{ExposeSecret, SecretString};
use tower::{Layer, Service};

use super::paths::Routed;
use crate::{Error, request::Response};

/// Lets in whoever presents the master key, or anybody where there is none.
#[derive(Clone, Debug)]
pub(crate) struct AuthLayer {
    key: Option<Digest>,
}

impl AuthLayer {
    /// The key that is asked for. Only its digest is kept, and only digests are compared: how long that takes tells
    /// nothing about the key.
    pub(crate) fn new(key: Option<&SecretString>) -> Self {
        Self { key: key.map(|key| digest(&SHA256, key.expose_secret().as_bytes())) }
    }
}

impl<S> Layer<S> for AuthLayer {
    type Service = Auth<S>;

    fn layer(&self, inner: S) -> Auth<S> {
        Auth { inner, key: self.key }
    }
}

/// See [`AuthLayer`].
#[derive(Clone, Debug)]
pub(crate) struct Auth<S> {
    inner: S,
    key: Option<Digest>,
}

/// The key that a client presents: where LiteLLM's own clients put it, as `Authorization: Bearer`, or where other SDKs
/// put theirs. The first that is there counts, in LiteLLM's order.
fn presented(headers: &HeaderMap) -> Option<&[u8]> {
    fn bare(value: &HeaderValue) -> &[u8] {
        let bytes = value.as_bytes();
        bytes.strip_prefix(b"Bearer ").unwrap_or(bytes)
    }
    if let Some(value) = headers.get("x-litellm-api-key") {
        return Some(bare(value));
    }
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let (scheme, key) = value.as_bytes().split_at_checked(7)?;
        return scheme.eq_ignore_ascii_case(b"bearer ").then(|| key.trim_ascii());
    }
    ["api-key", "x-api-key"].iter().find_map(|name| headers.get(*name)).map(bare)
}

impl<S, B> Service<Routed<B>> for Auth<S>
where
    S: Service<Routed<B>, Response = Response, Error = Error>,
{
    type Response = Response;
    type Error = Error;
    type Future = Either<Ready<Result<Response, Error>>, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, routed: Routed<B>) -> Self::Future {
        if let Some(key) = &self.key {
            let presented = presented(routed.request.headers());
            let digest = presented.map(|presented| digest(&SHA256, presented));
            if digest.is_none_or(|digest| digest.as_ref() != key.as_ref()) {
                return Either::Left(ready(Err(Error::Unauthenticated { given: presented.is_some() })));
            }
        }
        Either::Right(self.inner.call(routed))
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    #[test]
    fn litellms_own_header_speaks_before_the_others() {
        let names = ["x-litellm-api-key", "authorization", "api-key", "x-api-key"];
        for first in 0..names.len() {
            let header =
                |name| (HeaderName::from_static(name), HeaderValue::try_from(format!("Bearer {name}")));
            let headers = names[first..].iter().map(|name| header(name));
            let headers = headers.map(|(name, value)| (name, value.unwrap())).collect();
            assert_eq!(presented(&headers), Some(names[first].as_bytes()));
        }
    }
}
