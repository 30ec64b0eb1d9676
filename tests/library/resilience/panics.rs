//! A fault of the gateway's own: one request fails, and nothing stays taken.

use serde_json::json;

use super::world::{Act, Plan, now, said};

#[tokio::test(start_paused = true)]
async fn a_panic_is_answered_with_a_call_id_and_counted_and_leaks_nothing() {
    let plan =
        Plan::of("m: a").params("a", "max_parallel_requests: 1").says("a", [now(Act::Panic), now(said("a"))]);
    let world = plan.start();
    let answer = world.ask_with(json!({}), &[("x-litellm-call-id", "mine")]).await;
    assert_eq!((answer.status, &*answer.code()), (500, "internal_error"));
    assert_eq!(answer.header("x-litellm-call-id"), Some("mine"));
    let counted = world.metrics();
    for line in [
        "tollgate_requests_total{operation=\"chat\",status=\"500\",class=\"unavailable\"} 1",
        "tollgate_requests_in_flight 0",
    ] {
        assert!(counted.lines().any(|other| other == line), "{line}: {counted}");
    }
    assert_eq!(world.ask(json!({})).await.by(), Some("a"), "its place is free again");
}
