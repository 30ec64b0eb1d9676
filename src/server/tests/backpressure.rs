//! Tests of backpressure: a response never runs far ahead of its client, and a client that reads gets all of it.

use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use bytes::Bytes;
use futures_util::FutureExt;
use http::Response;
use http_body_util::BodyExt;
use tokio::io::{AsyncRead, AsyncReadExt};
use tollgate_test_support::{Script, Step};

use super::{send_requests, served, settle, soon};
use crate::server::{
    listener::AtCapacity,
    waiting::Connections,
    write_window::{PAUSE_AT, WriteWindow},
};

const FRAME: usize = 8 * 1024;
const MOMENT: Step = Step::Wait(Duration::from_millis(1));

/// The maximum number of body bytes that a connection may take from its body while the client reads nothing.
const fn max_taken(capacity: usize) -> usize {
    capacity + PAUSE_AT + FRAME
}

#[tokio::test(start_paused = true)]
async fn a_response_body_waits_for_a_slow_client() {
    let script = Script::frames(1000, FRAME);
    let given = Arc::clone(&script.given);
    let (mut client, _serving) = served(1024, [script]);
    send_requests(&mut client, 1).await;
    settle().await;
    let before = given.load(SeqCst);
    assert!((PAUSE_AT..=max_taken(1024)).contains(&before), "{before}");

    // A client that reads a little lets as much of the body pass, and no more.
    for read in 1..=200 {
        soon("more of it", client.read_exact(&mut [0; 1000])).await.unwrap();
        settle().await;
        let given = given.load(SeqCst);
        assert!(given <= max_taken(1024) + read * 1000, "{given} after {read}");
    }
    assert!(given.load(SeqCst) >= 150_000, "the body goes on");
}

#[tokio::test(start_paused = true)]
async fn a_response_that_fits_into_the_socket_does_not_wait_for_the_client() {
    let script = Script::frames(100, FRAME);
    let whole = script.length();
    let (mut client, serving) = served(2 * whole, [script]);
    send_requests(&mut client, 1).await;
    assert!(soon("the end of the connection without a read", serving).await.unwrap());
    let mut response = Vec::new();
    client.read_to_end(&mut response).await.unwrap();
    assert!(response.len() > whole);
}

#[tokio::test(start_paused = true)]
async fn frames_larger_than_the_write_window_pass_one_by_one() {
    let script = Script::frames(3, 4 * PAUSE_AT);
    let (whole, given) = (script.length(), Arc::clone(&script.given));
    let (mut client, serving) = served(1024, [script]);
    send_requests(&mut client, 1).await;
    settle().await;
    assert_eq!(given.load(SeqCst), 4 * PAUSE_AT);
    let mut response = Vec::new();
    soon("all of it", client.read_to_end(&mut response)).await.unwrap();
    assert!(response.len() > whole && serving.await.unwrap());
}

