//! Cooldown: who failed too often sits out, and nothing else does.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::support::{
    PATIENCE, answers as say,
    case::{Case, World, slow},
};

/// Asks until this upstream is called again, and gives how long that took.
async fn until_called(world: &World, name: &str) -> Duration {
    let (start, before) = (Instant::now(), world.calls(name));
    while world.calls(name) == before {
        assert!(start.elapsed() < PATIENCE, "{name} was never called again");
        world.ask().await;
    }
    start.elapsed()
}

#[tokio::test]
async fn a_deployment_that_failed_more_than_allowed_fails_cools_down() {
    let case = Case::of("m: a b").always("a", say::server_error());
    let world = case.settings("allowed_fails: 1, num_retries: 1").router("cooldown_time: 60").start().await;
    assert_eq!(world.statuses(60).await, [200; 60]);
    assert_eq!(world.calls("a"), 2, "called until it had failed twice, and then no more");
}

#[tokio::test]
async fn failures_that_a_retry_hid_count_for_cooldown() {
    let case =
        Case::of("m: a b c").always("a b", say::server_error()).settings("allowed_fails: 0, num_retries: 2");
    let world = case.router("cooldown_time: 60").start().await;
    assert_eq!(world.statuses(20).await, [200; 20]);
    assert_eq!(world.each("a b"), [1, 1]);
}

#[tokio::test]
async fn a_deployment_is_called_again_after_its_cooldown() {
    let case = Case::of("m: a b").says("a", [say::server_error(), say::chat("a")]);
    let world = case.settings("allowed_fails: 0, num_retries: 1").router("cooldown_time: 0.5").start().await;
    until_called(&world, "a").await;
    let benched = until_called(&world, "a").await;
    assert!(benched >= Duration::from_millis(400), "back after {benched:?}");
}

#[tokio::test]
async fn a_probe_that_fails_makes_the_cooldown_longer() {
    let case = Case::of("m: a b").always("a", say::server_error());
    let world = case.settings("allowed_fails: 0, num_retries: 1").router("cooldown_time: 0.8").start().await;
    until_called(&world, "a").await;
    let (first, second) = (until_called(&world, "a").await, until_called(&world, "a").await);
    assert!(second > first.mul_f64(1.5), "{first:?}, then {second:?}");
}

#[tokio::test]
async fn a_deployment_with_a_bad_key_cools_down_at_once() {
    for refusal in [say::unauthorized(), say::not_found()] {
        let case = Case::of("m: a b").always("a", refusal).router("cooldown_time: 60");
        let world = case.start().await;
        assert_eq!(world.statuses(30).await, [200; 30]);
        assert_eq!(world.calls("a"), 1);
    }
}

#[tokio::test]
async fn errors_of_the_caller_never_count_for_cooldown() {
    let mistakes = [say::bad_request(), say::context_window(), say::content_policy(), say::tgi_too_long()];
    for mistake in mistakes {
        let case = Case::of("m: a b").always("a b", mistake).settings("allowed_fails: 0, num_retries: 0");
        let world = case.start().await;
        world.statuses(20).await;
        assert!(world.each("a b").iter().all(|calls| *calls > 3), "{:?}", world.each("a b"));
    }
}

#[tokio::test]
async fn a_deployment_is_closed_after_a_429_for_exactly_its_retry_after() {
    let case = Case::of("m: a b")
        .says("a", [say::azure_rate_limited(600), say::chat("a")])
        .router("cooldown_time: 60");
    let world = case.start().await;
    until_called(&world, "a").await;
    let benched = until_called(&world, "a").await;
    assert!(benched >= Duration::from_millis(500) && benched < Duration::from_millis(2500), "{benched:?}");
}

#[tokio::test]
async fn the_only_deployment_obeys_retry_after_and_reports_it() {
    let world =
        Case::of("m: a").always("a", say::rate_limited("30")).settings("num_retries: 0").start().await;
    assert_eq!(world.ask().await.status, 429);
    let refused = world.ask().await;
    refused.error(429);
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((28..=30).contains(&seconds), "{seconds}");
    let millis: u64 = refused.header("retry-after-ms").unwrap().parse().unwrap();
    assert!((28_000..=30_000).contains(&millis), "{millis}");
    assert_eq!(refused.header("x-should-retry"), None, "our own refusals may be tried again");
    assert_eq!(world.calls("a"), 1, "a call that the server has already refused is not made");
}

