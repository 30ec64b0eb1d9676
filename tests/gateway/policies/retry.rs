//! Retry: the same group, another deployment if there is one.

use serde_json::json;

use crate::support::{
    answers as say,
    case::{Case, hangs_up},
    reply::{Part, Reply},
};

#[tokio::test]
async fn a_good_answer_is_not_retried() {
    let asked = Case::of("m: a").ask().await;
    asked.answered_by("a").calls("a:1").retries(0).fallbacks(0).no_header("x-litellm-max-retries");
}

#[tokio::test]
async fn a_server_error_is_retried_on_the_sibling() {
    let asked = Case::of("m: a b").first("a").always("a", say::server_error()).ask().await;
    asked.answered_by("b").calls("a:1 b:1").retries(1).header("x-litellm-max-retries", "2");
}

#[tokio::test]
async fn a_retry_sends_a_prompt_of_megabytes_whole() {
    let code = "if let Some(next) = queue.pop() {\n\tvisit(&next, \"depth\\\\\");\n}\n// größer, 更大\n"
        .repeat(40_000);
    let messages = json!([{"role": "user", "content": code}]);
    let case = Case::of("m: a b").first("a").always("a", say::server_error());
    let asked = case.with(json!({"messages": messages, "num_retries": 1})).ask().await;
    for name in ["a", "b"] {
        let sent = asked.world.upstream(name).call(1).await.json();
        assert!(sent["messages"] == messages, "{name} was sent other messages");
        assert_eq!(sent.get("num_retries"), None);
    }
    asked.answered_by("b").calls("a:1 b:1");
}

#[tokio::test]
async fn retries_call_no_deployment_twice_before_all_were_called() {
    let asked =
        Case::of("m: a b c d").always("a b c d", say::server_error()).settings("num_retries: 3").ask().await;
    asked.fails(500).calls("a:1 b:1 c:1 d:1").body(&say::server_error());
}

#[tokio::test]
async fn two_retries_when_nothing_says_otherwise() {
    let asked = Case::of("m: a").always("a", say::server_error()).ask().await;
    asked.fails(500).calls("a:3").body(&say::server_error());
}

#[tokio::test]
async fn no_retries_when_the_configuration_says_none() {
    let asked = Case::of("m: a b").always("a b", say::server_error()).settings("num_retries: 0").ask().await;
    asked.fails(500).together("a b", 1).took(0, 400);
}

#[tokio::test]
async fn num_retries_of_router_settings_precedes_litellm_settings() {
    let case = Case::of("m: a b c").always("a b c", say::unavailable()).settings("num_retries: 2");
    case.router("num_retries: 1").ask().await.status(503).together("a b c", 2);
}

#[tokio::test]
async fn a_request_may_ask_for_more_retries() {
    let case = Case::of("m: a b c").always("a b c", say::unavailable()).settings("num_retries: 0");
    let asked = case.with(json!({"num_retries": 2})).ask().await;
    asked.status(503).calls("a:1 b:1 c:1");
}

#[tokio::test]
async fn a_request_may_ask_for_no_retries() {
    let case = Case::of("m: a b c").always("a b c", say::unavailable()).settings("num_retries: 2");
    case.with(json!({"num_retries": 0})).ask().await.status(503).together("a b c", 1);
}

#[tokio::test]
async fn the_num_retries_header_precedes_the_body() {
    let case = Case::of("m: a b c").always("a b c", say::unavailable()).with(json!({"num_retries": 0}));
    case.header("x-litellm-num-retries", "1").ask().await.status(503).together("a b c", 2);
}

#[tokio::test]
async fn num_retries_is_not_sent_upstream() {
    let asked = Case::of("m: a").with(json!({"num_retries": 1, "temperature": 0.5})).ask().await;
    let sent = asked.world.upstream("a").only().json();
    assert_eq!((sent.get("num_retries"), &sent["temperature"]), (None, &json!(0.5)));
}

#[tokio::test]
async fn num_retries_of_the_failed_deployment_precedes_the_general_one() {
    let case = Case::of("m: a").always("a", say::unavailable()).params("a", "num_retries: 0");
    case.settings("num_retries: 2").ask().await.status(503).calls("a:1");
}

#[tokio::test]
async fn an_error_of_the_caller_is_not_retried() {
    let asked = Case::of("m: a b").always("a b", say::bad_request()).ask().await;
    asked.fails(400).together("a b", 1).body(&say::bad_request());
}

#[tokio::test]
async fn a_bad_request_that_mentions_a_rate_limit_is_not_retried() {
    let mistake = say::error(400, "invalid_request_error", None, "unknown field 'rate limit 429'");
    let asked = Case::of("m: a b").always("a b", mistake.clone()).ask().await;
    asked.fails(400).together("a b", 1).body(&mistake);
}

