//! The memory of the gateway with a long recording: it is held once, and sound that it passes on is not held at all.

use http::Method;
use serde_json::json;

use super::{speech, transcription};
use crate::support::{
    answers as say,
    case::{Case, World},
    client::{Over, request},
    form::{field, file, form, post},
    reply::Reply,
};

/// The length of a recording, in bytes: OpenAI accepts no longer one.
const RECORDING: usize = 25_000_000;

const MEGABYTE: u64 = 1_000_000;

/// Returns the memory that the gateway has taken beyond `idle`, at most so far.
fn grown(world: &World, idle: u64) -> u64 {
    world.gateway.peak_memory().saturating_sub(idle)
}

/// Transcribes a recording of this length.
async fn transcribe(world: &World, length: usize) -> u16 {
    let parts = [file("file", &vec![b'a'; length]), field("model", "m")];
    world.gateway.send(post("/v1/audio/transcriptions", form(&parts), &[])).await.status.as_u16()
}

#[tokio::test]
async fn a_recording_of_25_megabytes_takes_28_whatever_the_number_of_attempts() {
    let case = Case::of("m: a b c; f: d").always("a b c", say::server_error());
    let settings = "num_retries: 5, fallbacks: [{m: [f]}]";
    let world = case.always("d", transcription("hello")).settings(settings).start().await;
    // The first request touches code, stacks and the arenas of the allocator.
    assert_eq!(transcribe(&world, 1000).await, 200);
    let (idle, calls) = (world.gateway.resident(), world.calls("a b c d"));
    assert_eq!(transcribe(&world, RECORDING).await, 200);
    assert!(world.calls("a b c d") - calls >= 4, "{:?}", world.each("a b c d"));
    let length = world.upstream("d").call(2).await.body.len();
    assert!(length > RECORDING, "{length}");
    let grown = grown(&world, idle);
    println!("{grown} bytes for a recording of {RECORDING}");
    assert!(grown < 28 * MEGABYTE, "{grown} bytes");
}

#[tokio::test]
async fn sound_of_25_megabytes_takes_less_than_2() {
    let sound = Reply::bytes(200, "audio/wav", vec![7; RECORDING]);
    let world = Case::of("m: a").says("a", [speech(), sound]).start().await;
    let body = json!({"model": "m", "input": "hello", "voice": "alloy"}).to_string();
    let say = || request(Method::POST, "/v1/audio/speech", body.clone(), &[]);
    assert_eq!(world.gateway.send(say()).await.status, 200);
    let idle = world.gateway.resident();
    let mut stream = world.gateway.open(say()).await;
    assert_eq!((stream.rest().await, stream.seen.len()), (Over::Cleanly, RECORDING));
    let grown = grown(&world, idle);
    println!("{grown} bytes for sound of {RECORDING}");
    assert!(grown < 2 * MEGABYTE, "{grown} bytes");
}
