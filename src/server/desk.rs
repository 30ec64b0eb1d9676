//! Where a connection's requests meet the service: [`Desk`].

use std::{
    cell::RefCell,
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use http::{Request, Response};
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use tower::{Service, ServiceExt, util::Oneshot};

use super::outbox::{Outbox, Paced};

/// hyper calls a service by a shared reference, so the usual bridge clones it for each request. This connection's own one
/// is called where it is: a gateway keeps in it what it would otherwise look up and copy each time.
pub(super) struct Desk<S> {
    // Borrowed within `call` alone.
    service: RefCell<S>,
    outbox: Outbox,
}

impl<S> Desk<S> {
    pub(super) const fn new(service: S, outbox: Outbox) -> Self {
        Self { service: RefCell::new(service), outbox }
    }
}

impl<S, B> hyper::service::Service<Request<Incoming>> for Desk<S>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone,
{
    type Response = Response<Paced<B>>;
    type Error = Infallible;
    type Future = Answer<S>;

    fn call(&self, request: Request<Incoming>) -> Answer<S> {
        let mut service = self.service.borrow_mut();
        let answering = match service.poll_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => Answering::AtOnce { inner: service.call(request) },
            // A gateway never is; an edge of another make may be full.
            Poll::Pending => Answering::Later { inner: service.clone().oneshot(request) },
        };
        Answer { answering, outbox: Some(self.outbox.clone()) }
    }
}

pin_project! {
    /// The answer of a [`Desk`].
    pub(super) struct Answer<S>
    where
        S: Service<Request<Incoming>>,
    {
        #[pin]
        answering: Answering<S>,
        outbox: Option<Outbox>,
    }
}

pin_project! {
    #[project = AnsweringProj]
    enum Answering<S>
    where
        S: Service<Request<Incoming>>,
    {
        AtOnce { #[pin] inner: S::Future },
        Later { #[pin] inner: Oneshot<S, Request<Incoming>> },
    }
}

impl<S, B> Future for Answer<S>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
{
    type Output = Result<Response<Paced<B>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = match this.answering.project() {
            AnsweringProj::AtOnce { inner } => ready!(inner.poll(cx)),
            AnsweringProj::Later { inner } => ready!(inner.poll(cx)),
        };
        let Ok(answer) = answer;
        // Polled again after it was ready, which the contract of a future leaves open, it stays pending.
        this.outbox.take().map_or(Poll::Pending, |outbox| Poll::Ready(Ok(outbox.paced(answer))))
    }
}

#[cfg(test)]
mod tests {
    use std::future::{Ready, ready};

    use bytes::Bytes;
    use http_body_util::Empty;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;
    use crate::server::{House, connection};

    /// Is ready when it is asked again, and called only then.
    #[derive(Clone, Copy)]
    struct Slow {
        asked: bool,
    }

    impl Service<Request<Incoming>> for Slow {
        type Response = Response<Empty<Bytes>>;
        type Error = Infallible;
        type Future = Ready<Result<Self::Response, Infallible>>;

        fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            if std::mem::replace(&mut self.asked, true) {
                return Poll::Ready(Ok(()));
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        }

        fn call(&mut self, _: Request<Incoming>) -> Self::Future {
            assert!(std::mem::take(&mut self.asked));
            ready(Ok(Response::new(Empty::new())))
        }
    }

    #[tokio::test]
    async fn an_edge_that_is_not_ready_is_waited_for() {
        for asked in [false, true] {
            let (mut client, server) = duplex(1024);
            let serving = tokio::spawn(connection(server, Slow { asked }, House::default()));
            let requests = ["GET / HTTP/1.1\r\nhost: x\r\n\r\n", "GET / HTTP/1.0\r\nhost: x\r\n\r\n"];
            client.write_all(requests.concat().as_bytes()).await.unwrap();
            let mut answers = String::new();
            client.read_to_string(&mut answers).await.unwrap();
            assert_eq!(answers.matches(" 200 OK").count(), 2, "{answers}");
            drop(client);
            serving.await.unwrap().unwrap();
        }
    }
}
