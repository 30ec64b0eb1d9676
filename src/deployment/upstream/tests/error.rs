//! Tests of the messages of connection errors, and of the errors that count as evidence against the upstream.

use std::{error::Error, fmt, io, io::ErrorKind};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::{KEPT, call};
use crate::{
    deployment::upstream::{Client, error::connect_error},
    error::{self, HasOutcome, TransportError},
};

/// The wrapper that hyper-util puts around a failed dial.
#[derive(Debug)]
struct OpenError(io::Error);

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tcp open error")
    }
}

impl Error for OpenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

fn is_evidence(error: TransportError) -> bool {
    error::Error::Transport(error).outcome().is_evidence()
}

#[test]
fn a_local_resource_error_is_not_evidence_against_the_upstream() {
    let exhausted = [
        (io::Error::from_raw_os_error(24), "open files"),
        (io::Error::from_raw_os_error(23), "open files"),
        (ErrorKind::AddrNotAvailable.into(), "local ports"),
        (ErrorKind::OutOfMemory.into(), "memory"),
    ];
    for (error, what) in exhausted {
        let error = connect_error(&OpenError(error));
        assert!(error.what.contains(what), "{}", error.what);
        assert!(!is_evidence(error));
    }
    assert!(is_evidence(connect_error(&OpenError(ErrorKind::ConnectionRefused.into()))));
}

#[test]
fn a_connect_timeout_of_the_kernel_has_the_message_of_the_connect_timeout() {
    let error = connect_error(&OpenError(ErrorKind::TimedOut.into()));
    assert!(error.timed_out && error.what.contains("connect timeout"), "{}", error.what);
}

/// The error of a call to a server that sends this response.
async fn error_of(response: String) -> TransportError {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let server = async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        assert_ne!(socket.read(&mut [0; 4096]).await.unwrap(), 0);
        // The client may close the connection during the write.
        let _written = socket.write_all(response.as_bytes()).await;
        socket
    };
    let client = Client::new(Default::default()).unwrap();
    let (result, _socket) = tokio::join!(client.http1(&base, None, KEPT).call(call(&base)), server);
    result.unwrap_err()
}

#[tokio::test]
async fn an_invalid_response_has_another_message_than_a_broken_connection() {
    let long = format!("HTTP/1.1 200 OK\r\ncontent-security-policy: {}\r\n\r\n", "x".repeat(200_000));
    for (response, what) in [
        (long, "the head of its response is too long"),
        ("SSH-2.0-OpenSSH_9.2\r\n".to_owned(), "is not HTTP"),
    ] {
        let error = error_of(response).await;
        assert!(error.what.contains(what), "{}", error.what);
        assert!(is_evidence(error));
    }
}