#[tokio::test]
async fn a_long_frame_passes_whole_and_the_next_one_waits_for_its_flush() {
    let window = WriteWindow::new(AtCapacity::default(), Connections::default().add());
    let flushes = window.clone();
    let mut body = window.wrap(Response::new(Script::frames(2, 2 * PAUSE_AT).into_body())).into_body();
    for _ in 0..2 {
        let frame = body.frame().now_or_never().flatten().unwrap().unwrap().into_data().unwrap();
        assert_eq!(frame.len(), 2 * PAUSE_AT);
        assert!(body.frame().now_or_never().is_none(), "pending until the flush");
        assert!(flushes.flushed());
    }
    assert!(body.frame().now_or_never().unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_byte_by_byte_gets_the_whole_response() {
    let script = Script::frames(40, 3001);
    let expected = script.bytes();
    let (mut client, serving) = served(1, [script]);
    soon("the request", send_requests(&mut client, 1)).await;
    let mut response = Vec::new();
    loop {
        let mut byte = [0];
        if soon("the next byte", client.read(&mut byte)).await.unwrap() == 0 {
            break;
        }
        response.push(byte[0]);
    }
    assert_eq!(bodies(&response), [expected]);
    assert!(serving.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_disconnects_drops_the_waiting_response() {
    let script = Script::frames(1000, FRAME);
    let alive = Arc::downgrade(&script.given);
    let (mut client, serving) = served(1024, [script]);
    send_requests(&mut client, 1).await;
    settle().await;
    assert!(alive.upgrade().is_some());
    drop(client);
    assert!(!soon("the end of the connection", serving).await.unwrap());
    assert!(alive.upgrade().is_none());
}

#[tokio::test(start_paused = true)]
async fn random_responses_arrive_whole_through_connections_of_all_sizes() {
    for seed in 0..60 {
        let mut random = fastrand::Rng::with_seed(seed);
        // Fewer frames where bytes pass one by one.
        let (frames, capacity) =
            *random.choice(&[(2, 1), (3, 7), (12, 500), (12, 4096), (12, 65_536)]).unwrap();
        let scripts: Vec<Script> = (0..random.usize(1..=4)).map(|_| script(&mut random, frames)).collect();
        let expected: Vec<Vec<u8>> = scripts.iter().map(Script::bytes).collect();
        let count = scripts.len();
        let (client, serving) = served(capacity, scripts);
        let (reading, mut writing) = tokio::io::split(client);
        // The later requests wait in the connection until the earlier ones are responseed.
        let both = async { tokio::join!(send_requests(&mut writing, count), read(reading, &mut random)).1 };
        let responses = soon(&format!("the responses of seed {seed}"), both).await;
        assert!(bodies(&responses) == expected, "seed {seed}: {count} responses through {capacity} bytes");
        assert!(soon("the end of the connection", serving).await.unwrap(), "seed {seed}");
    }
}

fn script(random: &mut fastrand::Rng, frames: usize) -> Script {
    let sizes = [0, 1, 100, 1023, 1024, 5000, PAUSE_AT - 1, PAUSE_AT, PAUSE_AT + 1, 5 * PAUSE_AT];
    let frame = |random: &mut fastrand::Rng| {
        let pause = random.choice([None, None, Some(Step::Yield), Some(MOMENT)]).unwrap();
        let size = *random.choice(&sizes).unwrap();
        let bytes = std::iter::repeat_with(|| random.alphanumeric() as u8).take(size).collect::<Bytes>();
        pause.into_iter().chain([Step::Data(bytes)])
    };
    let script: Script = (0..random.usize(..frames)).flat_map(|_| frame(random)).collect();
    Script { sized: random.bool(), ..script }
}

/// Reads to the end in pieces of random sizes, with random pauses.
async fn read(mut client: impl AsyncRead + Unpin, random: &mut fastrand::Rng) -> Vec<u8> {
    let mut responses = Vec::new();
    let mut piece = vec![0; 100_000];
    let pieces = *random.choice(&[30, 300, 10_000, 100_000]).unwrap();
    loop {
        if random.u8(..8) == 0 {
            settle().await;
        }
        match client.read(&mut piece[..random.usize(1..pieces)]).await.unwrap() {
            0 => return responses,
            count => responses.extend_from_slice(&piece[..count]),
        }
    }
}

/// The bodies of all responses, with a content length or chunked.
fn bodies(mut responses: &[u8]) -> Vec<Vec<u8>> {
    let mut bodies = Vec::new();
    while !responses.is_empty() {
        let (head, rest) = split(responses, b"\r\n\r\n");
        let head = std::str::from_utf8(head).unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let (body, rest) = match length {
            Some(length) => {
                let (body, rest) = rest.split_at(length.parse().unwrap());
                (body.to_vec(), rest)
            }
            None => chunks(rest),
        };
        bodies.push(body);
        responses = rest;
    }
    bodies
}

fn chunks(mut rest: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut body = Vec::new();
    loop {
        let (size, after) = split(rest, b"\r\n");
        let size = usize::from_str_radix(std::str::from_utf8(size).unwrap(), 16).unwrap();
        body.extend_from_slice(&after[..size]);
        assert_eq!(&after[size..size + 2], b"\r\n");
        rest = &after[size + 2..];
        if size == 0 {
            return (body, rest);
        }
    }
}

fn split<'a>(bytes: &'a [u8], mark: &[u8]) -> (&'a [u8], &'a [u8]) {
    let at = bytes.windows(mark.len()).position(|window| window == mark).unwrap();
    (&bytes[..at], &bytes[at + mark.len()..])
}
