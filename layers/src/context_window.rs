//! A layer that sends a request that exceeded the context window to a larger backend: [`ContextWindowFallbackLayer`].
//!
//! Its position is inside of [`Fallback`](crate::fallback::Fallback): a larger backend of the same kind is preferred
//! to another kind of backend. It is the same loop (see there for the diagram and for tower's alternatives), entered
//! only after [`Class::ContextWindow`]. Once entered, the loop continues if a larger backend fails in a way for which
//! another endpoint may succeed, or refuses: the policy may return a still larger one. An error of the caller's
//! request ends it. If the policy returns none, the caller gets the first response.
//!
//! A useless call can be avoided: [`ContextWindowFallbackLayer::with_preflight`] is called before the first call, and
//! may return the larger request at once.
//!
//! ```text
//! call ──► preflight ──fits, or unknown──► calling ──success, or another failure──► response
//!              │                           ▲    └──did not fit──► policy ──none larger──► the first response
//!              └───too large: a larger one─┴──────── ready ◄────────┘
//! ```
//!
//! ```
//! use tollgate_layers::{Class, Outcome, context_window::ContextWindowFallbackLayer};
//! use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
//!
//! #[derive(Clone)]
//! struct Request { window: usize, text: &'static str }
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let classify = |result: Result<&usize, &std::io::Error>| match result {
//!     Ok(_) => Outcome::new(Class::Success),
//!     Err(_) => Outcome::new(Class::ContextWindow),
//! };
//! let larger = |req: &Request, _: &Outcome| (req.window < 100).then(|| Request { window: 100, ..req.clone() });
//! let mut service = ServiceBuilder::new()
//!     .layer(ContextWindowFallbackLayer::new(larger, classify))
//!     .service(service_fn(|req: Request| async move {
//!         if req.text.len() > req.window { Err(std::io::Error::other("too long")) } else { Ok(req.window) }
//!     }));
//! assert_eq!(service.ready().await?.call(Request { window: 3, text: "four" }).await?, 100);
//! # Ok::<(), std::io::Error>(()) })?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Hazards: those of [`Fallback`](crate::fallback::Fallback). If a preflight overestimates, it sends the request to a
//! backend that the caller did not choose; it should return a request only if it is certain.

use std::task::{Context, Poll};

use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    Class, Outcome,
    fallback::{
        FallbackToLayer, ResponseFuture,
        future::{FallbackConfig, FallbackPolicy},
        second,
    },
    setting::Constant,
    shared_clone::SharedClone,
};

/// A check before the first call, which may return a larger request. Closures implement it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a `Preflight<{Req}>`",
    label = "does not check requests of type `{Req}`",
    note = "a preflight is a function `fn(&{Req}) -> Option<{Req}>`, which returns the larger request"
)]
pub trait Preflight<Req> {
    /// Returns the larger request, if this one is known not to fit.
    fn larger(&self, req: &Req) -> Option<Req>;
}

#[diagnostic::do_not_recommend]
impl<F, Req> Preflight<Req> for F
where
    F: Fn(&Req) -> Option<Req>,
{
    fn larger(&self, req: &Req) -> Option<Req> {
        self(req)
    }
}

/// No preflight: the backend decides whether a request fits.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoPreflight;

impl<Req> Preflight<Req> for NoPreflight {
    fn larger(&self, _: &Req) -> Option<Req> {
        None
    }
}

/// A layer that calls a larger backend after a [`Class::ContextWindow`]. See the [module](self).
#[derive(Clone, Debug)]
pub struct ContextWindowFallbackLayer<P, C, Q = NoPreflight, D = Constant<Option<Instant>>> {
    config: FallbackConfig<P, C, D>,
    preflight: Q,
}

impl<P, C> ContextWindowFallbackLayer<P, C> {
    /// Creates a layer that calls `policy` for a larger request after a [`Class::ContextWindow`].
    pub const fn new(policy: P, classify: C) -> Self {
        let config = FallbackConfig { policy, classify, deadline: Constant(None), acts };
        Self { config, preflight: NoPreflight }
    }
}

impl ContextWindowFallbackLayer<(), ()> {
    /// Creates a layer that calls `larger`, a service, with a clone of the request after a [`Class::ContextWindow`].
    pub const fn to<F, C>(larger: F, classify: C) -> FallbackToLayer<F, C> {
        let acts = |outcome: &Outcome| outcome.class() == Class::ContextWindow;
        FallbackToLayer { second: larger, config: second::Config { classify, acts } }
    }
}

