//! `early_heartbeat` over sockets: the client of a slow stream receives its head and comments.

use serde_json::{Value, json};

use crate::support::{
    answers as say,
    case::{Case, World},
    client::{Over, Stream},
    reply::{Gate, Part},
};

const HEARTBEAT: &str = ": heartbeat\n\n";

async fn open(world: &World) -> Stream {
    world.gateway.stream("m", json!({})).await
}

/// Removes the heartbeats at the beginning; there is at least one.
fn after_heartbeats(stream: &Stream) -> String {
    let text = stream.text();
    let rest = text.trim_start_matches(HEARTBEAT);
    assert_ne!(rest.len(), text.len(), "{text}");
    rest.to_owned()
}

#[tokio::test]
async fn heartbeats_arrive_while_the_upstream_is_silent_and_then_the_stream_byte_for_byte() {
    let gate = Gate::new();
    let case =
        Case::of("m: a").router("early_heartbeat: 0.02").always("a", say::stream(&["late"]).held(&gate));
    let world = case.start().await;
    let mut stream = open(&world).await;
    assert_eq!(stream.status, 200);
    assert_eq!(stream.headers["content-type"], "text/event-stream");
    assert_eq!(
        (stream.headers.get("x-litellm-model-id"), &stream.headers["cache-control"]),
        (None, &"no-cache".parse().unwrap())
    );
    stream.until(&HEARTBEAT.repeat(3)).await;
    gate.open();
    assert_eq!(stream.rest().await, Over::Cleanly);
    assert_eq!(after_heartbeats(&stream).as_bytes(), say::stream(&["late"]).body());
}

#[tokio::test]
async fn heartbeats_arrive_while_a_stream_has_no_content_yet() {
    let gate = Gate::new();
    let script = say::role().then(Part::Until(gate.clone())).and(say::stream(&["late"]));
    let world = Case::of("m: a").router("early_heartbeat: 0.02").always("a", script.clone()).start().await;
    let mut stream = open(&world).await;
    stream.until(HEARTBEAT).await;
    gate.open();
    assert_eq!(stream.rest().await, Over::Cleanly);
    assert_eq!(after_heartbeats(&stream).as_bytes(), script.body());
}

#[tokio::test]
async fn an_error_after_heartbeats_is_an_event_at_the_end() {
    let gate = Gate::new();
    let case = Case::of("m: a").router("early_heartbeat: 0.02, num_retries: 0");
    let world = case.always("a", say::server_error().held(&gate)).start().await;
    let mut stream = open(&world).await;
    stream.until(HEARTBEAT).await;
    gate.open();
    assert_eq!(stream.rest().await, Over::Cleanly);
    let rest = after_heartbeats(&stream);
    let event = rest.strip_prefix("data: ").and_then(|rest| rest.strip_suffix("\n\n")).unwrap();
    let event: Value = serde_json::from_str(event).unwrap();
    let upstream: Value = serde_json::from_slice(&say::server_error().body()).unwrap();
    assert_eq!(event["error"]["message"], upstream["error"]["message"]);
}

#[tokio::test]
async fn a_fallback_responds_after_heartbeats() {
    let gate = Gate::new();
    let case = Case::of("m: a; n: b").router("early_heartbeat: 0.02, num_retries: 0, fallbacks: [{m: [n]}]");
    let world = case.always("a", say::server_error().held(&gate)).start().await;
    let mut stream = open(&world).await;
    stream.until(HEARTBEAT).await;
    gate.open();
    assert_eq!(stream.rest().await, Over::Cleanly);
    assert_eq!(after_heartbeats(&stream).as_bytes(), say::stream(&["b"]).body());
}

#[tokio::test]
async fn a_client_that_disconnects_after_heartbeats_ends_the_upstreams_call() {
    let world = Case::of("m: a").router("early_heartbeat: 0.02").always("a", say::silence()).start().await;
    let client = world.gateway.client.clone();
    let call = tokio::spawn(async move {
        let mut stream = client.stream("m", json!({})).await;
        stream.rest().await
    });
    let seen = world.upstream("a").call(1).await;
    call.abort();
    seen.left().await;
    let mut stream = open(&world).await;
    stream.until(HEARTBEAT).await;
    drop(stream);
    world.upstream("a").call(2).await.left().await;
}

#[tokio::test]
async fn a_response_that_is_not_a_stream_is_not_changed_by_early_heartbeats() {
    let late = say::chat("late").after(std::time::Duration::from_millis(100));
    let asked = Case::of("m: a").router("early_heartbeat: 0.001").always("a", late.clone()).ask().await;
    asked.status(200).header("x-litellm-model-id", "a").body(&late);
}
