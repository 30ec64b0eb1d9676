//! A layer that turns a panic into a response with status 500: [`CatchPanic`].
//!
//! tower-http's `catch_panic` does the same, but boxes the body of every response. Here the response to a panic has the
//! gateway's body type, so a call without a panic costs nothing. The layer stands inside the call id and the metrics, so
//! that the 500 has an id and is counted, and outside every layer that could panic.
//!
//! Hazards: a panic while a *body* is polled is not caught: the connection closes, and the guards run. State that the
//! panicking code had changed in part stays as it is; every lock of the gateway ignores poisoning.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tower::{Layer, Service, layer::layer_fn};

use super::handle_error;
use crate::request::Response;

/// A service that responds with status 500 when the inner service panics. See the [module](self).
#[derive(Clone, Debug)]
pub(crate) struct CatchPanic<S> {
    inner: S,
}

impl<S> CatchPanic<S> {
    /// Returns the layer of this service.
    pub(crate) fn layer() -> impl Layer<S, Service = Self> {
        layer_fn(|inner| Self { inner })
    }
}

impl<S, Req> Service<Req> for CatchPanic<S>
where
    S: Service<Req, Response = Response>,
{
    type Response = Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, req: Req) -> Self::Future {
        let inner = catch_unwind(AssertUnwindSafe(|| self.inner.call(req)));
        ResponseFuture { panicked: inner.is_err(), inner: inner.ok() }
    }
}

pin_project! {
    /// The future of [`CatchPanic`].
    pub(crate) struct ResponseFuture<F> {
        #[pin]
        inner: Option<F>,
        panicked: bool,
    }
}

impl<F> ResponseFuture<F> {
    /// Returns a future that responds with status 500 when `inner` panics.
    pub(crate) const fn new(inner: F) -> Self {
        Self { inner: Some(inner), panicked: false }
    }
}

impl<F, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response, E>>,
{
    type Output = Result<Response, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some(inner) = this.inner.as_mut().as_pin_mut() else {
            // The call itself panicked, or the future is polled after completion, for which `Future` allows any result.
            let panicked = std::mem::take(this.panicked);
            return if panicked { Poll::Ready(Ok(handle_error::panicked())) } else { Poll::Pending };
        };
        Poll::Ready(match catch_unwind(AssertUnwindSafe(|| inner.poll(cx))) {
            Ok(result) => ready!(result),
            Err(_) => {
                // Drop the inner future first: it releases what it holds before the client receives the response.
                this.inner.set(None);
                Ok(handle_error::panicked())
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, future::Ready};

    use tokio_test::{assert_pending, assert_ready_ok};
    use tower::{ServiceExt, service_fn};

    use super::*;

    async fn panics() -> Result<Response, Infallible> {
        tokio::task::yield_now().await;
        panic!("a bug")
    }

    fn panics_at_once(_: ()) -> Ready<Result<Response, Infallible>> {
        panic!("a bug")
    }

    #[tokio::test]
    async fn a_panic_in_the_future_or_in_the_call_is_a_500() {
        let later = CatchPanic::layer().layer(service_fn(|()| panics()));
        let at_once = CatchPanic::layer().layer(service_fn(panics_at_once));
        assert_eq!(later.oneshot(()).await.unwrap().status(), 500);
        assert_eq!(at_once.oneshot(()).await.unwrap().status(), 500);
    }

    #[test]
    fn a_caught_panic_polled_again_is_pending() {
        let mut future =
            tokio_test::task::spawn(CatchPanic::layer().layer(service_fn(|()| panics())).call(()));
        assert_pending!(future.poll());
        assert_ready_ok!(future.poll());
        assert_pending!(future.poll());
    }

    #[tokio::test]
    async fn catch_panic_calls_only_a_service_that_is_ready() {
        use tollgate_layers::testing::Strict;

        use crate::body::Body;

        let inner = service_fn(|()| async {
            Ok::<_, Infallible>(Response::new(http::Response::new(Body::full("fine"))))
        });
        let mut service = CatchPanic::layer().layer(Strict::new(inner));
        assert_eq!(service.ready().await.unwrap().call(()).await.unwrap().status(), 200);
    }
}