impl<P, C, Q, D> ContextWindowFallbackLayer<P, C, Q, D> {
    /// Sets the preflight, a function `Fn(&Req) -> Option<Req>` that is called before the first call.
    pub fn with_preflight<R>(self, preflight: R) -> ContextWindowFallbackLayer<P, C, R, D> {
        ContextWindowFallbackLayer { config: self.config, preflight }
    }

    /// Sets a deadline, after which no further call is made: a function of the request to an `Option<Instant>`.
    pub fn with_deadline<E>(self, deadline: E) -> ContextWindowFallbackLayer<P, C, Q, E> {
        ContextWindowFallbackLayer { config: self.config.with_deadline(deadline), preflight: self.preflight }
    }
}

/// Returns true if the policy is called: after the caller's request did not fit, or after a larger one failed.
fn acts(outcome: &Outcome, redirected: bool) -> bool {
    outcome.class() == Class::ContextWindow
        || redirected && (outcome.class().worth_another() || outcome.is_refusal())
}

impl<S, P, C, Q, D> Layer<S> for ContextWindowFallbackLayer<P, C, Q, D>
where
    S: Clone,
    FallbackConfig<P, C, D>: Clone,
    Q: Clone,
{
    type Service = ContextWindowFallback<S, ContextWindowConfig<FallbackConfig<P, C, D>, Q>>;

    fn layer(&self, inner: S) -> Self::Service {
        let config = ContextWindowConfig { config: self.config.clone(), preflight: self.preflight.clone() };
        ContextWindowFallback { again: SharedClone::new(&inner, config), inner }
    }
}

/// The configuration of the layer. Shared by the clones of a service.
#[derive(Clone, Debug)]
pub struct ContextWindowConfig<G, Q = NoPreflight> {
    config: G,
    preflight: Q,
}

impl<Req, Res, Err, G, Q> FallbackPolicy<Req, Res, Err> for ContextWindowConfig<G, Q>
where
    G: FallbackPolicy<Req, Res, Err>,
{
    fn classify(&self, result: Result<&Res, &Err>) -> Outcome {
        self.config.classify(result)
    }

    fn is_final(&self, outcome: &Outcome) -> bool {
        self.config.is_final(outcome)
    }

    fn next(&self, req: &Req, outcome: &Outcome, redirected: bool) -> Option<Req> {
        self.config.next(req, outcome, redirected)
    }
}

impl<Req, G, Q> Preflight<Req> for ContextWindowConfig<G, Q>
where
    Q: Preflight<Req>,
{
    fn larger(&self, req: &Req) -> Option<Req> {
        self.preflight.larger(req)
    }
}

/// The service of [`ContextWindowFallbackLayer`].
#[derive(Debug)]
pub struct ContextWindowFallback<S, G> {
    inner: S,
    again: SharedClone<S, G>,
}

impl<S: Clone, G> Clone for ContextWindowFallback<S, G> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), again: self.again.clone() }
    }
}

impl<S: Clone, P, C> ContextWindowFallback<S, ContextWindowConfig<FallbackConfig<P, C>>> {
    /// Creates the service of [`ContextWindowFallbackLayer::new`].
    pub fn new(inner: S, policy: P, classify: C) -> Self {
        let ContextWindowFallbackLayer { config, preflight } =
            ContextWindowFallbackLayer::new(policy, classify);
        Self { again: SharedClone::new(&inner, ContextWindowConfig { config, preflight }), inner }
    }
}

impl<S, G> ContextWindowFallback<S, G> {
    inner_accessors!();
}

