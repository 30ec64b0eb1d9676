//! Kept connections that the server has closed, or on which it sent bytes that no request asked for.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::mpsc,
    thread,
};

use http_body_util::BodyExt;
use socket2::SockRef;

use super::{KEPT, call};
use crate::{
    deployment::upstream::{Client, Upstream, UpstreamCall},
    error::TransportError,
};

fn response(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// Reads a whole request.
fn read_request(socket: &mut TcpStream) {
    let mut received = Vec::new();
    while !received.ends_with(b"\r\n\r\n{}") {
        let mut chunk = [0; 1024];
        let count = socket.read(&mut chunk).unwrap();
        assert_ne!(count, 0, "the request is not complete");
        received.extend_from_slice(&chunk[..count]);
    }
}

/// A server with blocking sockets, so that nothing happens between a write of its own and the next call.
struct Server {
    listener: TcpListener,
    upstream: std::sync::Arc<dyn Upstream>,
    base: http::Uri,
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        Self { upstream: Client::new(Default::default()).unwrap().http1(&base, None, KEPT), listener, base }
    }

    /// Makes a call, and reads its whole response.
    async fn call(&self) -> Result<String, TransportError> {
        let response = self.upstream.call(call(&self.base)).await?;
        let bytes = response.into_body().collect().await.expect("a whole body").to_bytes();
        Ok(String::from_utf8(bytes.into()).unwrap())
    }

    /// Makes a call that `serve` answers on a new connection.
    async fn serve_next(&self, body: &'static str) -> TcpStream {
        let listener = self.listener.try_clone().unwrap();
        let server = thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            read_request(&mut socket);
            socket.write_all(response(body).as_bytes()).unwrap();
            socket
        });
        assert_eq!(self.call().await.unwrap(), body);
        server.join().unwrap()
    }
}

#[tokio::test]
async fn a_kept_connection_with_unread_bytes_is_not_used_again() {
    let other = response("of another client");
    for unread in [other.as_str(), "H", "\r\n", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 408 \r\n\r\n"] {
        let server = Server::start();
        let mut first = server.serve_next("first").await;
        first.write_all(unread.as_bytes()).unwrap();
        server.serve_next("second").await;
    }
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_is_not_used_again() {
    for how in [Shutdown::Write, Shutdown::Both] {
        let server = Server::start();
        let first = server.serve_next("first").await;
        first.shutdown(how).unwrap();
        server.serve_next("second").await;
    }
    let server = Server::start();
    let first = server.serve_next("first").await;
    SockRef::from(&first).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    drop(first);
    server.serve_next("second").await;
}

#[tokio::test]
async fn a_kept_connection_without_unread_bytes_is_used_again() {
    let server = Server::start();
    let mut first = server.serve_next("first").await;
    let again = thread::spawn(move || {
        read_request(&mut first);
        first.write_all(response("again").as_bytes()).unwrap();
    });
    assert_eq!(server.call().await.unwrap(), "again");
    again.join().unwrap();
}

/// The error of a call on a kept connection that breaks as `breaks` says, and of one on a connection that is new.
async fn errors_of(breaks: fn(TcpStream)) -> [TransportError; 2] {
    let kept = Server::start();
    let first = kept.serve_next("first").await;
    let (taken, take) = mpsc::channel();
    taken.send(first).unwrap();
    let serve = thread::spawn(move || breaks(take.recv().unwrap()));
    let on_kept = kept.call().await.unwrap_err();
    serve.join().unwrap();

    let new = Server::start();
    let listener = new.listener.try_clone().unwrap();
    let serve = thread::spawn(move || breaks(listener.accept().unwrap().0));
    let on_new = new.call().await.unwrap_err();
    serve.join().unwrap();
    [on_kept, on_new]
}

#[tokio::test]
async fn a_kept_connection_that_breaks_before_a_response_is_stale_and_a_new_one_is_not() {
    let fin = |mut socket: TcpStream| read_request(&mut socket);
    let reset_at_the_first_byte = |mut socket: TcpStream| {
        assert_eq!(socket.read(&mut [0]).unwrap(), 1);
        SockRef::from(&socket).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    };
    let fin_with_unread_bytes = |mut socket: TcpStream| assert_eq!(socket.read(&mut [0]).unwrap(), 1);
    for breaks in [fin, reset_at_the_first_byte, fin_with_unread_bytes] {
        let [on_kept, on_new] = errors_of(breaks).await;
        assert!(on_kept.stale && on_kept.sent, "{on_kept:?}");
        assert!(!on_new.stale, "{on_new:?}");
    }
}

#[tokio::test]
async fn a_kept_connection_that_breaks_within_a_response_head_is_not_stale() {
    let part = |mut socket: TcpStream| {
        read_request(&mut socket);
        socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-le").unwrap();
    };
    let not_http = |mut socket: TcpStream| {
        read_request(&mut socket);
        socket.write_all(b"SSH-2.0\r\n\r\n").unwrap();
    };
    for breaks in [part, not_http] {
        let [on_kept, _] = errors_of(breaks).await;
        assert!(!on_kept.stale, "{on_kept:?}");
    }
}

#[tokio::test]
async fn a_fresh_call_uses_no_kept_connection() {
    let server = Server::start();
    let _kept = server.serve_next("first").await;
    let listener = server.listener.try_clone().unwrap();
    let serve = thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        read_request(&mut socket);
        socket.write_all(response("fresh").as_bytes()).unwrap();
    });
    let fresh = UpstreamCall { fresh: true, ..call(&server.base) };
    assert!(server.upstream.call(fresh).await.is_ok());
    serve.join().unwrap();
}

#[tokio::test]
async fn a_response_head_may_have_60_kb_and_250_headers() {
    let long = format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-long: {}\r\n\r\nok", "x".repeat(60_000));
    let headers: String = (0..250).map(|n| format!("x-{n}: {n}\r\n")).collect();
    let many = format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n{headers}\r\nok");
    let cookies = "set-cookie: a=b; path=/; secure; httponly; samesite=none\r\n".repeat(200);
    let cookies = format!("HTTP/1.1 200 OK\r\n{cookies}content-length: 2\r\n\r\nok");
    for head in [long, many, cookies] {
        let server = Server::start();
        let listener = server.listener.try_clone().unwrap();
        let serve = thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            read_request(&mut socket);
            socket.write_all(head.as_bytes()).unwrap();
        });
        assert_eq!(server.call().await.unwrap(), "ok");
        serve.join().unwrap();
    }
}
