//! Tests of a service that is not ready when a request arrives: the connection waits for `poll_ready`.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Empty;
use hyper::body::Incoming;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tower::Service;

use super::context;

/// A service that is pending at the first poll, and must be ready before each call.
#[derive(Clone, Copy)]
struct Slow {
    polled: bool,
}

impl Service<Request<Incoming>> for Slow {
    type Response = Response<Empty<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        if std::mem::replace(&mut self.polled, true) {
            return Poll::Ready(Ok(()));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn call(&mut self, _: Request<Incoming>) -> Self::Future {
        assert!(std::mem::take(&mut self.polled));
        ready(Ok(Response::new(Empty::new())))
    }
}

#[tokio::test]
async fn a_service_that_is_not_ready_is_polled_again_before_the_call() {
    for polled in [false, true] {
        let (mut client, server) = duplex(1024);
        let serving = tokio::spawn(context().connection(server, Slow { polled }));
        let requests = ["GET / HTTP/1.1\r\nhost: x\r\n\r\n", "GET / HTTP/1.0\r\nhost: x\r\n\r\n"];
        client.write_all(requests.concat().as_bytes()).await.unwrap();
        let mut responses = String::new();
        client.read_to_string(&mut responses).await.unwrap();
        assert_eq!(responses.matches(" 200 OK").count(), 2, "{responses}");
        drop(client);
        serving.await.unwrap().unwrap();
    }
}
