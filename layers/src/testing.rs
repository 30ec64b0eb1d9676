//! A test service that enforces the contract of `tower::Service`: [`Strict`].
//!
//! A caller of a `tower::Service` must poll the service ready before each call, on the value that it then calls. Most
//! services tolerate violations. `Strict` does not: a clone is not ready, a call uses the readiness up, and a call without
//! readiness panics. Every layer of this crate is tested over `Strict`.

use std::{
    sync::Weak,
    task::{Context, Poll},
};

use tokio::time::Instant;
use tower_service::Service;

use crate::endpoint::{CapacityListener, Endpoint, EndpointWeight, Horizon, NoCapacity, Score};

/// A service that panics if it is called without having been polled ready since it was last cloned or called.
#[derive(Debug)]
pub struct Strict<S> {
    inner: S,
    ready: bool,
}

impl<S> Strict<S> {
    /// Wraps `inner`.
    pub const fn new(inner: S) -> Self {
        Self { inner, ready: false }
    }
}

impl<S: Clone> Clone for Strict<S> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), ready: false }
    }
}

impl<S, Req> Service<Req> for Strict<S>
where
    S: Service<Req>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        let poll = self.inner.poll_ready(cx);
        self.ready = matches!(poll, Poll::Ready(Ok(())));
        poll
    }

    fn call(&mut self, req: Req) -> S::Future {
        assert!(self.ready, "called without being polled ready first");
        self.ready = false;
        self.inner.call(req)
    }
}

impl<S, Req> Endpoint<Req> for Strict<S>
where
    S: Endpoint<Req>,
{
    fn score(&self, req: &Req, now: Instant) -> Result<Score, NoCapacity> {
        self.inner.score(req, now)
    }

    fn reserve(&mut self, req: &Req, seen: &Score, now: Instant) -> Result<(), NoCapacity> {
        self.inner.reserve(req, seen, now)
    }

    fn weight(&self) -> EndpointWeight {
        self.inner.weight()
    }

    fn slots(&self, req: &Req, horizon: Horizon) -> u64 {
        self.inner.slots(req, horizon)
    }

    fn record_unmet(&self, req: &Req) {
        self.inner.record_unmet(req);
    }

    fn subscribe(&self, listener: &Weak<dyn CapacityListener>) {
        self.inner.subscribe(listener);
    }
}
