//! Readers: none is given more than has room for it, and whoever reads gets all of it.

use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use bytes::Bytes;
use futures_util::FutureExt;
use http::Response;
use http_body::Body;
use http_body_util::{BodyExt, Full};
use tokio::io::{AsyncRead, AsyncReadExt};
use tollgate_test_support::{Script, Step};

use super::{ask, rest, served, soon};
use crate::server::{
    listener::Crowd,
    outbox::{AHEAD, MOST, Outbox},
};

const FRAME: usize = 8 * 1024;
const MOMENT: Step = Step::Wait(Duration::from_millis(1));

/// What a connection of this room may be given, when its reader takes nothing.
const fn most(room: usize) -> usize {
    room + AHEAD + FRAME
}

#[tokio::test(start_paused = true)]
async fn a_body_waits_for_its_reader() {
    let script = Script::frames(1000, FRAME);
    let given = Arc::clone(&script.given);
    let (mut client, _serving) = served(1024, [script]);
    ask(&mut client, 1).await;
    rest().await;
    let before = given.load(SeqCst);
    assert!((AHEAD..=most(1024)).contains(&before), "{before}");

    // Who reads a little makes room for as much, and no more.
    for read in 1..=200 {
        soon("more of it", client.read_exact(&mut [0; 1000])).await.unwrap();
        rest().await;
        let given = given.load(SeqCst);
        assert!(given <= most(1024) + read * 1000, "{given} after {read}");
    }
    assert!(given.load(SeqCst) >= 150_000, "it goes on");
}

#[tokio::test(start_paused = true)]
async fn who_has_room_for_everything_waits_for_nothing() {
    let script = Script::frames(100, FRAME);
    let whole = script.length();
    let (mut client, serving) = served(2 * whole, [script]);
    ask(&mut client, 1).await;
    assert!(soon("the end of it, though nobody reads", serving).await.unwrap());
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    assert!(answer.len() > whole);
}

#[tokio::test(start_paused = true)]
async fn frames_larger_than_the_bound_go_one_by_one() {
    let script = Script::frames(3, 4 * AHEAD);
    let (whole, given) = (script.length(), Arc::clone(&script.given));
    let (mut client, serving) = served(1024, [script]);
    ask(&mut client, 1).await;
    rest().await;
    assert_eq!(given.load(SeqCst), 4 * AHEAD);
    let mut answer = Vec::new();
    soon("all of it", client.read_to_end(&mut answer)).await.unwrap();
    assert!(answer.len() > whole && serving.await.unwrap());
}

#[tokio::test]
async fn a_long_frame_is_given_in_pieces_each_when_the_one_before_is_gone() {
    let outbox = Outbox::new(Crowd::default());
    let line = outbox.clone();
    let whole = Bytes::from(vec![b'x'; 2 * MOST + 1]);
    let mut body = outbox.paced(Response::new(Full::new(whole))).into_body();
    for left in [2 * MOST + 1, MOST + 1, 1] {
        assert_eq!((body.size_hint().exact(), body.is_end_stream()), (Some(left as u64), false));
        let piece = body.frame().now_or_never().flatten().unwrap().unwrap().into_data().unwrap();
        assert_eq!(piece.len(), left.min(MOST));
        assert_eq!(body.frame().now_or_never().is_none(), left > 1, "as long as it is on its way");
        assert_eq!(line.flushed(), left > 1);
    }
    assert!(body.is_end_stream());
}

#[tokio::test(start_paused = true)]
async fn who_reads_byte_by_byte_gets_all_of_it() {
    let script = Script::frames(40, 3001);
    let expected = script.bytes();
    let (mut client, serving) = served(1, [script]);
    soon("the request", ask(&mut client, 1)).await;
    let mut answer = Vec::new();
    loop {
        let mut byte = [0];
        if soon("the next byte", client.read(&mut byte)).await.unwrap() == 0 {
            break;
        }
        answer.push(byte[0]);
    }
    assert_eq!(bodies(&answer), [expected]);
    assert!(serving.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn who_leaves_while_the_body_waits_frees_it() {
    let script = Script::frames(1000, FRAME);
    let alive = Arc::downgrade(&script.given);
    let (mut client, serving) = served(1024, [script]);
    ask(&mut client, 1).await;
    rest().await;
    assert!(alive.upgrade().is_some());
    drop(client);
    assert!(!soon("the end of the connection", serving).await.unwrap());
    assert!(alive.upgrade().is_none());
}

#[tokio::test(start_paused = true)]
async fn whatever_is_asked_answered_and_read_arrives_whole() {
    for seed in 0..60 {
        let mut random = fastrand::Rng::with_seed(seed);
        // Few bytes where they pass one by one.
        let (frames, room) = *random.choice(&[(2, 1), (3, 7), (12, 500), (12, 4096), (12, 65_536)]).unwrap();
        let scripts: Vec<Script> = (0..random.usize(1..=4)).map(|_| script(&mut random, frames)).collect();
        let expected: Vec<Vec<u8>> = scripts.iter().map(Script::bytes).collect();
        let count = scripts.len();
        let (client, serving) = served(room, scripts);
        let (reading, mut writing) = tokio::io::split(client);
        // The later requests wait in the connection until the earlier ones are answered.
        let both = async { tokio::join!(ask(&mut writing, count), read(reading, &mut random)).1 };
        let answers = soon(&format!("the answers of seed {seed}"), both).await;
        assert!(bodies(&answers) == expected, "seed {seed}: {count} answers through {room} bytes");
        assert!(soon("its end", serving).await.unwrap(), "seed {seed}");
    }
}

fn script(random: &mut fastrand::Rng, frames: usize) -> Script {
    let sizes =
        [0, 1, 100, 1023, 1024, 5000, AHEAD - 1, AHEAD, AHEAD + 1, MOST - 1, MOST, MOST + 1, 5 * AHEAD];
    let frame = |random: &mut fastrand::Rng| {
        let pause = random.choice([None, None, Some(Step::Yield), Some(MOMENT)]).unwrap();
        let size = *random.choice(&sizes).unwrap();
        let bytes = std::iter::repeat_with(|| random.alphanumeric() as u8).take(size).collect::<Bytes>();
        pause.into_iter().chain([Step::Data(bytes)])
    };
    let script: Script = (0..random.usize(..frames)).flat_map(|_| frame(random)).collect();
    Script { sized: random.bool(), ..script }
}

/// Reads to the end, in pieces of all sizes, now and then not at all for a while.
async fn read(mut client: impl AsyncRead + Unpin, random: &mut fastrand::Rng) -> Vec<u8> {
    let mut answers = Vec::new();
    let mut piece = vec![0; 100_000];
    let pieces = *random.choice(&[30, 300, 10_000, 100_000]).unwrap();
    loop {
        if random.u8(..8) == 0 {
            rest().await;
        }
        match client.read(&mut piece[..random.usize(1..pieces)]).await.unwrap() {
            0 => return answers,
            count => answers.extend_from_slice(&piece[..count]),
        }
    }
}

/// The bodies of all answers, whichever way their length was told.
fn bodies(mut answers: &[u8]) -> Vec<Vec<u8>> {
    let mut bodies = Vec::new();
    while !answers.is_empty() {
        let (head, rest) = split(answers, b"\r\n\r\n");
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
        answers = rest;
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
