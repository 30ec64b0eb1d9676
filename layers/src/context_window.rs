//! Asks a larger one when the request did not fit: [`ContextWindowFallbackLayer`].
//!
//! It stands inside [`Fallback`](crate::fallback::Fallback): a larger sibling is a better answer than another kind of
//! backend. It is the same loop (see there for the diagram, and for what tower has instead), entered by
//! [`Class::ContextWindow`] alone. Once entered, a larger one that fails in a way worth another, or refuses, does not
//! end it: the policy may name one that is larger still. What is no one's to mend (the caller's own error) ends it.
//! When nothing larger would do, the caller gets the first answer.
//!
//! A wasted call can be spared: [`ContextWindowFallbackLayer::with_preflight`] is asked before the first call, and may
//! name the larger one at once.
//!
//! ```text
//! call ──► preflight ──fits, or unknown──► calling ──good, or another failure──► answer
//!              │                           ▲    └──did not fit──► policy ──none larger──► the first answer
//!              └───too large: a larger one─┴──────── ready ◄────────┘
//! ```
//!
//! ```
//! use tollgate_layers::{Class, Ending, context_window::ContextWindowFallbackLayer};
//! use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
//!
//! #[derive(Clone)]
//! struct Request { room: usize, text: &'static str }
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let classify = |outcome: Result<&usize, &std::io::Error>| match outcome {
//!     Ok(_) => Ending::of(Class::Success),
//!     Err(_) => Ending::of(Class::ContextWindow),
//! };
//! let larger = |req: &Request, _: &Ending| (req.room < 100).then(|| Request { room: 100, ..req.clone() });
//! let mut service = ServiceBuilder::new()
//!     .layer(ContextWindowFallbackLayer::new(larger, classify))
//!     .service(service_fn(|req: Request| async move {
//!         if req.text.len() > req.room { Err(std::io::Error::other("too long")) } else { Ok(req.room) }
//!     }));
//! assert_eq!(service.ready().await?.call(Request { room: 3, text: "four" }).await?, 100);
//! # Ok::<(), std::io::Error>(()) })?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Hazards: those of [`Fallback`](crate::fallback::Fallback). A preflight's guess that is too high sends the request
//! to a backend that the caller did not name; it should only speak when it knows.

use std::task::{Context, Poll};

use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    Class, Ending,
    again::Again,
    fallback::{
        ResponseFuture,
        walk::{Guide, Route},
    },
    setting::Constant,
};

/// Says before the first call which larger request to make instead. A closure will do.
pub trait Preflight<Req> {
    /// The larger one, when this one is known not to fit.
    fn larger(&self, req: &Req) -> Option<Req>;
}

impl<F, Req> Preflight<Req> for F
where
    F: Fn(&Req) -> Option<Req>,
{
    fn larger(&self, req: &Req) -> Option<Req> {
        self(req)
    }
}

/// No preflight: whether a request fits is left for the backend to say.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unchecked;

impl<Req> Preflight<Req> for Unchecked {
    fn larger(&self, _: &Req) -> Option<Req> {
        None
    }
}

/// Makes a [`ContextWindowFallback`].
#[derive(Clone, Debug)]
pub struct ContextWindowFallbackLayer<P, C, Q = Unchecked, D = Constant<Option<Instant>>> {
    route: Route<P, C, D>,
    preflight: Q,
}

impl<P, C> ContextWindowFallbackLayer<P, C> {
    /// Asks `policy` for a larger request after what `classify` calls [`Class::ContextWindow`].
    pub const fn new(policy: P, classify: C) -> Self {
        let route = Route { policy, classify, deadline: Constant(None), acts };
        Self { route, preflight: Unchecked }
    }
}

impl<P, C, Q, D> ContextWindowFallbackLayer<P, C, Q, D> {
    /// Asked before the first call; `Fn(&Req) -> Option<Req>`.
    pub fn with_preflight<R>(self, preflight: R) -> ContextWindowFallbackLayer<P, C, R, D> {
        ContextWindowFallbackLayer { route: self.route, preflight }
    }

