//! When a connection is used again, and when it is closed.

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
async fn one_connection_serves_one_request_after_the_other() {
    let server = Server::new();
    for path in ["/ok", "/chunks", "/empty", "/ok"] {
        server.whole(path).await;
    }
    assert_eq!(server.opened(), 1);
}

#[tokio::test]
async fn whoever_has_seen_the_last_frame_need_not_ask_for_another() {
    let server = Server::new();
    for _ in 0..3 {
        let mut body = server.ask("/ok").await.expect("an answer").into_body();
        let frame = body.frame().await.expect("a frame").expect("no error");
        assert_eq!(frame.into_data().expect("data"), "ok");
        assert!(body.is_end_stream());
    }
    assert_eq!(server.opened(), 1);
}

#[tokio::test]
async fn two_answers_under_way_have_a_connection_each_and_both_are_kept() {
    let server = Server::new();
    let (one, two) = tokio::join!(server.ask("/ok"), server.ask("/ok"));
    for answer in [one, two] {
        answer.expect("an answer").into_body().collect().await.expect("a body");
    }
    let (one, two) = tokio::join!(server.ask("/ok"), server.ask("/ok"));
    assert!(one.is_ok() && two.is_ok());
    assert_eq!(server.opened(), 2);
}

#[tokio::test]
async fn a_body_that_is_dropped_before_its_end_closes_its_connection() {
    let server = Server::new();
    let mut body = server.ask("/never").await.expect("an answer").into_body();
    assert!(body.frame().await.is_some_and(|frame| frame.is_ok()));
    drop(body);
    server.closed(1).await;
    assert_eq!(server.whole("/ok").await, "ok");
    assert_eq!(server.opened(), 2);
}

#[tokio::test]
async fn a_caller_that_leaves_before_the_head_closes_its_connection() {
    let server = Server::new();
    let asked = tokio::time::timeout(Duration::from_millis(10), server.ask("/silent"));
    assert!(asked.await.is_err());
    server.closed(1).await;
}

#[tokio::test]
async fn a_server_that_says_it_was_the_last_is_not_asked_again_there() {
    let server = Server::new();
    assert_eq!(server.whole("/last").await, "ok");
    server.closed(1).await;
    assert_eq!(server.whole("/ok").await, "ok");
    assert_eq!(server.opened(), 2);
}

