//! Tests of the pool: the connections that are reused, and those that are closed.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::future::ready;
use http::Request;
use http_body::Body as _;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::server::{Pipe, Sent, Server};
use crate::deployment::pool::{Pool, SendError};

#[tokio::test]
async fn a_connection_is_reused_for_sequential_requests() {
    let server = Server::new();
    for path in ["/ok", "/chunks", "/empty", "/ok"] {
        server.send_and_read(path).await;
    }
    assert_eq!(server.opened(), 1);
}

#[tokio::test]
async fn a_connection_is_reused_after_the_last_frame_without_a_poll_for_the_end() {
    let server = Server::new();
    for _ in 0..3 {
        let mut body = server.send("/ok").await.expect("a response").into_body();
        let frame = body.frame().await.expect("a frame").expect("no error");
        assert_eq!(frame.into_data().expect("data"), "ok");
        assert!(body.is_end_stream());
    }
    assert_eq!(server.opened(), 1);
}

#[tokio::test]
async fn concurrent_requests_use_two_connections_and_both_are_reused() {
    let server = Server::new();
    let (one, two) = tokio::join!(server.send("/ok"), server.send("/ok"));
    for response in [one, two] {
        response.expect("a response").into_body().collect().await.expect("a body");
    }
    let (one, two) = tokio::join!(server.send("/ok"), server.send("/ok"));
    assert!(one.is_ok() && two.is_ok());
    assert_eq!(server.opened(), 2);
}

#[tokio::test]
async fn a_body_that_is_dropped_before_its_end_closes_its_connection() {
    let server = Server::new();
    let mut body = server.send("/never").await.expect("a response").into_body();
    assert!(body.frame().await.is_some_and(|frame| frame.is_ok()));
    drop(body);
    server.closed(1).await;
    assert_eq!(server.send_and_read("/ok").await, "ok");
    assert_eq!(server.opened(), 2);
}

#[tokio::test]
async fn a_request_cancelled_before_the_head_closes_its_connection() {
    let server = Server::new();
    let result = tokio::time::timeout(Duration::from_millis(10), server.send("/silent"));
    assert!(result.await.is_err());
    server.closed(1).await;
}

#[tokio::test]
async fn a_connection_with_connection_close_is_not_reused() {
    let server = Server::new();
    assert_eq!(server.send_and_read("/last").await, "ok");
    server.closed(1).await;
    assert_eq!(server.send_and_read("/ok").await, "ok");
    assert_eq!(server.opened(), 2);
}

