//! Tokens of streams: asked for where they are metered, taken out again where the client did not ask, and settled.
//! And events that are no JSON.

use serde_json::json;

use super::counter;
use crate::support::{answers as say, case::Case, reply::Reply};

fn whole() -> Reply {
    say::role().and(say::words(&["x"])).and(say::finish()).and(say::usage()).and(say::done())
}

#[tokio::test]
async fn usage_is_asked_for_where_tokens_are_metered_and_passed_on_only_when_asked_for() {
    let world = Case::of("m: a").always("a", whole()).params("a", "tpm: 100000").start().await;
    let stream = world.whole_stream(json!({})).await;
    assert_eq!(world.upstream("a").only().json()["stream_options"], json!({"include_usage": true}));
    assert_eq!(stream.text().as_bytes(), say::stream(&["x"]).body());
}

#[tokio::test]
async fn other_stream_options_stay_and_usage_is_passed_on_when_asked_for() {
    let world = Case::of("m: a").always("a", whole()).params("a", "tpm: 100000").start().await;
    world.whole_stream(json!({"stream_options": {"x": 1}})).await;
    let asked = world.whole_stream(json!({"stream_options": {"include_usage": true}})).await;
    let refused = world.whole_stream(json!({"stream_options": {"include_usage": false}})).await;
    let sent: Vec<_> =
        world.upstream("a").calls().iter().map(|call| call.json()["stream_options"].clone()).collect();
    assert_eq!(sent[0], json!({"x": 1, "include_usage": true}));
    assert_eq!(sent[1..], [json!({"include_usage": true}), json!({"include_usage": false})]);
    assert_eq!(asked.seen, whole().body());
    assert!(refused.text().contains("\"usage\"") || refused.text().contains("[DONE]"));
}

#[tokio::test]
async fn without_a_tpm_usage_is_not_asked_for() {
    let world = Case::of("m: a").always("a", whole()).params("a", "rpm: 100").start().await;
    let stream = world.whole_stream(json!({})).await;
    assert_eq!(world.upstream("a").only().json().get("stream_options"), None);
    assert_eq!(stream.seen, whole().body(), "what nobody asked for but the upstream sends is passed on");
}

#[tokio::test]
async fn usage_is_not_asked_of_a_vendor_that_refuses_stream_options() {
    let mistral =
        Case::of("m: a").always("a", whole()).params("a", "tpm: 100000, custom_llm_provider: mistral");
    let world = mistral.start().await;
    let stream = world.whole_stream(json!({})).await;
    assert_eq!(world.upstream("a").only().json().get("stream_options"), None);
    assert_eq!(stream.seen, whole().body(), "it tells it unasked, and nothing is taken out");
}

#[tokio::test]
async fn the_token_reservation_of_a_stream_is_settled_to_its_usage() {
    // Each is reserved with more than 500 tokens and costs 21: four fit into 600 only if they are settled.
    let case = Case::of("m: a").always("a", whole()).params("a", "tpm: 600").settings("num_retries: 0");
    let world = case.router("queue_timeout: 0").start().await;
    for n in 0..4 {
        let stream = world.whole_stream(json!({"max_tokens": 500})).await;
        assert_eq!(stream.status, 200, "call {n}: {}", stream.text());
    }
}

#[tokio::test]
async fn tokens_of_a_stream_beyond_its_reservation_are_counted() {
    let usage = json!({"choices": [], "usage": {"prompt_tokens": 500, "completion_tokens": 100, "total_tokens": 600}});
    let script = say::role().and(say::words(&["x"])).and(say::finish());
    let script = script.and(Reply::events([usage.to_string()])).and(say::done());
    let case = Case::of("m: a").always("a", script).params("a", "tpm: 600").settings("num_retries: 0");
    let world = case.router("queue_timeout: 0").start().await;
    let ask = async || world.whole_stream(json!({"max_tokens": 100})).await.status.as_u16();
    assert_eq!([ask().await, ask().await], [200, 429], "all of the limit is used");
    assert_eq!(world.calls("a"), 1);
}

#[tokio::test]
async fn an_event_that_is_no_json_is_dropped_and_counted_unless_it_is_to_pass() {
    let bad = Reply::events(["{\"choices\":[{\"delta\""]);
    let with_bad =
        |bad: Reply| say::role().and(say::words(&["x"])).and(bad).and(say::finish()).and(say::done());
    let counted = "tollgate_deployment_broken_events_total{group=\"m\",deployment=\"a\"}";
    let world = Case::of("m: a").always("a", with_bad(bad.clone())).start().await;
    assert_eq!(world.whole_stream(json!({})).await.seen, say::stream(&["x"]).body());
    assert_eq!(counter(&world, counted).await, 1);
    for section in [Case::router, Case::settings] {
        let case = section(Case::of("m: a").always("a", with_bad(bad.clone())), "broken_events: pass");
        let world = case.start().await;
        assert_eq!(world.whole_stream(json!({})).await.seen, with_bad(bad.clone()).body());
        assert_eq!(counter(&world, counted).await, 1);
    }
}