#[tokio::test]
async fn an_answer_that_came_before_the_request_had_left_ends_the_connection() {
    let server = Server::new();
    // More than the pipe takes: the rest of it is still to be sent when the answer comes.
    let answer = server.post("/early", vec![b'x'; 1 << 20]).await.expect("an answer");
    assert_eq!(answer.into_body().collect().await.expect("a body").to_bytes(), "ok");
    server.closed(1).await;
    assert_eq!(server.whole("/ok").await, "ok");
    assert_eq!(server.opened(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_after_its_time_and_not_before() {
    let server = Server::new();
    let (one, two) = tokio::join!(server.ask("/ok"), server.ask("/ok"));
    let (one, two) = (one.expect("an answer"), two.expect("an answer"));
    one.into_body().collect().await.expect("a body");
    tokio::time::sleep(Duration::from_secs(30)).await;
    two.into_body().collect().await.expect("a body");
    tokio::time::sleep(Duration::from_secs(19)).await;
    assert_eq!(server.closed_now(), 0);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(server.closed_now(), 1, "the first, after 50 s");
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(server.closed_now(), 2, "and the second");
    assert_eq!(server.whole("/ok").await, "ok");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(server.closed_now(), 3, "and whatever comes later");
}

#[tokio::test]
async fn one_that_is_too_old_is_not_used_even_if_nobody_has_closed_it_yet() {
    let server = Server::kept_for(Duration::ZERO);
    for path in ["/ok", "/ok"] {
        server.whole(path).await;
    }
    assert_eq!(server.opened(), 2);
}

#[tokio::test]
async fn a_request_that_finds_its_connection_closed_goes_to_another() {
    let server = Server::new();
    assert_eq!(server.whole("/ok").await, "ok");
    server.hang_up();
    server.closed(1).await;
    assert_eq!(server.whole("/ok").await, "ok");
    assert_eq!(server.opened(), 2);
}

fn hello() -> Request<Sent> {
    Request::post("/").header("host", "server").body(Full::from("hello")).expect("a request")
}

/// Reads a request, and answers it without a body.
async fn say_nothing(theirs: &mut DuplexStream) {
    let _read = theirs.read(&mut [0; 1024]).await;
    theirs.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.expect("written");
}

/// A pool that can dial once, and what comes out at the other end.
fn pipe() -> (Arc<Pool<Pipe, Sent>>, DuplexStream) {
    let (ours, theirs) = tokio::io::duplex(1024);
    let ours = Mutex::new(Some(TokioIo::new(ours)));
    let dial = move || ready(ours.lock().expect("no panic").take().ok_or_else(|| "there is one".into()));
    (Arc::new(Pool::new(Duration::from_secs(50), dial)), theirs)
}

#[tokio::test]
async fn a_connection_that_breaks_before_the_head_is_an_error_and_not_another_attempt() {
    let (pool, mut theirs) = pipe();
    let asked = pool.send(hello());
    let hang_up = async {
        let read = theirs.read(&mut [0; 1024]).await;
        drop(theirs);
        read
    };
    let (asked, read) = tokio::join!(asked, hang_up);
    assert!(matches!(asked, Err(SendError::Broken(_))), "{asked:?}");
    assert!(read.is_ok_and(|count| count > 0), "it may have arrived");
}

#[tokio::test]
async fn a_connection_that_had_been_idle_and_breaks_is_known_as_one() {
    let (pool, mut theirs) = pipe();
    let first = Arc::clone(&pool).send(hello());
    let (first, ()) = tokio::join!(first, say_nothing(&mut theirs));
    drop(first.expect("an answer"));
    let second = pool.send(hello());
    let hang_up = async {
        let _read = theirs.read(&mut [0; 1024]).await;
        drop(theirs);
    };
    let (second, ()) = tokio::join!(second, hang_up);
    assert!(matches!(second, Err(SendError::StaleConnection(_))), "{second:?}");
}

#[tokio::test]
async fn a_connection_that_ends_with_its_answer_is_not_kept() {
    let (pool, mut theirs) = pipe();
    let answer = async {
        say_nothing(&mut theirs).await;
        drop(theirs);
    };
    let (first, ()) = tokio::join!(Arc::clone(&pool).send(hello()), answer);
    drop(first.expect("an answer"));
    let second = pool.send(hello()).await;
    assert!(matches!(second, Err(SendError::Connect(_))), "{second:?}");
}

#[tokio::test]
async fn a_dial_that_fails_says_so() {
    let pool = Pool::<Pipe, Sent>::new(Duration::from_secs(50), || ready(Err("nobody there".into())));
    let request = Request::post("/").body(Full::default()).expect("a request");
    let asked = Arc::new(pool).send(request).await;
    assert!(
        matches!(&asked, Err(SendError::Connect(error)) if error.to_string() == "nobody there"),
        "{asked:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_and_some_that_leave_lose_nothing_and_leave_nothing_open() {
    let server = Arc::new(Server::new());
    let tasks = (0..64).map(|n| {
        let server = Arc::clone(&server);
        tokio::spawn(async move {
            for round in 0..30 {
                match (n + round) % 5 {
                    0 => drop(server.ask("/never").await.expect("an answer")),
                    1 => assert_eq!(server.whole("/ok").await, "ok"),
                    2 => assert_eq!(server.whole("/last").await, "ok"),
                    3 => assert_eq!(server.whole("/empty").await, ""),
                    _ => assert_eq!(server.whole("/chunks").await, "chunk ".repeat(100)),
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
