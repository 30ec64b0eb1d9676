//! What a deployment may be asked for: requests per minute, calls in flight, and the wait for a free place.

use std::{sync::Arc, time::Duration};

use serde_json::json;

use crate::support::{answers as say, case::Case, reply::Gate};

#[tokio::test]
async fn no_deployment_is_called_more_often_than_its_rpm() {
    let world = Case::of("m: a b").params("a", "rpm: 5").params("b", "rpm: 50").start().await;
    assert_eq!(world.statuses(40).await, [200; 40]);
    assert!(world.calls("a") <= 5, "{:?}", world.each("a b"));
}

#[tokio::test]
async fn all_of_a_small_rpm_may_be_used_at_once_and_then_no_more() {
    let world = Case::of("m: a").params("a", "rpm: 6").start().await;
    assert_eq!(world.statuses(6).await, [200; 6]);
    let refused = world.ask().await;
    refused.error(429);
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!(refused.text().contains(&format!("has capacity. Try again in {seconds} s.")), "{refused:?}");
    assert!((50..=61).contains(&seconds), "the first of the six is a minute old in {seconds} s");
    assert_eq!(world.calls("a"), 6);
}

#[tokio::test]
async fn a_full_group_falls_back_at_once() {
    let case = Case::of("m: a; n: b").params("a", "rpm: 1").settings("fallbacks: [{m: [n]}]");
    let world = case.start().await;
    assert_eq!(world.ask().await.said(), "a");
    let second = world.ask().await;
    assert_eq!(second.said(), "b");
    assert!(second.took < Duration::from_secs(1), "{:?}", second.took);
    assert_eq!(world.calls("a"), 1);
}

#[tokio::test]
async fn max_parallel_requests_bounds_calls_in_flight_and_the_next_waits() {
    let gate = Gate::new();
    let case =
        Case::of("m: a").always("a", say::chat("a").held(&gate)).params("a", "max_parallel_requests: 2");
    let world = Arc::new(case.start().await);
    let ask = || {
        let world = world.clone();
        tokio::spawn(async move { world.ask().await })
    };
    let calls = [ask(), ask(), ask()];
    world.upstream("a").call(2).await;
    assert_eq!(world.calls("a"), 2);
    gate.open();
    for call in calls {
        assert_eq!(call.await.unwrap().said(), "a");
    }
    assert_eq!(world.calls("a"), 3);
}

#[tokio::test]
async fn a_request_that_waits_longer_than_queue_timeout_gets_a_429_with_retry_after() {
    let case = Case::of("m: a").always("a", say::silence()).params("a", "max_parallel_requests: 1");
    let world = Arc::new(case.router("queue_timeout: 0.3, num_retries: 0").start().await);
    let first = tokio::spawn({
        let world = world.clone();
        async move { world.ask().await }
    });
    world.upstream("a").call(1).await;
    let refused = world.ask().await;
    refused.error(429);
    assert!(refused.header("retry-after").is_some() && refused.took < Duration::from_secs(2), "{refused:?}");
    assert_eq!(world.calls("a"), 1);
    first.abort();
}

#[tokio::test]
async fn a_client_that_leaves_gives_its_parallel_request_back() {
    let case =
        Case::of("m: a").says("a", [say::silence(), say::chat("a")]).params("a", "max_parallel_requests: 1");
    let world = case.start().await;
    let client = world.gateway.client.clone();
    let first = tokio::spawn(async move { client.chat("m", json!({})).await });
    let call = world.upstream("a").call(1).await;
    first.abort();
    call.left().await;
    assert_eq!(world.ask().await.said(), "a");
}

#[tokio::test]
async fn calls_are_shared_by_weight() {
    let world = Case::of("m: a b").params("a", "weight: 3").params("b", "weight: 1").start().await;
    assert_eq!(world.statuses(100).await, [200; 100]);
    let a = world.calls("a");
    assert!((70..=80).contains(&a), "{a} of 100 by weights of 3 to 1");
}

#[tokio::test]
async fn the_allowed_fails_of_a_deployment_precede_the_general_ones() {
    let case = Case::of("m: a b").always("a", say::server_error()).info("a", "allowed_fails: 0");
    let world =
        case.settings("allowed_fails: 1000, num_retries: 1").router("cooldown_time: 60").start().await;
    assert_eq!(world.statuses(30).await, [200; 30]);
    assert_eq!(world.calls("a"), 1);
}
