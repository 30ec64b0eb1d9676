//! Tests of the lingering close of a connection and of the graceful shutdown of the server.

use std::{
    convert::Infallible,
    future::{poll_fn, ready},
    net::SocketAddr,
    pin::Pin,
    time::Duration,
};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{body::Incoming, rt::Write};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, advance, pause, sleep},
};
use tokio_test::task::spawn;
use tower::service_fn;

use super::{context, soon};
use crate::{
    front::paths::Draining,
    server::{
        AtCapacity, ConnectionContext, Listener,
        client_io::{ClientIo, LINGER_TIMEOUT},
        serve,
        waiting::Connections,
        write_window::WriteWindow,
    },
};

async fn refuse(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let response = Response::builder().status(413);
    Ok(response.body(Full::from("too long")).unwrap())
}

/// The client's end of a connection on which every request is refused before its body is read.
fn refusing(context: ConnectionContext) -> (DuplexStream, JoinHandle<bool>) {
    let (client, server) = duplex(1024);
    let connection = context.connection(server, service_fn(refuse));
    (client, tokio::spawn(async move { connection.await.is_ok() }))
}

const BODY: usize = 1_000_000;

async fn post(client: &mut DuplexStream) {
    let head = format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {BODY}\r\n\r\n");
    client.write_all(head.as_bytes()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_refused_client_that_is_still_sending_gets_its_response() {
    let (mut client, serving) = refusing(context());
    post(&mut client).await;
    client.write_all(&vec![b'x'; BODY]).await.unwrap();
    let mut response = String::new();
    client.read_to_string(&mut response).await.unwrap();
    assert!(response.starts_with("HTTP/1.1 413") && response.ends_with("too long"), "{response}");
    drop(client);
    assert!(soon("the end of the connection", serving).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_refused_client_that_stays_connected_is_disconnected_after_the_linger_timeout() {
    let (mut client, serving) = refusing(context());
    let since = Instant::now();
    post(&mut client).await;
    assert!(soon("the end of the connection", serving).await.unwrap());
    assert!(
        (LINGER_TIMEOUT..LINGER_TIMEOUT + Duration::from_millis(100)).contains(&since.elapsed()),
        "{:?}",
        since.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_refused_client_that_sends_without_end_is_disconnected_after_the_linger_timeout() {
    let (mut client, server) = duplex(4 * BODY);
    client.write_all(&vec![b'x'; 4 * BODY]).await.unwrap();
    let window = WriteWindow::new(AtCapacity::default(), Connections::default().add());
    let mut io = ClientIo::new(server, window, Draining::default());
    let mut end = spawn(poll_fn(|cx| Pin::new(&mut io).poll_shutdown(cx)));
    assert!(end.poll().is_pending(), "more is there than one poll may read");
    advance(LINGER_TIMEOUT).await;
    assert!(end.poll().is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_connection_does_not_linger_during_a_shutdown() {
    let context = context();
    context.draining.begin();
    let (mut client, serving) = refusing(context);
    let since = Instant::now();
    post(&mut client).await;
    assert!(soon("the end of the connection", serving).await.unwrap());
    assert_eq!(since.elapsed(), Duration::ZERO);
}

/// The response to the first request of a new connection.
async fn first_response(server: SocketAddr) -> String {
    let mut socket = TcpStream::connect(server).await.unwrap();
    socket.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut response = [0; 1024];
    let count = socket.read(&mut response).await.unwrap();
    String::from_utf8_lossy(&response[..count]).into_owned()
}

#[tokio::test]
async fn a_shutdown_accepts_clients_for_the_deregistration_delay_while_readiness_fails() {
    const DELAY: Duration = Duration::from_secs(3);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let draining = Draining::default();
    let seen = draining.clone();
    let service = service_fn(move |_: Request<Incoming>| {
        let state = if seen.has_begun() { "draining" } else { "serving" };
        ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(state))))
    });
    let (shutdown, signalled) = oneshot::channel();
    let serving =
        tokio::spawn(serve(Listener::new(listener, 10), service, draining, signalled.map(|_| DELAY)));
    assert!(first_response(address).await.ends_with("serving"));
    pause();
    shutdown.send(()).unwrap();
    sleep(DELAY / 2).await;
    assert!(first_response(address).await.ends_with("draining"));
    sleep(DELAY / 2).await;
    assert!(soon("the end of the server", serving).await.unwrap());
    assert!(TcpStream::connect(address).await.is_err());
}
