//! A layer that makes another request after a failure: [`FallbackLayer`].
//!
//! Its position is outside of everything that handles the original request: outside of
//! [`ContextWindowFallback`](crate::context_window::ContextWindowFallback) and of [`Retry`](crate::retry::Retry), so
//! that each fallback has its own retries.
//!
//! The layer is a loop. After an outcome that is not a success, including refusals of other layers, it calls its
//! policy ([`Next`]) for the next request and passes that to the *same* inner service, which selects another backend
//! by the content of the request. If the policy returns none, the caller gets the response to its own request,
//! unchanged.
//!
//! ```text
//! call ──► calling ──success──► response
//!            ▲   └──failed──► policy ──no other──► the first response
//!            │                  │
//!            └───── ready ◄─────┘
//! ```
//!
//! # How it differs from tower's and tower-resilience's
//! tower has no such layer. Its `Retry` can change the request, but returns the last error; its `Steer` picks once.
//! tower-resilience's fallback returns a value or calls a function once; here a failed fallback leads to the next, and
//! the first response is not lost.
//!
//! ```
//! use tollgate_layers::{Class, Outcome, fallback::FallbackLayer};
//! use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let classify = |result: Result<&String, &std::io::Error>| match result {
//!     Ok(_) => Outcome::new(Class::Success),
//!     Err(_) => Outcome::new(Class::Unavailable),
//! };
//! let policy = |req: &&'static str, _: &Outcome| (*req == "large").then_some("small");
//! let mut service = ServiceBuilder::new()
//!     .layer(FallbackLayer::new(policy, classify))
//!     .service(service_fn(|model: &'static str| async move {
//!         if model == "large" { Err(std::io::Error::other("down")) } else { Ok(format!("from {model}")) }
//!     }));
//! assert_eq!(service.ready().await?.call("large").await?, "from small");
//! # Ok::<(), std::io::Error>(()) })?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Hazards: the loop ends only when the policy returns none. A policy that maps A to B and B to A must record the
//! visited targets in the request. The first response is held while other requests are made: it should be complete,
//! and hold no connection or permit.

pub(crate) mod future;
pub(crate) mod second;
#[cfg(test)]
mod tests;

use std::task::{Context, Poll};

use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

pub use self::{
    future::{FallbackConfig, FallbackPolicy, ResponseFuture},
    second::{FallbackTo, FallbackToLayer, ResponseFuture as FallbackToFuture},
};
use crate::{Class, Outcome, setting::Constant, shared_clone::SharedClone};

/// A policy that returns the request to make after a failure. Closures implement it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not return the next request: it is not a `Next<{Req}>`",
    label = "not a policy for requests of type `{Req}`",
    note = "a policy is a function `fn(&{Req}, &Outcome) -> Option<{Req}>`; for a second service in place of a second request use `FallbackLayer::to(..)`"
)]
pub trait Next<Req> {
    /// Returns the request to make after `req`, the latest one, had this outcome. `None` ends the loop.
    fn next(&self, req: &Req, outcome: &Outcome) -> Option<Req>;

    /// Returns true if a success with this outcome should be replaced, if [`Next::next`] returns another request for it
    /// and that succeeds. Returns false by default.
    fn replaces(&self, outcome: &Outcome) -> bool {
        let _ = outcome;
        false
    }
}

#[diagnostic::do_not_recommend]
impl<F, Req> Next<Req> for F
where
    F: Fn(&Req, &Outcome) -> Option<Req>,
{
    fn next(&self, req: &Req, outcome: &Outcome) -> Option<Req> {
        self(req, outcome)
    }
}

/// A layer that calls its policy for the next request after a failure. See the [module](self).
#[derive(Clone, Debug)]
pub struct FallbackLayer<P, C, D = Constant<Option<Instant>>> {
    config: FallbackConfig<P, C, D>,
}

impl<P, C> FallbackLayer<P, C> {
    /// Creates a layer that calls `policy` after each outcome that `classify` does not return as a success.
    pub const fn new(policy: P, classify: C) -> Self {
        Self { config: FallbackConfig { policy, classify, deadline: Constant(None), acts: |_, _| true } }
    }
}

impl FallbackLayer<(), ()> {
    /// Creates a layer that calls `second`, a service, with a clone of the request after each outcome that `classify` does
    /// not return as a success or as [`Class::Caller`]: to an invalid request both would respond alike.
    pub const fn to<F, C>(second: F, classify: C) -> FallbackToLayer<F, C> {
        let acts = |outcome: &Outcome| !matches!(outcome.class(), Class::Caller);
        FallbackToLayer { second, config: second::Config { classify, acts } }
    }
}

impl<P, C, D> FallbackLayer<P, C, D> {
    /// Sets a deadline, after which no further call is made: a function of the request to an `Option<Instant>`.
    pub fn with_deadline<E>(self, deadline: E) -> FallbackLayer<P, C, E> {
        FallbackLayer { config: self.config.with_deadline(deadline) }
    }
}

impl<S, P, C, D> Layer<S> for FallbackLayer<P, C, D>
where
    S: Clone,
    FallbackConfig<P, C, D>: Clone,
{
    type Service = Fallback<S, FallbackConfig<P, C, D>>;

    fn layer(&self, inner: S) -> Self::Service {
        Fallback { again: SharedClone::new(&inner, self.config.clone()), inner }
    }
}

/// The service of [`FallbackLayer`].
#[derive(Debug)]
pub struct Fallback<S, G> {
    inner: S,
    again: SharedClone<S, G>,
}

impl<S: Clone, G> Clone for Fallback<S, G> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), again: self.again.clone() }
    }
}

impl<S: Clone, P, C> Fallback<S, FallbackConfig<P, C>> {
    /// Creates the service of [`FallbackLayer::new`].
    pub fn new(inner: S, policy: P, classify: C) -> Self {
        Self { again: SharedClone::new(&inner, FallbackLayer::new(policy, classify).config), inner }
    }
}

impl<S, G> Fallback<S, G> {
    inner_accessors!();
}

impl<S, G, Req> Service<Req> for Fallback<S, G>
where
    S: Service<Req> + Clone,
    G: FallbackPolicy<Req, S::Response, S::Error>,
    Req: Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S, G, Req>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, req: Req) -> Self::Future {
        ResponseFuture::new(&mut self.inner, self.again.clone(), req, false)
    }
}