#[tokio::test]
async fn a_context_window_error_is_not_retried() {
    let asked = Case::of("m: a b").always("a b", say::context_window()).ask().await;
    asked.fails(400).together("a b", 1).body(&say::context_window());
}

#[tokio::test]
async fn a_content_policy_error_is_not_retried() {
    let asked = Case::of("m: a b").always("a b", say::content_policy()).ask().await;
    asked.fails(400).together("a b", 1).body(&say::content_policy());
}

#[tokio::test]
async fn a_bad_key_at_the_only_deployment_is_not_retried() {
    let asked = Case::of("m: a").always("a", say::unauthorized()).ask().await;
    asked.fails(401).calls("a:1");
}

#[tokio::test]
async fn a_bad_key_is_retried_at_another_deployment() {
    for refusal in [say::unauthorized(), say::forbidden(), say::not_found()] {
        let asked = Case::of("m: a b").first("a").always("a", refusal).ask().await;
        asked.answered_by("b").calls("a:1").retries(1);
    }
}

#[tokio::test]
async fn every_passing_failure_is_retried() {
    let failures = [
        say::error(408, "timeout", None, "Request timed out"),
        say::error(409, "conflict", None, "try again"),
        say::server_error(),
        say::bad_gateway(),
        say::unavailable(),
        say::error(504, "timeout", None, "Gateway timeout"),
        say::error(529, "overloaded_error", None, "Overloaded"),
        say::tgi_generation(),
    ];
    for failure in failures {
        let asked = Case::of("m: a b").first("a").always("a", failure).ask().await;
        asked.answered_by("b").calls("a:1 b:1");
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_or_reset_before_the_answer_is_retried_elsewhere() {
    for how in [Part::Cut, Part::Reset] {
        let asked = Case::of("m: a b").first("a").always("a", Reply::nothing(how)).ask().await;
        asked.answered_by("b").calls("a:1 b:1");
    }
}

#[tokio::test]
async fn a_port_where_nobody_listens_costs_no_retry_and_hardly_any_time() {
    let asked = Case::of("m: a b").first("a").refuses("a").settings("num_retries: 0").ask().await;
    asked.answered_by("b").took(0, 300);
}

#[tokio::test]
async fn a_429_moves_on_without_spending_a_retry() {
    let case = Case::of("m: a b").first("a").always("a", say::rate_limited("30")).settings("num_retries: 0");
    case.ask().await.answered_by("b").calls("a:1 b:1").took(0, 1000);
}

#[tokio::test]
async fn a_429_with_a_long_retry_after_is_shown_at_once_by_the_only_deployment() {
    let asked = Case::of("m: a").always("a", say::rate_limited("30")).ask().await;
    asked.status(429).calls("a:1").took(0, 1000);
}

#[tokio::test]
async fn a_429_with_a_short_retry_after_is_waited_for() {
    let limited = say::azure_rate_limited(300);
    let asked = Case::of("m: a").says("a", [limited, say::chat("a")]).ask().await;
    asked.answered_by("a").calls("a:2").took(280, 2000);
}

#[tokio::test]
async fn a_retry_at_the_same_deployment_comes_after_a_backoff() {
    let asked = Case::of("m: a").says("a", [hangs_up(), hangs_up(), say::chat("a")]).ask().await;
    asked.answered_by("a").calls("a:3").retries(2);
}

#[tokio::test]
async fn there_is_no_backoff_after_the_last_retry() {
    let case = Case::of("m: a b").always("a b", say::server_error()).settings("num_retries: 1");
    case.ask().await.fails(500).calls("a:1 b:1").took(0, 400);
}

#[tokio::test]
async fn max_attempts_bounds_retries_and_fallbacks_together() {
    let case = Case::of("m: a b c; n: d e f").always("a b c d e f", say::server_error());
    let asked = case.router("num_retries: 2, max_attempts: 4, fallbacks: [{m: [n]}]").ask().await;
    asked.fails(500).calls("a:1 b:1 c:1").together("d e f", 1);
}

#[tokio::test]
async fn max_attempts_is_a_bound_on_the_walk_through_groups_too() {
    let case = Case::of("m: a; n: b; o: c").always("a b c", say::server_error());
    let asked = case.router("num_retries: 0, max_attempts: 2, fallbacks: [{m: [n, o]}]").ask().await;
    asked.fails(500).in_order("a b").calls("c:0");
}

#[tokio::test]
async fn an_error_after_retries_has_x_should_retry_false() {
    let asked = Case::of("m: a b").always("a b", say::server_error()).settings("num_retries: 1").ask().await;
    asked.fails(500).header("x-should-retry", "false");
}

#[tokio::test]
async fn after_retries_the_last_answer_of_the_group_is_shown() {
    let scripts = [say::server_error(), say::unavailable()];
    let asked = Case::of("m: a").says("a", scripts).settings("num_retries: 1").ask().await;
    asked.status(503).body(&say::unavailable()).calls("a:2");
}
