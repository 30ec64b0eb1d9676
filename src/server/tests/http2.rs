//! Tests of HTTP/2: idle connections, slow clients, and a server at its capacity.

use std::{convert::Infallible, future::ready, time::Duration};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::{
    body::Incoming,
    client::conn::http2::{Builder, SendRequest},
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::duplex,
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep},
};
use tollgate_test_support::Script;
use tower::service_fn;

use super::{KEEPALIVE_TIMEOUT, context, soon};
use crate::server::{ConnectionContext, SEND_TIMEOUT};

/// The window of a client, in bytes.
const WINDOW: u32 = 65_535;

/// A client, and the connection that serves it with this body.
struct Served {
    client: SendRequest<Empty<Bytes>>,
    serving: JoinHandle<()>,
    closing: watch::Sender<bool>,
}

async fn served(context: ConnectionContext, body: Script) -> Served {
    let (client, server) = duplex(1 << 20);
    let service = service_fn(move |_: Request<Incoming>| {
        ready(Ok::<_, Infallible>(Response::new(body.clone().into_body())))
    });
    let (closing, closes) = watch::channel(false);
    // A client that closes first breaks the connection, which is not an error of the server.
    let serving = tokio::spawn(context.serve_http2(server, service, closes).map(drop));
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW);
    let (client, connection) = builder.handshake(TokioIo::new(client)).await.unwrap();
    tokio::spawn(connection);
    Served { client, serving, closing }
}

impl Served {
    async fn get(&mut self) -> Response<Incoming> {
        let request = Request::get("https://localhost/").body(Empty::new()).unwrap();
        let response = self.client.send_request(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        response
    }

    /// Returns the time until the connection has ended.
    async fn end(self) -> Duration {
        let since = Instant::now();
        soon("the end of the connection", self.serving).await.unwrap();
        since.elapsed()
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_http_2_connection_is_closed_after_the_keepalive_timeout() {
    let mut served = served(context(), Script::frames(3, 1000)).await;
    sleep(KEEPALIVE_TIMEOUT / 2).await;
    assert_eq!(served.get().await.collect().await.unwrap().to_bytes().len(), 3000);
    let ended = served.end().await;
    assert!((KEEPALIVE_TIMEOUT..KEEPALIVE_TIMEOUT + Duration::from_secs(1)).contains(&ended), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn an_http_2_client_that_accepts_nothing_is_disconnected() {
    let mut served = served(context(), Script::frames(1000, 1000)).await;
    let response = served.get().await;
    let ended = served.end().await;
    assert!((SEND_TIMEOUT..SEND_TIMEOUT + Duration::from_secs(10)).contains(&ended), "{ended:?}");
    assert!(response.collect().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn an_http_2_connection_ends_after_its_requests_when_the_server_closes() {
    let frames = std::iter::repeat_n(Bytes::from_static(b"event"), 100);
    let mut served = served(context(), Script::paced(Duration::from_secs(1), frames)).await;
    let response = served.get().await;
    served.closing.send_replace(true);
    assert_eq!(response.collect().await.unwrap().to_bytes().len(), 500);
    assert!(served.end().await < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn an_http_2_connection_gives_way_to_a_client_that_waits() {
    let context = context();
    context.at_capacity.set(true);
    let served = served(context, Script::default()).await;
    assert!(served.end().await < KEEPALIVE_TIMEOUT);
}
