//! Answers that are no streams: their clocks and their length hold to the last byte.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::failures;
use crate::support::{
    answers as say,
    case::{Case, World},
    client::{Over, Stream, ask, request},
    reply::{Part, Reply},
};

/// Longer than what is held before an answer is committed.
fn long() -> Reply {
    say::chat(&"long ".repeat(40_000))
}

async fn open(world: &World) -> (Stream, Over, Duration) {
    let start = Instant::now();
    let body = ask("m", json!({}));
    let mut stream = world.gateway.open(request(http::Method::POST, "/v1/chat/completions", body, &[])).await;
    let over = stream.rest().await;
    (stream, over, start.elapsed())
}

#[tokio::test]
async fn a_long_plain_answer_comes_whole_and_with_its_length() {
    let world = Case::of("m: a").always("a", long()).start().await;
    let (stream, over, _) = open(&world).await;
    assert_eq!((over, &stream.seen[..]), (Over::Cleanly, &long().body()[..]));
    assert_eq!(stream.headers["content-length"], long().body().len().to_string());
}

#[tokio::test]
async fn a_long_plain_answer_that_stalls_is_cut_by_the_idle_timeout() {
    let script = long().broken_after(150_000, Part::Hang);
    let case = Case::of("m: a b").first("a").always("a", script).params("a", "stream_idle_timeout: 0.3");
    let world = case.start().await;
    let (stream, over, took) = open(&world).await;
    assert_eq!((stream.status.as_u16(), over), (200, Over::Broken), "nothing may look whole");
    assert!(took >= Duration::from_millis(280) && took < Duration::from_secs(10), "{took:?}");
    world.upstream("a").only().left().await;
    assert_eq!(failures(&world, "m", "a").await, 1);
}

#[tokio::test]
async fn a_short_plain_answer_that_stalls_is_retried_elsewhere() {
    let script = say::chat("x").broken_after(50, Part::Hang);
    let case = Case::of("m: a b").first("a").always("a", script).params("a", "stream_idle_timeout: 0.3");
    let asked = case.ask().await.answered_by("b").calls("a:1 b:1");
    asked.world.upstream("a").only().left().await;
}

#[tokio::test]
async fn the_deadline_cuts_a_plain_answer_that_drips() {
    let script = long().broken_after(100_000, Part::Wait(Duration::ZERO));
    let drip = (0..100).fold(script, |all, _| {
        all.then(Part::Wait(Duration::from_millis(50))).and(Reply::bytes(200, "", " "))
    });
    let world = Case::of("m: a").always("a", drip).router("max_request_duration: 1.2").start().await;
    let (_, over, took) = open(&world).await;
    assert_eq!(over, Over::Broken);
    assert!(took >= Duration::from_millis(1150) && took < Duration::from_secs(4), "{took:?}");
    world.upstream("a").only().left().await;
}

#[tokio::test]
async fn the_deadline_before_the_head_is_a_408() {
    let case = Case::of("m: a").always("a", say::silence()).router("max_request_duration: 0.3");
    let asked = case.ask().await.fails(408);
    asked.world.upstream("a").only().left().await;
}

#[tokio::test]
async fn an_answer_that_ends_within_its_json_is_not_made_to_look_whole() {
    // In chunks, with a proper last one: to the connection it is whole.
    let half = |of: Reply, n| of.broken_after(n, Part::Wait(Duration::ZERO));
    let short = Case::of("m: a b").first("a").always("a", half(say::chat("x"), 100));
    short.ask().await.answered_by("b").calls("a:1 b:1");
    let world = Case::of("m: a").always("a", half(long(), 150_000)).start().await;
    let (_, over, _) = open(&world).await;
    assert_eq!((over, failures(&world, "m", "a").await), (Over::Broken, 1));
}

#[tokio::test]
async fn an_answer_shorter_than_announced_is_not_made_to_look_whole() {
    let length = long().body().len();
    let cut = long().header("content-length", length).broken_after(150_000, Part::Cut);
    let world = Case::of("m: a").always("a", cut).start().await;
    let (stream, over, _) = open(&world).await;
    assert_eq!(over, Over::Broken);
    assert_eq!(stream.headers["content-length"], length.to_string());
    assert_eq!(failures(&world, "m", "a").await, 1);
}

#[tokio::test]
async fn pings_keep_a_stream_alive_unless_pings_keep_alive_is_false() {
    let ping = || Reply::bytes(200, "", ": PROCESSING\n\n").then(Part::Wait(Duration::from_millis(200)));
    let pings = || (0..8).fold(Reply::events::<&str>([]), |all, _| all.and(ping()));
    let script = say::role().and(say::words(&["x"])).and(pings()).and(say::finish()).and(say::done());
    let case = || Case::of("m: a").always("a", script.clone()).params("a", "stream_idle_timeout: 0.8");
    let thinking = case().start().await;
    assert_eq!(thinking.whole_stream(json!({})).await.seen, script.body());
    let stuck = case().router("pings_keep_alive: false").start().await;
    let stream = stuck.whole_stream(json!({})).await;
    assert!(stream.is_honest() && stream.text().contains("idle_timeout"), "{}", stream.text());
}

#[tokio::test]
async fn a_success_without_output_is_retried_elsewhere_and_counted() {
    let faults = [
        Reply::json(200, &json!({})),
        Reply::json(200, &json!({"object": "chat.completion", "choices": [], "usage": {"total_tokens": 1}})),
        Reply::json(200, &json!({"detail": "Internal server error"})),
        Reply::json(200, &json!({"base_resp": {"status_code": 1002, "status_msg": "rate limit"}})),
        say::stream(&["a"]),
    ];
    for fault in faults {
        let asked = Case::of("m: a b").first("a").always("a", fault).ask().await;
        let asked = asked.answered_by("b").calls("a:1 b:1");
        assert_eq!(failures(&asked.world, "m", "a").await, 1);
    }
}

#[tokio::test]
async fn a_success_without_output_and_without_a_sibling_is_an_error() {
    for (fault, status, text) in [
        (Reply::json(200, &json!({})), 502, "empty_answer"),
        (Reply::json(200, &json!({"detail": "it is broken"})), 500, "it is broken"),
        (say::stream(&["a"]), 502, "unrequested_stream"),
    ] {
        let case = Case::of("m: a").always("a", fault).settings("num_retries: 0");
        case.ask().await.fails(status).contains(text);
    }
}
