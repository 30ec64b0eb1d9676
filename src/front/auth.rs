//! Authentication of clients by the master key and by keys of their own: [`Auth`].

use std::{
    collections::HashMap,
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::future::Either;
use http::{HeaderMap, HeaderValue, header};
use secrecy::{ExposeSecret, SecretString};
use tower::{Layer, Service, layer::layer_fn};

use super::{
    paths::{RouteTarget, RoutedRequest},
    rejections::Rejections,
};
use crate::{
    Error,
    config::{Config, KeyDigest},
    error::KeyError,
    request::{Client, Response},
    status::Access,
};

/// Accepts requests that present a known key; accepts every request if no key is configured. The [`Client`] of a key
/// that is not the master key becomes a part of the request.
#[derive(Clone, Debug)]
pub(crate) struct Auth<S> {
    inner: S,
    credentials: Option<Arc<Credentials>>,
    rejections: Rejections,
}

impl<S> Auth<S> {
    /// Returns a layer that requires one of `credentials`, if there are any. It reports refused requests to `rejections`.
    pub(crate) fn layer(
        credentials: Option<Credentials>,
        rejections: Rejections,
    ) -> impl Layer<S, Service = Self> {
        let credentials = credentials.map(Arc::new);
        layer_fn(move |inner| Self {
            inner,
            credentials: credentials.clone(),
            rejections: rejections.clone(),
        })
    }
}

impl<S> Auth<S> {
    fn reject<B>(&self, error: KeyError, request: &http::Request<B>) -> Error {
        let error = Error::Unauthenticated(error);
        self.rejections.record(&error, request);
        error
    }
}

/// The hashes of all keys that are accepted. Only hashes are compared, so that the time of a comparison reveals nothing
/// about a key.
#[derive(Debug)]
pub(crate) struct Credentials {
    master: Option<KeyDigest>,
    /// The read-only key, `status_key`.
    reader: Option<KeyDigest>,
    /// The clients with a key of their own, by the prefix of its hash.
    clients: HashMap<u64, Vec<Arc<Client>>>,
}

impl Credentials {
    /// Returns the keys of a configuration and its `clients`, or none if every client may call.
    pub(crate) fn new(config: &Config, clients: &[Arc<Client>]) -> Option<Self> {
        let digest = |key: &SecretString| KeyDigest::of(key.expose_secret().as_bytes());
        let (master, reader) =
            (config.master_key.as_ref().map(digest), config.status_key.as_ref().map(digest));
        let mut by_prefix = HashMap::<_, Vec<_>>::new();
        for client in clients {
            by_prefix.entry(client.digest.prefix()).or_default().push(Arc::clone(client));
        }
        (!config.is_open()).then_some(Self { master, reader, clients: by_prefix })
    }

    /// Returns the client whose key the headers contain, or none for the master key.
    fn client(&self, headers: &HeaderMap) -> Result<Option<&Arc<Client>>, KeyError> {
        let digest = KeyDigest::of(presented(headers).ok_or(KeyError::Missing)?);
        if self.master.is_some_and(|master| master == digest) {
            return Ok(None);
        }
        let clients = self.clients.get(&digest.prefix()).map(Vec::as_slice).unwrap_or_default();
        let client = clients.iter().find(|client| client.digest == digest).ok_or(KeyError::Unknown)?;
        if client.has_expired() { Err(KeyError::Expired) } else { Ok(Some(client)) }
    }

    /// Returns the target of a request without a valid key of a client, if it may read that: with the read-only key, or to
    /// learn that its key has no access.
    #[cold]
    fn readable(&self, headers: &HeaderMap, target: RouteTarget) -> Option<RouteTarget> {
        let digest = presented(headers).map(KeyDigest::of);
        let is_reader = digest.is_some() && digest == self.reader;
        match target {
            RouteTarget::Access(_) => Some(RouteTarget::Access(is_reader.then_some(Access::Read))),
            _ if !is_reader => None,
            RouteTarget::Metrics => Some(target),
            RouteTarget::Status(_) => Some(RouteTarget::Status(Access::Read)),
            RouteTarget::Call(_)
            | RouteTarget::Models
            | RouteTarget::Model
            | RouteTarget::ModelInfo
            | RouteTarget::ModelGroupInfo
            | RouteTarget::Routes
            | RouteTarget::Health
            | RouteTarget::Operate(_) => None,
        }
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

    fn call(&mut self, mut routed: RoutedRequest<B>) -> Self::Future {
        if let Some(credentials) = &self.credentials {
            match credentials.client(routed.request.headers()) {
                Ok(client) => routed.client = client.map(Arc::clone),
                Err(error) => match credentials.readable(routed.request.headers(), routed.target) {
                    Some(target) => {
                        if target == RouteTarget::Access(None) && error != KeyError::Missing {
                            self.reject(error, &routed.request);
                        }
                        routed.target = target;
                    }
                    None => return Either::Left(ready(Err(self.reject(error, &routed.request)))),
                },
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
