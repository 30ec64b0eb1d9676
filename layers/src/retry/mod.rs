//! A layer that retries failed calls, on another endpoint if there is one: [`RetryLayer`].
//!
//! Its position is outside of the balancer, so that every attempt picks an endpoint, and inside of
//! [`Fallback`](crate::fallback::Fallback), so that each group has its own retries.
//!
//! The layer treats an outcome that is not a success as follows:
//!
//! - **A local refusal** is never repeated: nothing was called, and the balancer has waited already.
//! - **An outcome after which the backend asked for no repeat** ([`Outcome::allows_retry`](crate::Outcome::allows_retry)) is returned to the caller.
//! - **A client error**, or a request that is too long for any endpoint of the group, is returned to the caller, unless
//!   [`RetryLayer::with_client_errors`] is set.
//! - **Rate limited, or never sent**: the request moves on to an untried endpoint, if one has capacity. This uses no retry
//!   (but the [`Budget`]), and happens at most once per endpoint.
//! - **Unauthorized**: a retry, but only on an untried endpoint.
//! - **Any other outcome**: a retry. An untried endpoint is called at once, a tried one only after a backoff with full
//!   jitter and after its Retry-After.
//! - **A Retry-After longer than [`RetryLayer::with_max_wait`], or beyond the deadline**, is not waited for: an untried
//!   endpoint is called, or the layer gives up.
//!
//! When the layer gives up, the caller receives the last response of a backend, never the refusal of a repeat.
//!
//! ```text
//!             ┌───────────── ready ◄──────────────────────────── elapsed
//!             ▼                ▲                                    │
//! call ──► calling ──failed──► decision ──long wait, no record──► sleeping
//!             │                │
//!          success          gives up
//!             ▼                ▼
//!          response      last response of a backend
//! ```
//!
//! Over a [balancer](crate::balance) the layer does not sleep. It keeps a record of the request's
//! [`Attempts`](crate::Attempts), which the balancer takes with the call, and writes a
//! [`Directive`](crate::attempts::Directive) into it. The balancer, which alone knows the free capacity, obeys it: it picks an
//! untried endpoint now, or a tried one no earlier than it may be called. (Only a backoff longer than the balancer waits is
//! slept here.) Over a plain service there is only one endpoint to repeat at: the layer sleeps first, and no repeat is free.
//!
//! A layer between the two must call its inner service within its own `call`, as most do. Below one that calls later, such
//! as tower's `Buffer` or an `async` block, the balancer finds no record unless the request carries one
//! ([`RetryLayer::with_attempts`]); repeats then are picked like first attempts.
//!
//! # How it differs from tower's `Retry`
//! tower's `Retry` leaves these decisions to a policy, which cannot select the endpoint of a repeat, and knows no Retry-After
//! and no deadline. Deposits into its retry budget are made by the policy; here the layer makes one for each first attempt.
//!
//! ```
//! use std::sync::{Arc, atomic::{AtomicU32, Ordering}};
//! use tollgate_layers::{Class, Outcome, retry::{Budget, RetryLayer}};
//! use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
//! let classify = |result: Result<&u32, &std::io::Error>| match result {
//!     Ok(_) => Outcome::new(Class::Success),
//!     Err(_) => Outcome::new(Class::Unavailable),
//! };
//! let calls = Arc::new(AtomicU32::new(0));
//! let flaky = service_fn(move |n: u32| {
//!     let first = calls.fetch_add(1, Ordering::Relaxed) == 0;
//!     std::future::ready(if first { Err(std::io::Error::other("once")) } else { Ok(n) })
//! });
//! let mut service = ServiceBuilder::new()
//!     .layer(RetryLayer::new(2u32, classify).with_budget(Budget::default()))
//!     .service(flaky);
//! assert_eq!(service.ready().await?.call(7).await?, 7);
//! # Ok::<(), std::io::Error>(()) })?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Hazards: a request is cloned for every call, so its clone must be cheap. A failed response is kept while the
//! next is awaited: it should be complete, and hold no connection or permit. The setting for
//! [`RetryLayer::with_attempts`] borrows from the request, so it must be a function; a closure's lifetimes are not
//! inferred.

mod backoff;
mod budget;
mod future;
mod policy;
mod session;
#[cfg(test)]
mod tests;

