//! The services that change nothing of a call but its outcome: [`MapOutcome`].
//!
//! Differs from tower's `MapResult` in that the future has a name, and in that each call has a state of its own.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tower::Service;

/// Begins a call, which ends as [`Outcome`] says.
pub(crate) trait Begin<Req> {
    /// The state of one call.
    type Call;

    /// Called with the request, before the inner service is.
    fn begin(&self, request: &Req) -> Self::Call;
}

/// Ends a call.
pub(crate) trait Outcome<T, E> {
    /// The response of the outer service.
    type Response;
    /// The error of the outer service.
    type Error;

    /// Returns the outcome of the outer service, given that of the inner one.
    fn end(self, outcome: Result<T, E>) -> Result<Self::Response, Self::Error>;
}

/// Begins each call with `map`, and ends it as that says. See the [module](self).
#[derive(Clone, Debug)]
pub(crate) struct MapOutcome<S, M> {
    inner: S,
    map: M,
}

impl<S, M> MapOutcome<S, M> {
    pub(crate) const fn new(inner: S, map: M) -> Self {
        Self { inner, map }
    }
}

impl<S, M, Req> Service<Req> for MapOutcome<S, M>
where
    S: Service<Req>,
    M: Begin<Req>,
    M::Call: Outcome<S::Response, S::Error>,
{
    type Response = <M::Call as Outcome<S::Response, S::Error>>::Response;
    type Error = <M::Call as Outcome<S::Response, S::Error>>::Error;
    type Future = ResponseFuture<S::Future, M::Call>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        // In the gateway every service is always ready: an error could only be a fault of ours, and the call that
        // follows would tell of it.
        self.inner.poll_ready(cx).map(|_| Ok(()))
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let call = Some(self.map.begin(&request));
        ResponseFuture { inner: self.inner.call(request), call }
    }
}

pin_project! {
    /// The future of [`MapOutcome`].
    pub(crate) struct ResponseFuture<F, C> {
        #[pin]
        inner: F,
        // None: it is over.
        call: Option<C>,
    }
}

impl<F, C, T, E> Future for ResponseFuture<F, C>
where
    F: Future<Output = Result<T, E>>,
    C: Outcome<T, E>,
{
    type Output = Result<C::Response, C::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let outcome = ready!(this.inner.poll(cx));
        this.call.take().map_or(Poll::Pending, |call| Poll::Ready(call.end(outcome)))
    }
}
