//! The services that change nothing of a call but its outcome: [`AroundCall`].
//!
//! Differs from tower's `MapResult` in that the future has a name, and in that each call has a state of its own.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tower::Service;

/// Begins a call, which ends as [`EndCall`] says.
pub(crate) trait BeginCall<Req> {
    /// The state of one call.
    type Call;

    /// Called with the request, before the inner service is.
    fn begin(&self, request: &Req) -> Self::Call;
}

/// Ends a call.
pub(crate) trait EndCall<T, E> {
    /// The response of the outer service.
    type Response;
    /// The error of the outer service.
    type Error;

    /// Returns the outcome of the outer service, given that of the inner one.
    fn end(self, result: Result<T, E>) -> Result<Self::Response, Self::Error>;
}

/// Begins each call with `map`, and ends it as that says. See the [module](self).
#[derive(Clone, Debug)]
pub(crate) struct AroundCall<S, M> {
    inner: S,
    map: M,
}

impl<S, M> AroundCall<S, M> {
    pub(crate) const fn new(inner: S, map: M) -> Self {
        Self { inner, map }
    }
}

impl<S, M, Req> Service<Req> for AroundCall<S, M>
where
    S: Service<Req>,
    M: BeginCall<Req>,
    M::Call: EndCall<S::Response, S::Error>,
{
    type Response = <M::Call as EndCall<S::Response, S::Error>>::Response;
    type Error = <M::Call as EndCall<S::Response, S::Error>>::Error;
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
    /// The future of [`AroundCall`].
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
    C: EndCall<T, E>,
{
    type Output = Result<C::Response, C::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = ready!(this.inner.poll(cx));
        this.call.take().map_or(Poll::Pending, |call| Poll::Ready(call.end(result)))
    }
}
