//! Tests of the server's timeouts: for a request's head, for an idle connection, and for a client that stops reading.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep},
};
use tollgate_test_support::{Script, Step};

use super::{KEEPALIVE_TIMEOUT, send_requests, served, soon};
use crate::server::SEND_TIMEOUT;

/// Returns true if the expected time has passed, within the resolution of tokio's timers.
fn about(expected: Duration, since: Instant) -> bool {
    (expected..expected + Duration::from_millis(100)).contains(&since.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_nothing_for_the_send_timeout_is_disconnected_and_its_response_dropped() {
    let script = Script::frames(1000, 1000);
    let alive = Arc::downgrade(&script.given);
    let (mut client, serving) = served(1024, [script]);
    send_requests(&mut client, 1).await;
    let since = Instant::now();
    assert!(!soon("the end of the connection", serving).await.unwrap());
    assert!(about(SEND_TIMEOUT, since), "{:?}", since.elapsed());
    assert!(alive.upgrade().is_none());
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn the_send_timeout_starts_again_with_each_read_of_the_client() {
    let (mut client, serving) = served(1024, [Script::frames(1000, 1000)]);
    send_requests(&mut client, 1).await;
    for _ in 0..50 {
        sleep(SEND_TIMEOUT - Duration::from_secs(1)).await;
        client.read_exact(&mut [0; 10]).await.unwrap();
    }
    let since = Instant::now();
    assert!(!soon("the end of the connection", serving).await.unwrap());
    assert!(about(SEND_TIMEOUT, since), "{:?}", since.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_send_timeout_does_not_run_while_the_response_is_silent() {
    let words = || Bytes::from_static(b"words");
    let script = Script::from_iter([Step::Data(words()), Step::Wait(10 * SEND_TIMEOUT), Step::Data(words())]);
    let (mut client, serving) = served(64 * 1024, [script]);
    send_requests(&mut client, 1).await;
    let mut response = Vec::new();
    soon("the response", client.read_to_end(&mut response)).await.unwrap();
    assert!(response.ends_with(b"5\r\nwords\r\n5\r\nwords\r\n0\r\n\r\n"));
    assert!(serving.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_a_complete_head_is_closed_after_the_head_timeout() {
    for sent in ["", "GET / HTTP/1.1\r\nhost: ", "GET / HTTP/1.1\r\nhost: x\r\n\r\n"] {
        let (mut client, serving) = served(64 * 1024, [Script::frames(1, 10)]);
        let since = Instant::now();
        client.write_all(sent.as_bytes()).await.unwrap();
        drop(soon("the end of the connection", serving).await);
        assert!(about(KEEPALIVE_TIMEOUT, since), "{sent:?}: {:?}", since.elapsed());
        let mut response = String::new();
        client.read_to_string(&mut response).await.unwrap();
        assert_eq!(response.starts_with("HTTP/1.1 200 OK"), sent.ends_with("\r\n\r\n"), "{response}");
    }
}