#[tokio::test]
async fn a_useless_retry_after_means_that_none_was_given() {
    for word in ["0", "-5", "soon", "Wed, 21 Oct 2015 07:28:00 GMT"] {
        let limited = say::rate_limited_without_a_time().header("retry-after", word);
        let case = Case::of("m: a b").says("a", [limited, say::chat("a")]);
        let world = case.start().await;
        until_called(&world, "a").await;
        let benched = until_called(&world, "a").await;
        assert!(benched >= Duration::from_millis(700), "{word}: back after {benched:?}");
    }
}

#[tokio::test]
async fn cooldown_never_closes_a_group() {
    let case =
        Case::of("m: a b").always("a b", say::server_error()).settings("allowed_fails: 0, num_retries: 0");
    let world = case.router("cooldown_time: 60").start().await;
    assert_eq!(world.statuses(10).await, [500; 10]);
    assert_eq!(world.calls("a b"), 10, "each request was tried, though both were benched");
}

#[tokio::test]
async fn a_group_in_cooldown_serves_at_once_when_it_has_recovered() {
    let case =
        Case::of("m: a b").always("a b", say::server_error()).settings("allowed_fails: 0, num_retries: 0");
    let world = case.router("cooldown_time: 60").start().await;
    world.statuses(4).await;
    for name in ["a", "b"] {
        world.upstream(name).becomes(say::chat(name));
    }
    assert_eq!(world.statuses(10).await, [200; 10]);
}

#[tokio::test]
async fn cooldown_time_zero_switches_cooldown_off_for_one_deployment() {
    let case = Case::of("m: a b").always("a", say::server_error()).params("a", "cooldown_time: 0");
    let world = case.settings("allowed_fails: 0, num_retries: 1").router("cooldown_time: 60").start().await;
    assert_eq!(world.statuses(30).await, [200; 30]);
    assert!(world.calls("a") > 3, "{}", world.calls("a"));
}

#[tokio::test]
async fn the_cooldown_time_of_a_deployment_precedes_the_general_one() {
    let case =
        Case::of("m: a b").says("a", [say::server_error(), say::chat("a")]).params("a", "cooldown_time: 0.3");
    let world = case.settings("allowed_fails: 0, num_retries: 1").router("cooldown_time: 600").start().await;
    until_called(&world, "a").await;
    let benched = until_called(&world, "a").await;
    assert!(benched >= Duration::from_millis(250), "{benched:?}");
}

#[tokio::test]
async fn a_short_timeout_of_a_client_does_not_count_for_cooldown() {
    let case = Case::of("m: a b").says("a", [slow(300, "a")]).says("b", [slow(300, "b")]);
    let world = case.settings("allowed_fails: 1, num_retries: 0").router("cooldown_time: 60").start().await;
    for _ in 0..20 {
        assert_eq!(world.ask_with(json!({"timeout": 0.05})).await.status, 408);
    }
    let before = world.each("a b");
    assert_eq!(world.statuses(10).await, [200; 10]);
    let after = world.each("a b");
    assert!(after.iter().zip(&before).all(|(after, before)| after > before), "{before:?} {after:?}");
}

#[tokio::test]
async fn a_hanging_deployment_cools_down_after_its_own_timeouts() {
    let case = Case::of("m: a b").always("a", say::silence()).patient("b");
    let settings = "allowed_fails: 1, num_retries: 1, request_timeout: 0.1";
    let world = case.settings(settings).router("cooldown_time: 60").start().await;
    assert_eq!(world.statuses(30).await, [200; 30]);
    assert_eq!(world.calls("a"), 2);
}

#[tokio::test]
async fn without_allowed_fails_five_failures_in_a_row_start_a_cooldown() {
    let case = Case::of("m: a b").always("a", say::server_error()).settings("num_retries: 1");
    let world = case.router("cooldown_time: 60").start().await;
    assert_eq!(world.statuses(60).await, [200; 60]);
    assert!((3..=5).contains(&world.calls("a")), "{}", world.calls("a"));
}

#[tokio::test]
async fn a_deployment_that_refuses_every_connection_costs_nobody_an_answer() {
    let case = Case::of("m: a b").refuses("a").settings("num_retries: 0");
    let world = case.start().await;
    assert_eq!(world.statuses(50).await, [200; 50]);
}
