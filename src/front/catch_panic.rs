//! A panic is an answer: [`CatchPanic`].
//!
//! tower-http's `catch_panic` does the same and boxes the body of every answer for it; here the answer of a panic has the
//! one body type, like all others, and what goes well costs nothing. It stands inside the request's id and the
//! counters, so that a panic's 500 can be asked about and is counted, and outside all that could panic.
//!
//! Hazards: a panic while a *body* is polled is not caught: its connection ends, and the guards run. What the panicking
//! code held half changed stays so; every lock here is taken over from whoever panicked.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::handle_error;
use crate::request::Response;

/// The layer of [`CatchPanic`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CatchPanicLayer;

impl<S> Layer<S> for CatchPanicLayer {
    type Service = CatchPanic<S>;

    fn layer(&self, inner: S) -> CatchPanic<S> {
        CatchPanic { inner }
    }
}

/// See the [module](self).
#[derive(Clone, Debug)]
pub(crate) struct CatchPanic<S> {
    inner: S,
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

impl<F, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response, E>>,
{
    type Output = Result<Response, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some(inner) = this.inner.as_mut().as_pin_mut() else {
            // Polled again after it was ready, which the contract of a future leaves open, or the call itself panicked.
            return if std::mem::take(this.panicked) {
                Poll::Ready(Ok(handle_error::panicked()))
            } else {
                Poll::Pending
            };
        };
        Poll::Ready(match catch_unwind(AssertUnwindSafe(|| inner.poll(cx))) {
            Ok(result) => ready!(result),
            Err(_) => {
                // What it held is given back before the client hears of it.
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

    async fn dies() -> Result<Response, Infallible> {
        tokio::task::yield_now().await;
        panic!("a bug")
    }

    fn dies_at_once(_: ()) -> Ready<Result<Response, Infallible>> {
        panic!("a bug")
    }

    #[tokio::test]
    async fn a_panic_in_the_future_or_in_the_call_is_a_500() {
        let later = CatchPanicLayer.layer(service_fn(|()| dies()));
        let at_once = CatchPanicLayer.layer(service_fn(dies_at_once));
        assert_eq!(later.oneshot(()).await.unwrap().status(), 500);
        assert_eq!(at_once.oneshot(()).await.unwrap().status(), 500);
    }

    #[test]
    fn polled_again_it_is_as_good_as_any_other() {
        let mut future = tokio_test::task::spawn(CatchPanicLayer.layer(service_fn(|()| dies())).call(()));
        assert_pending!(future.poll());
        assert_ready_ok!(future.poll());
        assert_pending!(future.poll());
    }

    #[tokio::test]
    async fn it_is_as_strict_about_readiness_as_what_it_wraps() {
        use tollgate_layers::testing::Strict;

        use crate::body::Body;

        let inner = service_fn(|()| async {
            Ok::<_, Infallible>(Response::new(http::Response::new(Body::full("fine"))))
        });
        let mut service = CatchPanicLayer.layer(Strict::new(inner));
        assert_eq!(service.ready().await.unwrap().call(()).await.unwrap().status(), 200);
    }
}
