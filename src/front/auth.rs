//! Authentication of clients by the master key: [`Auth`].

use std::{
    future::{Ready, ready},
    task::{Context, Poll},
};

use futures_util::future::Either;
use http::{HeaderMap, HeaderValue, header};
use ring::digest::{Digest, SHA256, digest};
use secrecy::{ExposeSecret, SecretString};
use tower::{Layer, Service, layer::layer_fn};

use super::{paths::RoutedRequest, rejections::Rejections};
use crate::{Error, request::Response};

/// Accepts requests that present the master key; accepts every request if no master key is configured.
#[derive(Clone, Debug)]
pub(crate) struct Auth<S> {
    inner: S,
    key: Option<Digest>,
    rejections: Rejections,
}

impl<S> Auth<S> {
    /// Returns a layer that requires `key`. It keeps only the digest and compares only digests, so the time of a
    /// comparison reveals nothing about the key. It reports refused requests to `rejections`.
    pub(crate) fn layer(
        key: Option<&SecretString>,
        rejections: Rejections,
    ) -> impl Layer<S, Service = Self> + use<S> {
        let key = key.map(|key| digest(&SHA256, key.expose_secret().as_bytes()));
        layer_fn(move |inner| Self { inner, key, rejections: rejections.clone() })
    }
}

/// Returns the key that a client presents: in `x-litellm-api-key`, in `Authorization: Bearer`, or in the headers of
/// other SDKs. The first header that is present counts, in LiteLLM's order.
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

impl<S, B> Service<RoutedRequest<B>> for Auth<S>
where
    S: Service<RoutedRequest<B>, Response = Response, Error = Error>,
{
    type Response = Response;
    type Error = Error;
    type Future = Either<Ready<Result<Response, Error>>, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, routed: RoutedRequest<B>) -> Self::Future {
        if let Some(key) = &self.key {
            let presented = presented(routed.request.headers());
            let digest = presented.map(|presented| digest(&SHA256, presented));
            if digest.is_none_or(|digest| digest.as_ref() != key.as_ref()) {
                let error = Error::Unauthenticated { given: presented.is_some() };
                self.rejections.record(&error, &routed.request);
                return Either::Left(ready(Err(error)));
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
    fn auth_prefers_litellms_own_header_to_the_others() {
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
