//! Asks another when this one has done all it could: [`FallbackLayer`].
//!
//! It stands outside everything that tries to answer the request as it was sent: outside
//! [`ContextWindowFallback`](crate::context_window::ContextWindowFallback), and outside
//! [`Retry`](crate::retry::Retry), so that each fallback has retries of its own.
//!
//! It is a loop, not a level. After an ending that is not a success, our own refusals included, it asks its policy
//! ([`Next`]) for the next request and gives that to the *same* inner service, which finds another backend by what the
//! request says. When the policy has no more, the caller gets the answer to the first request, as it was.
//!
//! ```text
//! call ──► calling ──good──► answer
//!            ▲   └──failed──► policy ──no other──► the first answer
//!            │                  │
//!            └───── ready ◄─────┘
//! ```
//!
//! tower has no such layer. Its `Retry` could change the request, but gives the last error; its `Steer` picks once.
//!
//! ```
//! use tollgate_layers::{Class, Ending, fallback::FallbackLayer};
//! use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let classify = |outcome: Result<&String, &std::io::Error>| match outcome {
//!     Ok(_) => Ending::of(Class::Success),
//!     Err(_) => Ending::of(Class::Unavailable),
//! };
//! let policy = |req: &&'static str, _: &Ending| (*req == "large").then_some("small");
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
//! Hazards: the loop ends when the policy says so. A policy that sends A to B and B to A must keep, in the request,
//! a trail of where it has been. And the first answer is held while others are asked: it should be complete, and hold
//! no connection or permit.

#[cfg(test)]
mod tests;
pub(crate) mod walk;

use std::task::{Context, Poll};

use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

use self::walk::Guide;
pub use self::walk::{ResponseFuture, Route};
use crate::{Ending, again::Again, setting::Constant};

/// Says which request comes next. A closure will do.
pub trait Next<Req> {
    /// The request to make after `req`, the one made last, has ended like this. `None` ends the walk.
    fn next(&self, req: &Req, ending: &Ending) -> Option<Req>;
}

impl<F, Req> Next<Req> for F
where
    F: Fn(&Req, &Ending) -> Option<Req>,
{
    fn next(&self, req: &Req, ending: &Ending) -> Option<Req> {
        self(req, ending)
    }
}

/// Makes a [`Fallback`].
#[derive(Clone, Debug)]
pub struct FallbackLayer<P, C, D = Constant<Option<Instant>>> {
    route: Route<P, C, D>,
}

impl<P, C> FallbackLayer<P, C> {
    /// Asks `policy` for the next request after all that `classify` does not call a success.
    pub const fn new(policy: P, classify: C) -> Self {
        Self { route: Route { policy, classify, deadline: Constant(None), acts: |_, _| true } }
    }
}

impl<P, C, D> FallbackLayer<P, C, D> {
    /// Makes no further call from then on: a function of the request to an `Option<Instant>`.
    pub fn with_deadline<E>(self, deadline: E) -> FallbackLayer<P, C, E> {
        FallbackLayer { route: self.route.with_deadline(deadline) }
    }
}

impl<S, P, C, D> Layer<S> for FallbackLayer<P, C, D>
where
    S: Clone,
    Route<P, C, D>: Clone,
{
    type Service = Fallback<S, Route<P, C, D>>;

    fn layer(&self, inner: S) -> Self::Service {
        Fallback { again: Again::new(&inner, self.route.clone()), inner }
    }
}

/// Gives the next request to `S` when the one before it has failed there.
#[derive(Debug)]
pub struct Fallback<S, G> {
    inner: S,
    again: Again<S, G>,
}

impl<S: Clone, G> Clone for Fallback<S, G> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), again: self.again.clone() }
    }
}

impl<S, G> Fallback<S, G> {
    inner_accessors!();
}

impl<S, G, Req> Service<Req> for Fallback<S, G>
where
    S: Service<Req> + Clone,
    G: Guide<Req, S::Response, S::Error>,
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
