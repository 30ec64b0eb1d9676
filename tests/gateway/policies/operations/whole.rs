//! The policies of complete responses.

use super::{NO_COOLDOWNS, each, row::is_for};
use crate::support::{
    answers as say,
    case::hangs_up,
    reply::{Part, Reply},
};

/// The settings of tests without retries, in which `m` falls back to `n`.
const FALLBACK: &str = "num_retries: 0, fallbacks: [{m: [n]}]";

#[tokio::test]
async fn each_operation_is_retried_at_another_deployment_after_a_failure() {
    each(|row| async move {
        let world = row.case("m: a b").first("a").router(NO_COOLDOWNS).start().await;
        // The refusal is last: a kept connection that closes is replaced without a retry.
        for failure in [hangs_up(), Reply::nothing(Part::Reset), row.refusals.unavailable.clone()] {
            world.upstream("a").becomes(failure);
            row.served(&world, "b", ["1", "0"]).await;
        }
        assert_eq!(world.each("a b"), [3, 3]);
    })
    .await;
}

#[tokio::test]
async fn each_operation_is_retried_as_often_as_num_retries_states() {
    each(|row| async move {
        let case = row.case("m: a b c").always("a b c", row.refusals.unavailable.clone());
        let world = case.settings("num_retries: 2").start().await;
        let answer = row.send(&world).await;
        assert!(answer.status.is_server_error(), "{}", answer.text());
        assert_eq!(answer.header("x-should-retry"), Some("false"));
        assert_eq!(world.each("a b c"), [1, 1, 1]);
    })
    .await;
}

#[tokio::test]
async fn no_operation_is_retried_after_a_mistake_of_its_client() {
    each(|row| async move {
        let world = row.case("m: a b").always("a b", row.refusals.mistake.clone()).start().await;
        row.refused(&world, 400).await;
        assert_eq!(world.calls("a b"), 1);
    })
    .await;
}

#[tokio::test]
async fn each_operation_leaves_a_deployment_with_a_rate_limit_without_a_retry() {
    each(|row| async move {
        let case = row.case("m: a b").first("a").always("a", row.refusals.rate_limited.clone());
        let world = case.settings("num_retries: 0").start().await;
        row.served(&world, "b", ["1", "0"]).await;
        row.served(&world, "b", ["0", "0"]).await;
        assert_eq!(world.each("a b"), [1, 2], "the wait of the upstream is obeyed");
    })
    .await;
}

#[tokio::test]
async fn each_operation_avoids_a_deployment_in_cooldown() {
    each(|row| async move {
        let case = row.case("m: a b").first("a").always("a", row.refusals.unavailable.clone());
        let world = case.settings("allowed_fails: 0").router("cooldown_time: 60").start().await;
        row.served(&world, "b", ["1", "0"]).await;
        row.served(&world, "b", ["0", "0"]).await;
        assert_eq!(world.each("a b"), [1, 2]);
    })
    .await;
}

#[tokio::test]
async fn each_operation_falls_back_to_another_group() {
    each(|row| async move {
        let case = row.case("m: a; n: b").always("a", row.refusals.unavailable.clone());
        let world = case.settings(FALLBACK).start().await;
        row.served(&world, "b", ["0", "1"]).await;
        is_for(&world.upstream("a").only(), "a-model");
        is_for(&world.upstream("b").only(), "b-model");
    })
    .await;
}

#[tokio::test]
async fn each_operation_has_the_error_of_its_first_group_after_failed_fallbacks() {
    each(|row| async move {
        let case = row.case("m: a; n: b").always("a", row.refusals.mistake.clone());
        let case = case.always("b", row.refusals.unavailable.clone());
        let world = case.settings(FALLBACK).start().await;
        row.refused(&world, 400).await;
        assert_eq!(world.each("a b"), [1, 1]);
    })
    .await;
}

#[tokio::test]
async fn each_operation_with_a_prompt_that_is_too_long_uses_context_window_fallbacks() {
    each(|row| async move {
        let case = row.case("m: a a2; n: b; o: c").always("a a2", row.refusals.context_window.clone());
        let lists = "fallbacks: [{m: [n]}], context_window_fallbacks: [{m: [o]}]";
        let world = case.settings(lists).start().await;
        row.served(&world, "c", ["0", "1"]).await;
        assert_eq!((world.calls("a a2"), world.calls("b")), (1, 0));
    })
    .await;
}

#[tokio::test]
async fn each_operation_that_a_content_policy_refuses_uses_content_policy_fallbacks() {
    each(|row| async move {
        for refusal in
            [Some(row.refusals.content_policy.clone()), row.emptied.clone().ok()].into_iter().flatten()
        {
            let case = row.case("m: a a2; n: b; o: c").always("a a2", refusal);
            let lists = "fallbacks: [{m: [n]}], content_policy_fallbacks: [{m: [o]}]";
            let world = case.settings(lists).start().await;
            row.served(&world, "c", ["0", "1"]).await;
            assert_eq!((world.calls("a a2"), world.calls("b")), (1, 0));
        }
    })
    .await;
}

#[tokio::test]
async fn each_operation_leaves_a_deployment_that_is_silent_when_its_attempt_times_out() {
    each(|row| async move {
        let case = row.case("m: a b").first("a").always("a", say::silence()).patient("b");
        let world = case.settings("request_timeout: 0.3").start().await;
        row.served(&world, "b", ["1", "0"]).await;
        world.upstream("a").only().left().await;
    })
    .await;
}

#[tokio::test]
async fn each_operation_of_which_all_attempts_time_out_is_a_408() {
    each(|row| async move {
        let case = row.case("m: a b").always("a b", say::silence());
        let world = case.settings("request_timeout: 0.2, num_retries: 1").start().await;
        row.refused(&world, 408).await;
        assert_eq!(world.each("a b"), [1, 1]);
    })
    .await;
}

#[tokio::test]
async fn each_operation_ends_at_the_deadline_of_the_request() {
    each(|row| async move {
        let case = row.case("m: a; n: b").always("a b", say::silence()).settings(FALLBACK);
        let world = case.router("max_request_duration: 0.3").start().await;
        row.refused(&world, 408).await;
        assert_eq!(world.each("a b"), [1, 0]);
    })
    .await;
}

#[tokio::test]
async fn each_operation_is_retried_after_a_response_that_breaks() {
    each(|row| async move {
        let world = row.case("m: a b").first("a").router(NO_COOLDOWNS).start().await;
        for end in [Part::Cut, Part::Reset] {
            world.upstream("a").becomes((row.good)("a").broken_after(20, end));
            row.served(&world, "b", ["1", "0"]).await;
        }
        assert_eq!(world.each("a b"), [2, 2]);
    })
    .await;
}

#[tokio::test]
async fn each_operation_ends_upstream_when_its_client_disconnects() {
    each(|row| async move {
        let world = row.case("m: a b").first("a").always("a", say::silence()).start().await;
        let leaves = async { world.upstream("a").call(1).await };
        let call = tokio::select! {
            call = leaves => call,
            answer = row.send(&world) => panic!("an answer: {}", answer.text()),
        };
        call.left().await;
        assert_eq!(world.calls("b"), 0, "a client that has disconnected is not served");
    })
    .await;
}