impl<S, G, Req> Service<Req> for ContextWindowFallback<S, G>
where
    S: Service<Req> + Clone,
    G: FallbackPolicy<Req, S::Response, S::Error> + Preflight<Req>,
    Req: Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S, G, Req>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, req: Req) -> Self::Future {
        let larger = self.again.larger(&req);
        let redirected = larger.is_some();
        ResponseFuture::new(&mut self.inner, self.again.clone(), larger.unwrap_or(req), redirected)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, PoisonError};

    use tower::ServiceExt as _;

    use super::*;
    use crate::testing::Strict;

    type CallResult = Result<&'static str, Class>;

    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Size(usize);

    fn classify(result: Result<&&'static str, &Class>) -> Outcome {
        Outcome::new(result.err().copied().unwrap_or(Class::Success))
    }

    #[derive(Clone)]
    struct Sizes {
        script: [CallResult; 3],
        called: Arc<Mutex<Vec<usize>>>,
    }

    impl Service<Size> for Sizes {
        type Response = &'static str;
        type Error = Class;
        type Future = std::future::Ready<CallResult>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Class>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, size: Size) -> Self::Future {
            self.called.lock().unwrap_or_else(PoisonError::into_inner).push(size.0);
            std::future::ready(self.script[size.0])
        }
    }

    /// Returns the response to the caller, and the sizes that were called.
    async fn call_through<L>(script: [CallResult; 3], layer: L) -> (CallResult, Vec<usize>)
    where
        L: Layer<Strict<Sizes>>,
        L::Service: Service<Size, Response = &'static str, Error = Class>,
    {
        let sizes = Sizes { script, called: Arc::default() };
        let result = layer.layer(Strict::new(sizes.clone())).oneshot(Size(0)).await;
        let called = sizes.called.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (result, called)
    }

    fn larger(size: &Size, _: &Outcome) -> Option<Size> {
        (size.0 < 2).then(|| Size(size.0 + 1))
    }

    #[tokio::test]
    async fn a_request_that_fits_the_context_window_is_called_once() {
        let layer = ContextWindowFallbackLayer::new(larger, classify);
        let (result, called) = call_through([Ok("small"); 3], layer).await;
        assert_eq!((result, called), (Ok("small"), vec![0]));
    }

    #[tokio::test]
    async fn a_request_that_exceeds_the_context_window_goes_to_larger_ones() {
        let layer = ContextWindowFallbackLayer::new(larger, classify);
        let script = [Err(Class::ContextWindow), Err(Class::ContextWindow), Ok("large")];
        let (result, called) = call_through(script, layer).await;
        assert_eq!((result, called), (Ok("large"), vec![0, 1, 2]));
    }

    #[tokio::test]
    async fn a_context_window_fallback_ignores_other_failures() {
        for class in
            Class::ALL.into_iter().filter(|class| !matches!(class, Class::ContextWindow | Class::Success))
        {
            let layer = ContextWindowFallbackLayer::new(larger, classify);
            let (result, called) = call_through([Err(class), Ok("never"), Ok("never")], layer).await;
            assert_eq!((result, called), (Err(class), vec![0]));
        }
    }

    #[tokio::test]
    async fn an_unavailable_larger_backend_does_not_end_the_context_window_fallback() {
        let layer = ContextWindowFallbackLayer::new(larger, classify);
        let script = [Err(Class::ContextWindow), Err(Class::Unavailable), Ok("large")];
        let (result, called) = call_through(script, layer).await;
        assert_eq!((result, called), (Ok("large"), vec![0, 1, 2]));
    }

    #[tokio::test]
    async fn a_caller_error_ends_the_context_window_fallback() {
        let layer = ContextWindowFallbackLayer::new(larger, classify);
        let script = [Err(Class::ContextWindow), Err(Class::Caller), Ok("never")];
        let (result, called) = call_through(script, layer).await;
        assert_eq!((result, called), (Err(Class::ContextWindow), vec![0, 1]));
    }

    #[tokio::test]
    async fn a_failed_context_window_fallback_returns_the_first_response() {
        let layer = ContextWindowFallbackLayer::new(larger, classify);
        let script = [Err(Class::ContextWindow), Err(Class::ContextWindow), Err(Class::Timeout)];
        let (result, called) = call_through(script, layer).await;
        assert_eq!((result, called), (Err(Class::ContextWindow), vec![0, 1, 2]));
    }

    #[tokio::test]
    async fn a_preflight_avoids_a_useless_call() {
        let layer =
            ContextWindowFallbackLayer::new(larger, classify).with_preflight(|_: &Size| Some(Size(1)));
        let script = [Ok("never"), Err(Class::ContextWindow), Ok("large")];
        let (result, called) = call_through(script, layer).await;
        assert_eq!((result, called), (Ok("large"), vec![1, 2]));
    }

    #[tokio::test]
    async fn a_preflight_that_does_not_know_changes_nothing() {
        let layer = ContextWindowFallbackLayer::new(larger, classify).with_preflight(|_: &Size| None);
        let (result, called) = call_through([Ok("small"); 3], layer).await;
        assert_eq!((result, called), (Ok("small"), vec![0]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_context_window_fallback_makes_no_call_after_the_deadline() {
        let now = Instant::now();
        let layer = ContextWindowFallbackLayer::new(larger, classify).with_deadline(Constant(Some(now)));
        let script = [Err(Class::ContextWindow), Ok("never"), Ok("never")];
        let (result, called) = call_through(script, layer).await;
        assert_eq!((result, called), (Err(Class::ContextWindow), vec![0]));
    }
}
