//! Speech, which passes from its first byte on, and streams of images.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::speech;
use crate::support::{
    answers as say,
    case::{Case, World},
    client::{Over, Stream, request},
    reply::{Gate, Part, Reply},
};

async fn open(world: &World, path: &str, body: Value) -> Stream {
    world.gateway.open(request(Method::POST, path, body.to_string(), &[])).await
}

async fn say_hello(world: &World) -> Stream {
    open(world, "/v1/audio/speech", json!({"model": "m", "input": "hello", "voice": "alloy"})).await
}

/// A stream of a picture, as OpenAI sends it.
fn partial_pictures() -> Reply {
    Reply::named_events([
        json!({"type": "image_generation.partial_image", "b64_json": "AAAA", "partial_image_index": 0}),
        json!({"type": "image_generation.completed", "b64_json": "BBBB",
            "usage": {"total_tokens": 120, "input_tokens": 20, "output_tokens": 100}}),
    ])
}

#[tokio::test]
async fn speech_reaches_the_client_with_its_first_bytes() {
    let gate = Gate::new();
    let mut reply = Reply::bytes(200, "audio/mpeg", &b"\xff\xf3first"[..]);
    reply.sized = false;
    let reply = reply.then(Part::Until(gate.clone())).then(Part::Data("rest".into()));
    let world = Case::of("m: a").always("a", reply).start().await;
    let mut stream = say_hello(&world).await;
    assert_eq!(stream.headers["content-type"], "audio/mpeg");
    let first = stream.next().await.expect("bytes").1;
    assert_eq!(&first[..], b"\xff\xf3first");
    gate.open();
    assert_eq!((stream.rest().await, &stream.seen[..]), (Over::Cleanly, &b"\xff\xf3firstrest"[..]));
}

#[tokio::test]
async fn speech_that_fails_before_its_first_byte_is_tried_elsewhere() {
    for bad in [say::unavailable(), speech().broken_after(0, Part::Cut), Reply::nothing(Part::Reset)] {
        let case = Case::of("m: a b").first("a").always("a", bad).always("b", speech());
        let world = case.start().await;
        let mut stream = say_hello(&world).await;
        assert_eq!((stream.rest().await, &stream.seen[..]), (Over::Cleanly, &speech().body()[..]));
        assert_eq!(world.each("a b"), [1, 1]);
    }
}

#[tokio::test]
async fn speech_that_breaks_ends_the_connection() {
    let gate = Gate::new();
    let breaks = speech().broken_after(3, Part::Until(gate.clone())).then(Part::Cut);
    let world = Case::of("m: a b").first("a").always("a", breaks).always("b", speech()).start().await;
    let mut stream = say_hello(&world).await;
    assert_eq!(stream.next().await.expect("bytes").1.len(), 3);
    gate.open();
    assert_eq!((stream.rest().await, stream.seen.len()), (Over::Broken, 3));
    assert_eq!(world.each("a b"), [1, 0], "the first byte was sent");
}

#[tokio::test]
async fn speech_has_no_limit_but_that_of_its_pauses_once_it_flows() {
    let mut slow = Reply::bytes(200, "audio/mpeg", "");
    slow.sized = false;
    for _ in 0..10 {
        slow = slow.then(Part::Data("tone ".into())).then(Part::Wait(Duration::from_millis(60)));
    }
    let world = Case::of("m: a").always("a", slow).params("a", "timeout: 0.4").start().await;
    let mut stream = say_hello(&world).await;
    assert_eq!((stream.rest().await, stream.seen.len()), (Over::Cleanly, 50));
    let stalls = speech().broken_after(3, Part::Hang);
    let world = Case::of("m: a").always("a", stalls).params("a", "stream_idle_timeout: 0.2").start().await;
    assert_eq!(say_hello(&world).await.rest().await, Over::Broken);
    world.upstream("a").only().left().await;
}

#[tokio::test]
async fn a_client_that_leaves_during_speech_ends_the_call() {
    let reply = speech().broken_after(3, Part::Hang);
    let world = Case::of("m: a").always("a", reply).start().await;
    let mut stream = say_hello(&world).await;
    assert_eq!(stream.next().await.expect("bytes").1.len(), 3);
    drop(stream);
    world.upstream("a").only().left().await;
}

#[tokio::test]
async fn a_stream_of_pictures_passes_unchanged_and_its_usage_counts() {
    let case = Case::of("m: a").always("a", partial_pictures()).params("a", "tpm: 1000");
    let world = case.start().await;
    let body = json!({"model": "m", "prompt": "a cat", "stream": true, "partial_images": 1});
    let mut stream = open(&world, "/v1/images/generations", body).await;
    assert_eq!((stream.rest().await, &stream.seen[..]), (Over::Cleanly, &partial_pictures().body()[..]));
    assert_eq!(stream.headers["content-type"], "text/event-stream");
    assert_eq!(world.upstream("a").only().json().get("stream_options"), None);
    let metrics = world.gateway.get("/metrics").await.text();
    assert!(metrics.contains("tollgate_requests_tokens_total{kind=\"output\"} 100\n"), "{metrics}");
}

#[tokio::test]
async fn a_heartbeat_is_not_sent_before_sound() {
    let reply = speech().after(Duration::from_millis(200));
    let world = Case::of("m: a").always("a", reply).router("early_heartbeat: 0.05").start().await;
    let mut stream = say_hello(&world).await;
    assert_eq!((stream.rest().await, &stream.seen[..]), (Over::Cleanly, &speech().body()[..]));
}
