//! A service that is not ready when a request comes.

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