    /// Makes no further call from then on: a function of the request to an `Option<Instant>`.
    pub fn with_deadline<E>(self, deadline: E) -> ContextWindowFallbackLayer<P, C, Q, E> {
        ContextWindowFallbackLayer { route: self.route.with_deadline(deadline), preflight: self.preflight }
    }
}

/// The caller's own request must not have fitted. A larger one may also be down.
fn acts(ending: &Ending, under_way: bool) -> bool {
    ending.class() == Class::ContextWindow
        || under_way && (ending.class().worth_another() || ending.is_refusal())
}

impl<S, P, C, Q, D> Layer<S> for ContextWindowFallbackLayer<P, C, Q, D>
where
    S: Clone,
    Route<P, C, D>: Clone,
    Q: Clone,
{
    type Service = ContextWindowFallback<S, Fitting<Route<P, C, D>, Q>>;

    fn layer(&self, inner: S) -> Self::Service {
        let fitting = Fitting { route: self.route.clone(), preflight: self.preflight.clone() };
        ContextWindowFallback { again: Again::new(&inner, fitting), inner }
    }
}

/// All that the layer was told. Shared by the clones of a service.
#[derive(Clone, Debug)]
pub struct Fitting<G, Q> {
    route: G,
    preflight: Q,
}

impl<Req, Res, Err, G, Q> Guide<Req, Res, Err> for Fitting<G, Q>
where
    G: Guide<Req, Res, Err>,
{
    fn classify(&self, outcome: Result<&Res, &Err>) -> Ending {
        self.route.classify(outcome)
    }

    fn next(&self, req: &Req, ending: &Ending, under_way: bool) -> Option<Req> {
        self.route.next(req, ending, under_way)
    }
}

impl<Req, G, Q> Preflight<Req> for Fitting<G, Q>
where
    Q: Preflight<Req>,
{
    fn larger(&self, req: &Req) -> Option<Req> {
        self.preflight.larger(req)
    }
}

/// Gives a larger request to `S` when the one before it did not fit there.
#[derive(Debug)]
pub struct ContextWindowFallback<S, G> {
    inner: S,
    again: Again<S, G>,
}

impl<S: Clone, G> Clone for ContextWindowFallback<S, G> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), again: self.again.clone() }
    }
}

impl<S, G> ContextWindowFallback<S, G> {
    inner_accessors!();
}