use std::{
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

pub use self::{
    backoff::Backoff,
    budget::{Budget, Counts},
    future::ResponseFuture,
    policy::{Pacing, RetryConfig, RetryPolicy},
};
use crate::{attempts::NoAttempts, setting::Constant, shared_clone::SharedClone};

/// The default maximum wait for a Retry-After, equal to the balancer's.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// A layer that repeats failed calls. See the [module](self).
#[derive(Clone, Debug)]
pub struct RetryLayer<R, C, A = NoAttempts, D = Constant<Option<Instant>>, M = Constant<Option<u32>>> {
    config: RetryConfig<R, C, A, D, M>,
}

impl<R, C> RetryLayer<R, C> {
    /// Creates a layer that makes at most `retries` retries of a call: a `u32`, or a function of the request and the failed
    /// outcome. `classify` returns the outcomes.
    pub fn new(retries: R, classify: C) -> Self {
        let pacing =
            Pacing { budget: None, backoff: Backoff::default(), max_wait: MAX_WAIT, client_errors: false };
        let (deadline, max_attempts) = (Constant(None), Constant(None));
        Self {
            config: RetryConfig { retries, classify, attempts: NoAttempts, deadline, max_attempts, pacing },
        }
    }
}

impl<R, C, A, D, M> RetryLayer<R, C, A, D, M> {
    /// Sets the function that returns a request's record of attempts: `fn(&Req) -> Option<&Attempts>`.
    pub fn with_attempts<B>(self, attempts: B) -> RetryLayer<R, C, B, D, M> {
        let RetryConfig { retries, classify, deadline, max_attempts, pacing, .. } = self.config;
        RetryLayer { config: RetryConfig { retries, classify, attempts, deadline, max_attempts, pacing } }
    }

    /// Sets the deadline: a function of the request that returns an `Option<Instant>`.
    pub fn with_deadline<B>(self, deadline: B) -> RetryLayer<R, C, A, B, M> {
        let RetryConfig { retries, classify, attempts, max_attempts, pacing, .. } = self.config;
        RetryLayer { config: RetryConfig { retries, classify, attempts, deadline, max_attempts, pacing } }
    }

    /// Sets the limit of attempts per request, including the first: an `Option<u32>`, or a function of the
    /// request to one. With a record it counts the attempts made over all groups.
    pub fn with_max_attempts<B>(self, max_attempts: B) -> RetryLayer<R, C, A, D, B> {
        let RetryConfig { retries, classify, attempts, deadline, pacing, .. } = self.config;
        RetryLayer { config: RetryConfig { retries, classify, attempts, deadline, max_attempts, pacing } }
    }

    /// Sets the budget from which every repeat is withdrawn. Without a budget the repeats of all requests together are not limited.
    #[must_use]
    pub fn with_budget(mut self, budget: Budget) -> Self {
        self.config.pacing.budget = Some(budget);
        self
    }

    /// Lets the setting of retries also decide about client errors: it must be a function that returns 0 for those that are
    /// not worth a repeat. By default they are returned at once.
    #[must_use]
    pub const fn with_client_errors(mut self) -> Self {
        self.config.pacing.client_errors = true;
        self
    }

    /// Sets the backoff before the same endpoint is called again.
    #[must_use]
    pub fn with_backoff(mut self, backoff: Backoff) -> Self {
        self.config.pacing.backoff = backoff;
        self
    }

    /// Sets the longest Retry-After time that is waited for; 2 s by default. This should equal the longest wait of the
    /// balancer.
    #[must_use]
    pub const fn with_max_wait(mut self, max_wait: Duration) -> Self {
        self.config.pacing.max_wait = max_wait;
        self
    }
}

impl<S, R, C, A, D, M> Layer<S> for RetryLayer<R, C, A, D, M>
where
    S: Clone,
    RetryConfig<R, C, A, D, M>: Clone,
{
    type Service = Retry<S, RetryConfig<R, C, A, D, M>>;

    fn layer(&self, inner: S) -> Self::Service {
        Retry { shared: SharedClone::new(&inner, self.config.clone()), inner }
    }
}

/// The service of [`RetryLayer`].
#[derive(Debug)]
pub struct Retry<S, P> {
    inner: S,
    shared: SharedClone<S, P>,
}

impl<S: Clone, P> Clone for Retry<S, P> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), shared: self.shared.clone() }
    }
}

impl<S: Clone, R, C> Retry<S, RetryConfig<R, C>> {
    /// Creates the service of [`RetryLayer::new`].
    pub fn new(inner: S, retries: R, classify: C) -> Self {
        Self { shared: SharedClone::new(&inner, RetryLayer::new(retries, classify).config), inner }
    }
}

impl<S, P> Retry<S, P> {
    inner_accessors!();
}

impl<S, P, Req> Service<Req> for Retry<S, P>
where
    S: Service<Req> + Clone,
    P: RetryPolicy<Req, S::Response, S::Error>,
    Req: Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S, P, Req>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, req: Req) -> Self::Future {
        ResponseFuture::new(&mut self.inner, self.shared.clone(), req)
    }
}
