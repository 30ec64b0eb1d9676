//! The front door: [`Auth`], and [`FrontDoor`], the only backpressure of the gateway.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderMap, HeaderValue, header};
use pin_project_lite::pin_project;
use ring::digest::{Digest, SHA256, digest};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::{Layer, Service};

use super::paths::Routed;
use crate::{
    Error,
    request::{Response, Route},
};

pin_project! {
    /// An outcome that is there at once, or that of an inner service.
    pub struct Settled<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F> {
        // Boxed, since it is rare, and such futures stand in one another four deep. None: it was given.
        Now { outcome: Option<Box<Result<Response, Error>>> },
        Later { #[pin] inner: F },
    }
}

impl<F> Settled<F> {
    /// This outcome.
    pub fn now(outcome: Result<Response, Error>) -> Self {
        Self { state: State::Now { outcome: Some(Box::new(outcome)) } }
    }

    /// That of this future.
    pub const fn later(inner: F) -> Self {
        Self { state: State::Later { inner } }
    }
}

impl<F> Future for Settled<F>
where
    F: Future<Output = Result<Response, Error>>,
{
    type Output = Result<Response, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Later { inner } => inner.poll(cx),
            // Polled again after it was ready, which the contract of a future leaves open, it stays pending.
            StateProj::Now { outcome } => {
                outcome.take().map_or(Poll::Pending, |outcome| Poll::Ready(*outcome))
            }
        }
    }
}

/// Lets in whoever presents the master key, or anybody where there is none.
#[derive(Clone, Debug)]
pub struct AuthLayer {
    key: Option<Digest>,
}

impl AuthLayer {
    /// The key that is asked for. Only its digest is kept, and only digests are compared: how long that takes tells
    /// nothing about the key.
    #[must_use]
    pub fn new(key: Option<&SecretString>) -> Self {
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
pub struct Auth<S> {
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
    type Future = Settled<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, routed: Routed<B>) -> Self::Future {
        if let Some(key) = &self.key {
            let presented = presented(routed.request.headers());
            let digest = presented.map(|presented| digest(&SHA256, presented));
            if digest.is_none_or(|digest| digest.as_ref() != key.as_ref()) {
                return Settled::now(Err(Error::Unauthenticated { given: presented.is_some() }));
            }
        }
        Settled::later(self.inner.call(routed))
    }
}

/// A call of a model.
#[derive(Debug)]
pub struct Call<B> {
    /// Which endpoint is called.
    pub route: Route,
    /// The request as it came.
    pub request: http::Request<B>,
}

/// A call that was let in, and the permit that it holds until its answer has ended.
#[derive(Debug)]
pub struct Admitted<B> {
    /// The call.
    pub call: Call<B>,
    /// Its place among those that are held.
    pub permit: OwnedSemaphorePermit,
}

/// How many bytes of bodies a permit of the front door stands for: a semaphore counts no further than `u32` at once.
pub const BUFFER_UNIT: usize = 1024;

/// Holds at most so many calls at once, each until its answer's *body* has ended, and sheds the rest at once. tower's
/// own `ConcurrencyLimit` lets go at the head.
#[derive(Clone, Debug)]
pub struct FrontDoorLayer {
    room: Arc<Semaphore>,
}

impl FrontDoorLayer {
    /// At most this many; more than a semaphore counts is as good as no limit.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { room: Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))) }
    }
}

impl<S> Layer<S> for FrontDoorLayer {
    type Service = FrontDoor<S>;

    fn layer(&self, inner: S) -> FrontDoor<S> {
        FrontDoor { inner, room: Arc::clone(&self.room) }
    }
}

/// See [`FrontDoorLayer`].
#[derive(Clone, Debug)]
pub struct FrontDoor<S> {
    inner: S,
    room: Arc<Semaphore>,
}

impl<S, B> Service<Call<B>> for FrontDoor<S>
where
    S: Service<Admitted<B>, Response = Response, Error = Error>,
{
    type Response = Response;
    type Error = Error;
    type Future = Settled<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call<B>) -> Self::Future {
        match Arc::clone(&self.room).try_acquire_owned() {
            Ok(permit) => Settled::later(self.inner.call(Admitted { call, permit })),
            Err(_) => Settled::now(Err(Error::Busy)),
        }
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

    #[test]
    fn a_limit_beyond_what_can_be_counted_is_no_limit() {
        let layer = FrontDoorLayer::new(usize::MAX);
        assert_eq!(layer.room.available_permits(), Semaphore::MAX_PERMITS);
    }
}