#[tokio::test]
async fn a_response_before_the_end_of_the_request_closes_the_connection() {
    let server = Server::new();
    // Longer than the pipe: a part is not sent yet when the response arrives.
    let response = server.post("/early", vec![b'x'; 1 << 20]).await.expect("a response");
    assert_eq!(response.into_body().collect().await.expect("a body").to_bytes(), "ok");
    server.closed(1).await;
    assert_eq!(server.send_and_read("/ok").await, "ok");
    assert_eq!(server.opened(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_after_the_idle_timeout() {
    let server = Server::new();
    let (one, two) = tokio::join!(server.send("/ok"), server.send("/ok"));
    let (one, two) = (one.expect("a response"), two.expect("a response"));
    one.into_body().collect().await.expect("a body");
    tokio::time::sleep(Duration::from_secs(30)).await;
    two.into_body().collect().await.expect("a body");
    tokio::time::sleep(Duration::from_secs(19)).await;
    assert_eq!(server.closed_now(), 0);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(server.closed_now(), 1, "the first, after 50 s");
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(server.closed_now(), 2, "and the second");
    assert_eq!(server.send_and_read("/ok").await, "ok");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(server.closed_now(), 3, "and a later one");
}

#[tokio::test]
async fn an_expired_connection_that_is_not_closed_yet_is_not_reused() {
    let server = Server::with_idle_timeout(Duration::ZERO);
    for path in ["/ok", "/ok"] {
        server.send_and_read(path).await;
    }
    assert_eq!(server.opened(), 2);
}

#[tokio::test]
async fn a_request_on_a_closed_connection_uses_another() {
    let server = Server::new();
    assert_eq!(server.send_and_read("/ok").await, "ok");
    server.close_idle();
    server.closed(1).await;
    assert_eq!(server.send_and_read("/ok").await, "ok");
    assert_eq!(server.opened(), 2);
}

fn hello() -> Request<Sent> {
    Request::post("/").header("host", "server").body(Full::from("hello")).expect("a request")
}

/// Reads a request and sends a response without a body.
async fn respond_empty(theirs: &mut DuplexStream) {
    let _read = theirs.read(&mut [0; 1024]).await;
    theirs.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.expect("written");
}

/// A pool that can dial once, and the server's end of the connection.
fn pipe() -> (Arc<Pool<Pipe, Sent>>, DuplexStream) {
    let (ours, theirs) = tokio::io::duplex(1024);
    let ours = Mutex::new(Some(TokioIo::new(ours)));
    let dial = move || ready(ours.lock().expect("no panic").take().ok_or_else(|| "there is one".into()));
    (Arc::new(Pool::new(Duration::from_secs(50), dial)), theirs)
}

#[tokio::test]
async fn a_connection_that_breaks_before_the_head_is_an_error_without_another_attempt() {
    let (pool, mut theirs) = pipe();
    let result = pool.send(hello(), false);
    let close = async {
        let read = theirs.read(&mut [0; 1024]).await;
        drop(theirs);
        read
    };
    let (result, read) = tokio::join!(result, close);
    assert!(matches!(result, Err(SendError::Broken(_))), "{result:?}");
    assert!(read.is_ok_and(|count| count > 0), "the server may have received it");
}

#[tokio::test]
async fn a_reused_connection_that_breaks_before_the_head_is_a_stale_connection() {
    let (pool, mut theirs) = pipe();
    let first = Arc::clone(&pool).send(hello(), false);
    let (first, ()) = tokio::join!(first, respond_empty(&mut theirs));
    drop(first.expect("a response"));
    let second = pool.send(hello(), false);
    let close = async {
        let _read = theirs.read(&mut [0; 1024]).await;
        drop(theirs);
    };
    let (second, ()) = tokio::join!(second, close);
    assert!(matches!(second, Err(SendError::StaleConnection(_))), "{second:?}");
}

/// Completes within ten seconds: a request on a connection that has ended must not wait for it.
async fn soon<T>(sent: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), sent).await.expect("the request has not hung")
}

#[tokio::test]
async fn a_request_whose_kept_connection_closes_before_it_is_sent_uses_another() {
    let server = Server::new();
    assert_eq!(server.send_and_read("/ok").await, "ok");
    let request = Request::post("/ok").header("host", "server").body(Full::from("hello")).expect("a request");
    // The connection is taken now, and closes before the request is polled.
    let sent = Arc::clone(&server.pool).send(request, false);
    server.close_idle();
    server.closed(1).await;
    assert!(soon(sent).await.is_ok());
    assert_eq!(server.opened(), 2);
}

#[tokio::test]
async fn a_new_connection_that_closes_before_the_request_is_sent_is_a_connect_error() {
    let (pool, theirs) = pipe();
    drop(theirs);
    let result = soon(pool.send(hello(), false)).await;
    assert!(matches!(result, Err(SendError::Connect(_))), "{result:?}");
}

#[tokio::test]
async fn a_connection_that_ends_with_its_response_is_not_reused() {
    let (pool, mut theirs) = pipe();
    let response = async {
        respond_empty(&mut theirs).await;
        drop(theirs);
    };
    let (first, ()) = tokio::join!(Arc::clone(&pool).send(hello(), false), response);
    drop(first.expect("a response"));
    let second = pool.send(hello(), false).await;
    assert!(matches!(second, Err(SendError::Connect(_))), "{second:?}");
}

#[tokio::test]
async fn a_failed_dial_is_a_connect_error() {
    let pool = Pool::<Pipe, Sent>::new(Duration::from_secs(50), || ready(Err("no server".into())));
    let request = Request::post("/").body(Full::default()).expect("a request");
    let result = Arc::new(pool).send(request, false).await;
    assert!(
        matches!(&result, Err(SendError::Connect(error)) if error.to_string() == "no server"),
        "{result:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_concurrent_requests_with_cancellations_leave_no_connection_open() {
    let server = Arc::new(Server::new());
    let tasks = (0..64).map(|n| {
        let server = Arc::clone(&server);
        tokio::spawn(async move {
            for round in 0..30 {
                match (n + round) % 5 {
                    0 => drop(server.send("/never").await.expect("a response")),
                    1 => assert_eq!(server.send_and_read("/ok").await, "ok"),
                    2 => assert_eq!(server.send_and_read("/last").await, "ok"),
                    3 => assert_eq!(server.send_and_read("/empty").await, ""),
                    _ => assert_eq!(server.send_and_read("/chunks").await, "chunk ".repeat(100)),
                }
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("no panic");
    }
    let opened = server.opened();
    assert!(opened >= 64 * 30 * 2 / 5, "each /never and /last ends one: {opened}");
    let server = Arc::into_inner(server).expect("all are done");
    server.ends_with(opened).await;
}
