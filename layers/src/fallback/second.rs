//! A fallback to a second service: [`FallbackTo`].

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::{Classify, Outcome, shared_clone::SharedClone};

/// A layer that calls a second service after a failure: see [`FallbackLayer::to`](super::FallbackLayer::to).
#[derive(Clone, Debug)]
pub struct FallbackToLayer<F, C> {
    pub(crate) second: F,
    pub(crate) config: Config<C>,
}

/// The classifier, and the outcomes for which the second service is called.
#[derive(Clone, Debug)]
pub(crate) struct Config<C> {
    pub(crate) classify: C,
    pub(crate) acts: fn(&Outcome) -> bool,
}

impl<S, F: Clone, C: Clone> Layer<S> for FallbackToLayer<F, C> {
    type Service = FallbackTo<S, F, C>;

    fn layer(&self, inner: S) -> Self::Service {
        FallbackTo { inner, second: SharedClone::new(&self.second, self.config.clone()) }
    }
}

/// The service of [`FallbackToLayer`].
#[derive(Debug)]
pub struct FallbackTo<S, F, C> {
    inner: S,
    second: SharedClone<F, Config<C>>,
}

impl<S: Clone, F, C> Clone for FallbackTo<S, F, C> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), second: self.second.clone() }
    }
}

impl<S, F, C> FallbackTo<S, F, C> {
    inner_accessors!(mut);
}

impl<S, F, C, Req> Service<Req> for FallbackTo<S, F, C>
where
    S: Service<Req>,
    F: Service<Req, Response = S::Response, Error = S::Error> + Clone,
    C: Classify<S::Response, S::Error>,
    Req: Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, F, C, Req>;

    /// Is ready when the first service is: the second one is polled when it is needed.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, req: Req) -> Self::Future {
        let state = State::First { future: self.inner.call(req.clone()) };
        ResponseFuture { second: self.second.clone(), req: Some(req), first: None, state }
    }
}

type CallResult<F, Req> = Result<<F as Service<Req>>::Response, <F as Service<Req>>::Error>;

pin_project! {
    /// The future of [`FallbackTo`]: resolves to the first success, or else to the result of the first service.
    pub struct ResponseFuture<A, F, C, Req>
    where
        F: Service<Req>,
    {
        second: SharedClone<F, Config<C>>,
        req: Option<Req>,
        first: Option<CallResult<F, Req>>,
        #[pin]
        state: State<A, F, F::Future>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<A, F, B> {
        First { #[pin] future: A },
        Preparing { service: F },
        Second { #[pin] future: B },
        Over,
    }
}

impl<A, F, C, Req> Future for ResponseFuture<A, F, C, Req>
where
    A: Future<Output = CallResult<F, Req>>,
    F: Service<Req> + Clone,
    C: Classify<F::Response, F::Error>,
{
    type Output = CallResult<F, Req>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let config = &**this.second;
        loop {
            let next = match this.state.as_mut().project() {
                StateProj::First { future } => {
                    let result = ready!(future.poll(cx));
                    let outcome = config.classify.classify(result.as_ref());
                    if outcome.is_success() || !(config.acts)(&outcome) {
                        this.state.set(State::Over);
                        return Poll::Ready(result);
                    }
                    *this.first = Some(result);
                    State::Preparing { service: this.second.service() }
                }
                StateProj::Preparing { service } => {
                    let ready = ready!(service.poll_ready(cx)).ok();
                    match ready.and_then(|()| this.req.take()) {
                        Some(req) => State::Second { future: service.call(req) },
                        None => State::Over,
                    }
                }
                StateProj::Second { future } => {
                    let result = ready!(future.poll(cx));
                    this.state.set(State::Over);
                    if config.classify.classify(result.as_ref()).is_success() {
                        return Poll::Ready(result);
                    }
                    continue;
                }
                // A future that is polled again after its end stays pending.
                StateProj::Over => return this.first.take().map_or(Poll::Pending, Poll::Ready),
            };
            this.state.set(next);
        }
    }
}

impl<A, F, C, Req> fmt::Debug for ResponseFuture<A, F, C, Req>
where
    F: Service<Req>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
