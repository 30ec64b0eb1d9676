//! How a connection ends, and the server.

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

use super::soon;
use crate::{
    front::paths::Draining,
    server::{
        Crowd, House, Listener, connection,
        line::{LINGER, Line},
        outbox::Outbox,
        serve,
    },
};

async fn refuse(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let answer = Response::builder().status(413);
    Ok(answer.body(Full::from("too long")).unwrap())
}

/// A client's end of a connection where every request is refused, and none read.
fn refusing(house: House) -> (DuplexStream, JoinHandle<bool>) {
    let (client, server) = duplex(1024);
    let connection = connection(server, service_fn(refuse), house);
    (client, tokio::spawn(async move { connection.await.is_ok() }))
}

const BODY: usize = 1_000_000;

async fn post(client: &mut DuplexStream) {
    let head = format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {BODY}\r\n\r\n");
    client.write_all(head.as_bytes()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_refused_client_that_is_still_sending_gets_its_answer() {
    let (mut client, serving) = refusing(House::default());
    post(&mut client).await;
    client.write_all(&vec![b'x'; BODY]).await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413") && answer.ends_with("too long"), "{answer}");
    drop(client);
    assert!(soon("the end of the connection", serving).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_refused_client_that_does_not_hang_up_is_let_go_after_a_moment() {
    let (mut client, serving) = refusing(House::default());
    let since = Instant::now();
    post(&mut client).await;
    assert!(soon("the end of the connection", serving).await.unwrap());
    assert!(
        (LINGER..LINGER + Duration::from_millis(100)).contains(&since.elapsed()),
        "{:?}",
        since.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_refused_client_that_sends_without_end_is_let_go_after_a_moment_too() {
    let (mut client, server) = duplex(4 * BODY);
    client.write_all(&vec![b'x'; 4 * BODY]).await.unwrap();
    let mut line = Line::new(server, Outbox::new(Crowd::default()), Draining::default());
    let mut end = spawn(poll_fn(|cx| Pin::new(&mut line).poll_shutdown(cx)));
    assert!(end.poll().is_pending(), "more is there than may be taken at once");
    advance(LINGER).await;
    assert!(end.poll().is_ready());
}

#[tokio::test(start_paused = true)]
async fn when_the_server_goes_nobody_is_waited_for() {
    let house = House::default();
    house.draining.begin();
    let (mut client, serving) = refusing(house);
    let since = Instant::now();
    post(&mut client).await;
    assert!(soon("the end of the connection", serving).await.unwrap());
    assert_eq!(since.elapsed(), Duration::ZERO);
}

/// A client's first answer.
async fn answered(server: SocketAddr) -> String {
    let mut socket = TcpStream::connect(server).await.unwrap();
    socket.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = [0; 1024];
    let count = socket.read(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[..count]).into_owned()
}

#[tokio::test]
async fn a_server_that_is_to_go_says_so_and_lets_clients_in_until_all_have_heard() {
    const NOTICE: Duration = Duration::from_secs(3);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let draining = Draining::default();
    let says = draining.clone();
    let edge = service_fn(move |_: Request<Incoming>| {
        let said = if says.has_begun() { "going" } else { "well" };
        ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(said))))
    });
    let (go, gone) = oneshot::channel();
    let serving = tokio::spawn(serve(Listener::new(listener, 10), edge, draining, gone.map(|_| NOTICE)));
    assert!(answered(at).await.ends_with("well"));
    pause();
    go.send(()).unwrap();
    sleep(NOTICE / 2).await;
    assert!(answered(at).await.ends_with("going"));
    sleep(NOTICE / 2).await;
    assert!(soon("its end", serving).await.unwrap());
    assert!(TcpStream::connect(at).await.is_err());
}
