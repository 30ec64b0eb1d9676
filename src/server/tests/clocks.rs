//! How long a client may take: to ask, to ask again, and to take what it asked for.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep},
};
use tollgate_test_support::{Script, Step};

use super::{ask, served, soon};
use crate::server::{HEAD, SEND};

/// Clocks tick in milliseconds.
fn about(expected: Duration, since: Instant) -> bool {
    (expected..expected + Duration::from_millis(100)).contains(&since.elapsed())
}

#[tokio::test(start_paused = true)]
async fn who_takes_nothing_for_a_minute_loses_its_connection_and_frees_the_answer() {
    let script = Script::frames(1000, 1000);
    let alive = Arc::downgrade(&script.given);
    let (mut client, serving) = served(1024, [script]);
    ask(&mut client, 1).await;
    let since = Instant::now();
    assert!(!soon("the end of the connection", serving).await.unwrap());
    assert!(about(SEND, since), "{:?}", since.elapsed());
    assert!(alive.upgrade().is_none());
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn who_takes_a_little_now_and_then_is_waited_for() {
    let (mut client, serving) = served(1024, [Script::frames(1000, 1000)]);
    ask(&mut client, 1).await;
    for _ in 0..50 {
        sleep(SEND - Duration::from_secs(1)).await;
        client.read_exact(&mut [0; 10]).await.unwrap();
    }
    let since = Instant::now();
    assert!(!soon("the end of the connection", serving).await.unwrap());
    assert!(about(SEND, since), "{:?}", since.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_has_nothing_to_say_is_no_fault_of_its_reader() {
    let words = || Bytes::from_static(b"words");
    let script = Script::from_iter([Step::Data(words()), Step::Wait(10 * SEND), Step::Data(words())]);
    let (mut client, serving) = served(64 * 1024, [script]);
    ask(&mut client, 1).await;
    let mut answer = Vec::new();
    soon("the answer", client.read_to_end(&mut answer)).await.unwrap();
    assert!(answer.ends_with(b"5\r\nwords\r\n5\r\nwords\r\n0\r\n\r\n"));
    assert!(serving.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_nothing_is_let_go_after_half_a_minute() {
    for said in ["", "GET / HTTP/1.1\r\nhost: ", "GET / HTTP/1.1\r\nhost: x\r\n\r\n"] {
        let (mut client, serving) = served(64 * 1024, [Script::frames(1, 10)]);
        let since = Instant::now();
        client.write_all(said.as_bytes()).await.unwrap();
        drop(soon("the end of the connection", serving).await);
        assert!(about(HEAD, since), "{said:?}: {:?}", since.elapsed());
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer.starts_with("HTTP/1.1 200 OK"), said.ends_with("\r\n\r\n"), "{answer}");
    }
}