impl<S, G, Req> Service<Req> for ContextWindowFallback<S, G>
where
    S: Service<Req> + Clone,
    G: Guide<Req, S::Response, S::Error> + Preflight<Req>,
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
        let under_way = larger.is_some();
        ResponseFuture::new(&mut self.inner, self.again.clone(), larger.unwrap_or(req), under_way)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, PoisonError};

    use tower::ServiceExt as _;

    use super::*;
    use crate::testing::Strict;

    type Answer = Result<&'static str, Class>;

    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Size(usize);

    fn classify(outcome: Result<&&'static str, &Class>) -> Ending {
        Ending::of(outcome.err().copied().unwrap_or(Class::Success))
    }

    #[derive(Clone)]
    struct Sizes {
        script: [Answer; 3],
        asked: Arc<Mutex<Vec<usize>>>,
    }

    impl Service<Size> for Sizes {
        type Response = &'static str;
        type Error = Class;
        type Future = std::future::Ready<Answer>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Class>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, size: Size) -> Self::Future {
            self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(size.0);
            std::future::ready(self.script[size.0])
        }
    }

    /// What the caller got, and which sizes were asked.
    async fn story<L>(script: [Answer; 3], layer: L) -> (Answer, Vec<usize>)
    where
        L: Layer<Strict<Sizes>>,
        L::Service: Service<Size, Response = &'static str, Error = Class>,
    {
        let sizes = Sizes { script, asked: Arc::default() };
        let answer = layer.layer(Strict::new(sizes.clone())).oneshot(Size(0)).await;
        let asked = sizes.asked.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (answer, asked)
    }

    fn larger(size: &Size, _: &Ending) -> Option<Size> {
        (size.0 < 2).then(|| Size(size.0 + 1))
    }

    #[tokio::test]
    async fn what_fits_is_asked_once() {
        let layer = ContextWindowFallbackLayer::new(larger, classify);
        let (answer, asked) = story([Ok("small"); 3], layer).await;
        assert_eq!((answer, asked), (Ok("small"), vec![0]));
    }

    #[tokio::test]
    async fn what_does_not_fit_goes_to_a_larger_one_and_to_one_larger_still() {
        let layer = ContextWindowFallbackLayer::new(larger, classify);
        let script = [Err(Class::ContextWindow), Err(Class::ContextWindow), Ok("large")];
        let (answer, asked) = story(script, layer).await;
        assert_eq!((answer, asked), (Ok("large"), vec![0, 1, 2]));
    }

    #[tokio::test]
    async fn another_failure_is_left_to_others() {
        for class in
            Class::ALL.into_iter().filter(|class| !matches!(class, Class::ContextWindow | Class::Success))
        {
            let layer = ContextWindowFallbackLayer::new(larger, classify);
            let (answer, asked) = story([Err(class), Ok("never"), Ok("never")], layer).await;
            assert_eq!((answer, asked), (Err(class), vec![0]));
        }
    }

    #[tokio::test]
    async fn a_larger_one_that_is_down_does_not_end_it() {
        let layer = ContextWindowFallbackLayer::new(larger, classify);
        let script = [Err(Class::ContextWindow), Err(Class::Unavailable), Ok("large")];
        let (answer, asked) = story(script, layer).await;
        assert_eq!((answer, asked), (Ok("large"), vec![0, 1, 2]));
    }

    #[tokio::test]
    async fn a_callers_error_there_ends_it_with_the_first_answer() {
        let layer = ContextWindowFallbackLayer::new(larger, classify);
        let script = [Err(Class::ContextWindow), Err(Class::Caller), Ok("never")];
        let (answer, asked) = story(script, layer).await;
        assert_eq!((answer, asked), (Err(Class::ContextWindow), vec![0, 1]));
    }

    #[tokio::test]
    async fn when_all_have_failed_the_first_answer_is_given() {
        let layer = ContextWindowFallbackLayer::new(larger, classify);
        let script = [Err(Class::ContextWindow), Err(Class::ContextWindow), Err(Class::Timeout)];
        let (answer, asked) = story(script, layer).await;
        assert_eq!((answer, asked), (Err(Class::ContextWindow), vec![0, 1, 2]));
    }

    #[tokio::test]
    async fn a_preflight_spares_the_call_that_would_be_wasted() {
        let layer =
            ContextWindowFallbackLayer::new(larger, classify).with_preflight(|_: &Size| Some(Size(1)));
        let script = [Ok("never"), Err(Class::ContextWindow), Ok("large")];
        let (answer, asked) = story(script, layer).await;
        assert_eq!((answer, asked), (Ok("large"), vec![1, 2]));
    }

    #[tokio::test]
    async fn a_preflight_that_does_not_know_changes_nothing() {
        let layer = ContextWindowFallbackLayer::new(larger, classify).with_preflight(|_: &Size| None);
        let (answer, asked) = story([Ok("small"); 3], layer).await;
        assert_eq!((answer, asked), (Ok("small"), vec![0]));
    }

    #[tokio::test(start_paused = true)]
    async fn past_the_deadline_no_larger_one_is_asked() {
        let now = Instant::now();
        let layer = ContextWindowFallbackLayer::new(larger, classify).with_deadline(Constant(Some(now)));
        let script = [Err(Class::ContextWindow), Ok("never"), Ok("never")];
        let (answer, asked) = story(script, layer).await;
        assert_eq!((answer, asked), (Err(Class::ContextWindow), vec![0]));
    }
}
