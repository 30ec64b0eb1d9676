//! What one party does must not harm the others: client libraries that retry too, clients in a hurry, clients who leave.

use std::time::Duration;

use serde_json::json;

use super::world::{Act, Answer, Plan, World, error, ms, now, said};

/// OpenAI's SDK with `max_retries=2`: it obeys `x-should-retry`, and else repeats 408, 409, 429 and 5xx after the time
/// that it is told.
async fn sdk(world: &World) -> (Answer, usize) {
    for sent in 1.. {
        let answer = world.ask(json!({})).await;
        let again = match answer.header("x-should-retry") {
            Some("true") => true,
            Some("false") => false,
            _ => matches!(answer.status, 408 | 409 | 429 | 500..),
        };
        if !again || sent == 3 {
            return (answer, sent);
        }
        let told = answer.header("retry-after-ms").and_then(|millis| millis.parse().ok());
        tokio::time::sleep(told.map_or(ms(500), Duration::from_millis)).await;
    }
    unreachable!()
}

#[tokio::test(start_paused = true)]
async fn retries_of_a_client_library_are_not_multiplied_by_those_of_the_gateway() {
    for act in [error(500, "down"), error(503, "busy"), Act::Break, error(408, "slow")] {
        let world = Plan::of("m: a b c").always("a b c", act.clone()).settings("num_retries: 2").start();
        let (answer, sent) = sdk(&world).await;
        assert_ne!(answer.status, 200);
        assert_eq!((sent, answer.header("x-should-retry")), (1, Some("false")), "{act:?}");
        assert_eq!(world.calls("a b c"), 3, "{act:?}: {}", world.order());
    }
}

/// Moving on from a connection that was refused, or from a limit that is reached, spends no retry: once for each
/// deployment.
#[tokio::test(start_paused = true)]
async fn free_retries_are_not_multiplied_by_a_client_library() {
    for act in [Act::Refuse, error(429, "rate_limit_exceeded")] {
        let world = Plan::of("m: a b c").always("a b c", act.clone()).settings("num_retries: 2").start();
        let (_, sent) = sdk(&world).await;
        assert_eq!(sent, 1, "{act:?}");
        assert!(world.calls("a b c") <= 5, "{act:?}: {}", world.order());
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_gateway_has_retry_after_and_a_library_that_waits_is_served() {
    let world = Plan::of("m: a").params("a", "rpm: 6").settings("queue_timeout: 0").start();
    for _ in 0..6 {
        assert_eq!(world.ask(json!({})).await.status, 200);
    }
    let (answer, sent) = sdk(&world).await;
    assert_eq!((answer.status, sent), (200, 2), "refused once, told when, and then admitted");
}

#[tokio::test(start_paused = true)]
async fn a_full_group_and_a_failed_fallback_leave_x_should_retry_out() {
    let settings = "num_retries: 0, queue_timeout: 0, fallbacks: [{m: [n]}]";
    let plan = Plan::of("m: a; n: b").params("a", "rpm: 1").always("b", error(500, "down"));
    let world = plan.settings(settings).start();
    world.ask(json!({})).await;
    let answer = world.ask(json!({})).await;
    assert_eq!((answer.status, world.order().as_str()), (429, "a b"));
    assert_eq!(answer.header("x-should-retry"), None);
    assert!(answer.header("retry-after").is_some());
    assert_eq!(answer.header("x-tollgate-tried-groups"), Some("n"));
}

#[tokio::test(start_paused = true)]
async fn short_timeouts_of_clients_cool_no_deployment_down() {
    let plan = Plan::of("m: a b").says("a", [(ms(300), said("a"))]).says("b", [(ms(300), said("b"))]);
    let world = plan.settings("allowed_fails: 1, num_retries: 0, cooldown_time: 60").start();
    for _ in 0..20 {
        let answer = world.ask_with(json!({}), &[("x-litellm-timeout", "0.05")]).await;
        assert_eq!((answer.status, answer.took), (408, ms(50)));
    }
    let before = [world.calls("a"), world.calls("b")];
    for _ in 0..10 {
        assert_eq!(world.ask(json!({})).await.status, 200);
    }
    assert!(world.calls("a") > before[0] && world.calls("b") > before[1], "both are used");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_cools_no_deployment_down() {
    let plan = Plan::of("m: a b").says("a", [(ms(300), said("a"))]).says("b", [(ms(300), said("b"))]);
    let settings = "allowed_fails: 0, num_retries: 0, cooldown_time: 60, max_request_duration: 0.1";
    let world = plan.settings(settings).start();
    for _ in 0..20 {
        assert_eq!(world.ask(json!({})).await.status, 408);
    }
    assert!(world.calls("a") >= 8 && world.calls("b") >= 8, "{}", world.order());
}

#[tokio::test(start_paused = true)]
async fn clients_that_leave_cool_no_deployment_down_and_give_a_probe_back() {
    let settings = "allowed_fails: 0, num_retries: 0, cooldown_time: 1";
    let plan = Plan::of("m: a b").says("a", [now(error(500, "down")), (Duration::ZERO, Act::Hang)]);
    let world = plan.settings(settings).start();
    while world.calls("a") < 1 {
        world.ask(json!({})).await;
    }
    tokio::time::sleep(ms(1_100)).await;
    // The probe hangs, and whoever made it leaves: the next one may probe again.
    for _ in 0..3 {
        let before = world.calls("a");
        while world.calls("a") == before {
            let _ = tokio::time::timeout(ms(50), world.ask(json!({}))).await;
        }
    }
    world.becomes("a", said("a"));
    let before = world.calls("a");
    for _ in 0..10 {
        assert_eq!(world.ask(json!({})).await.status, 200);
    }
    assert!(world.calls("a") > before, "it is well and has its share again");
}

#[tokio::test(start_paused = true)]
async fn failures_of_a_fallback_count_for_cooldown_of_its_deployments() {
    let settings = "num_retries: 0, allowed_fails: 1, cooldown_time: 60, fallbacks: [{m: [n]}]";
    let plan = Plan::of("m: a; n: b c").always("a b", error(500, "down"));
    let world = plan.settings(settings).start();
    for _ in 0..30 {
        world.ask(json!({})).await;
    }
    assert_eq!(world.calls("b"), 2, "benched, though only ever a fallback");
}
