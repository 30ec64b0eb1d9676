//! A service that sees each request and replaces its result: [`AroundCall`].
//!
//! The service differs from tower's `MapResult` in that its future has a name and that each call has a state of its own.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tower::{Layer, Service, layer::layer_fn};

/// Creates the state of each call. The state is an [`EndCall`].
pub(crate) trait BeginCall<Req> {
    /// The state of one call.
    type Call;

    /// Returns the state of a call, before the inner service is called.
    fn begin(&self, request: &Req) -> Self::Call;
}

/// Replaces the result of a call.
pub(crate) trait EndCall<T, E> {
    /// The response of the outer service.
    type Response;
    /// The error of the outer service.
    type Error;

    /// Returns the result of the outer service for that of the inner one.
    ///
    /// # Errors
    ///
    /// The error of the outer service.
    fn end(self, result: Result<T, E>) -> Result<Self::Response, Self::Error>;
}

/// A service that calls `map` before and its state after each call of the inner service. See the [module](self).
#[derive(Clone, Debug)]
pub(crate) struct AroundCall<S, M> {
    inner: S,
    map: M,
}

impl<S, M: Clone> AroundCall<S, M> {
    /// Returns a layer that wraps services with `map`.
    pub(crate) fn layer(map: M) -> impl Layer<S, Service = Self> {
        layer_fn(move |inner| Self { inner, map: map.clone() })
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
        // Every service of the gateway is always ready. An error here could only be a defect, and the call that follows
        // would report it.
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
        // None after completion.
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
