//! The clocks: each fires on the fault that only it can catch, and says its name.

use std::time::Duration;

use serde_json::json;

use crate::support::{
    answers as say,
    case::{Case, slow},
    reply::Part,
};

#[tokio::test]
async fn an_attempt_that_hangs_is_given_up_and_the_sibling_is_asked() {
    let case = Case::of("m: a b").first("a").always("a", say::silence()).patient("b");
    let asked = case.settings("request_timeout: 0.3").ask().await;
    asked.answered_by("b").calls("a:1 b:1").took(280, 1500);
}

#[tokio::test]
async fn attempts_that_all_hang_are_a_408() {
    let case =
        Case::of("m: a b").always("a b", say::silence()).settings("request_timeout: 0.2, num_retries: 1");
    case.ask().await.fails(408).calls("a:1 b:1").took(380, 2000);
}

#[tokio::test]
async fn request_timeout_bounds_one_attempt_and_not_the_walk_over_retries() {
    let case = Case::of("m: a b c").always("a b", say::silence()).params("c", "order: 2").patient("c");
    let asked =
        case.params("a", "order: 1").params("b", "order: 1").settings("request_timeout: 0.3").ask().await;
    asked.answered_by("c").took(580, 3000);
}

#[tokio::test]
async fn an_upstream_is_disconnected_when_its_attempt_times_out() {
    let case = Case::of("m: a b").first("a").always("a", say::silence()).patient("b");
    let asked = case.settings("request_timeout: 0.2").ask().await;
    let call = asked.world.upstream("a").only();
    let after = call.left().await.duration_since(call.at);
    assert!(after >= Duration::from_millis(150) && after < Duration::from_millis(1000), "{after:?}");
}

#[tokio::test]
async fn a_body_that_does_not_end_is_cut_by_the_attempt_timeout() {
    let never = say::chat("x").broken_after(50, Part::Hang);
    let case = Case::of("m: a").always("a", never).settings("request_timeout: 0.3, num_retries: 0");
    let world = case.start().await;
    let body = crate::support::client::ask("m", json!({}));
    let request = crate::support::client::request(http::Method::POST, "/chat/completions", body, &[]);
    let mut answer = world.gateway.open(request).await;
    let over = answer.rest().await;
    let whole = answer.status == 408 || over == crate::support::client::Over::Broken;
    assert!(whole, "{} {over:?} {}", answer.status, answer.text());
}

#[tokio::test]
async fn the_timeout_of_a_deployment_precedes_request_timeout() {
    let case = Case::of("m: a").always("a", slow(1000, "a")).params("a", "timeout: 0.2");
    case.settings("request_timeout: 30, num_retries: 0").ask().await.fails(408).took(180, 900);
}

#[tokio::test]
async fn the_timeout_of_a_request_precedes_that_of_its_deployment() {
    for more in [json!({"request_timeout": 0.2}), json!({"timeout": 0.2})] {
        let case = Case::of("m: a").always("a", slow(1000, "a")).params("a", "timeout: 30");
        let asked = case.settings("num_retries: 0").with(more).ask().await;
        let sent = asked.world.upstream("a").only().json();
        assert_eq!((sent.get("timeout"), sent.get("request_timeout")), (None, None));
        asked.fails(408).took(180, 900);
    }
}

#[tokio::test]
async fn a_header_may_set_the_attempt_timeout() {
    let case = Case::of("m: a").always("a", slow(1000, "a")).settings("num_retries: 0");
    case.header("x-litellm-timeout", "0.2").ask().await.fails(408).took(180, 900);
}

#[tokio::test]
async fn the_timeout_of_a_request_may_be_longer_than_the_configured_one() {
    let case = Case::of("m: a").always("a", slow(400, "a")).settings("request_timeout: 0.2, num_retries: 0");
    case.with(json!({"timeout": 5})).ask().await.answered_by("a").calls("a:1");
}

#[tokio::test]
async fn the_whole_request_has_a_deadline_of_its_own() {
    let case = Case::of("m: a b c").always("a b c", say::silence());
    let asked = case.router("timeout: 0.3, max_request_duration: 0.5, num_retries: 2").ask().await;
    asked.fails(408).together("a b c", 2).took(480, 900);
}

#[tokio::test]
async fn a_wait_that_would_pass_the_deadline_is_not_begun() {
    let case = Case::of("m: a; n: b").always("a", say::azure_rate_limited(1500));
    let asked = case.router("max_request_duration: 1, fallbacks: [{m: [n]}]").ask().await;
    asked.answered_by("b").calls("a:1 b:1").took(0, 900);
}

#[tokio::test]
async fn an_upstreams_own_408_and_504_are_passed_on_as_they_are() {
    for status in [408, 504] {
        let reply = say::error(status, "timeout", None, "Request timed out");
        let asked = Case::of("m: a").always("a", reply.clone()).settings("num_retries: 0").ask().await;
        asked.status(status).body(&reply);
    }
}

#[tokio::test]
async fn a_timeout_error_names_the_timeout_and_no_upstream() {
    let case = Case::of("m: a").always("a", say::silence()).settings("request_timeout: 0.1, num_retries: 0");
    let asked = case.ask().await.fails(408).contains("timeout");
    let text = asked.answer.text();
    let url = asked.world.upstream("a").port().to_string();
    assert!(!text.contains(&url) && !text.contains("sk-a"), "an inside was shown: {text}");
}
