//! What is response of an error, and whether it is evidence against the upstream.

use std::{error::Error, fmt, io, io::ErrorKind};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::call;
use crate::{
    deployment::upstream::{Client, error::connect_error},
    error::{self, HasOutcome, TransportError},
};

/// As hyper-util wraps what a dial fails with.
#[derive(Debug)]
struct Opening(io::Error);

impl fmt::Display for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tcp open error")
    }
}

impl Error for Opening {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

fn is_evidence(error: TransportError) -> bool {
    error::Error::Transport(error).outcome().is_evidence()
}

#[test]
fn what_this_machine_is_short_of_is_no_evidence_against_the_upstream() {
    let short = [
        (io::Error::from_raw_os_error(24), "open files"),
        (io::Error::from_raw_os_error(23), "open files"),
        (ErrorKind::AddrNotAvailable.into(), "local ports"),
        (ErrorKind::OutOfMemory.into(), "memory"),
    ];
    for (error, what) in short {
        let error = connect_error(&Opening(error));
        assert!(error.what.contains(what), "{}", error.what);
        assert!(!is_evidence(error));
    }
    assert!(is_evidence(connect_error(&Opening(ErrorKind::ConnectionRefused.into()))));
}

#[test]
fn a_clock_that_strikes_in_the_kernel_is_the_connect_clock_too() {
    let error = connect_error(&Opening(ErrorKind::TimedOut.into()));
    assert!(error.timed_out && error.what.contains("connect clock"), "{}", error.what);
}

/// What a call makes of a server that says this.
async fn error_of(response: String) -> TransportError {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let server = async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        assert_ne!(socket.read(&mut [0; 4096]).await.unwrap(), 0);
        // The client may have hung up in the middle.
        let _written = socket.write_all(response.as_bytes()).await;
        socket
    };
    let client = Client::new().unwrap();
    let (answer, _socket) = tokio::join!(client.http1(&base).call(call(&base)), server);
    answer.unwrap_err()
}

#[tokio::test]
async fn an_answer_that_cannot_be_understood_is_told_from_a_connection_that_broke() {
    let long = format!("HTTP/1.1 200 OK\r\ncontent-security-policy: {}\r\n\r\n", "x".repeat(20_000));
    for (response, what) in
        [(long, "the head of its answer is too long"), ("SSH-2.0-OpenSSH_9.2\r\n".to_owned(), "no HTTP")]
    {
        let error = error_of(response).await;
        assert!(error.what.contains(what), "{}", error.what);
        assert!(is_evidence(error));
    }
}
