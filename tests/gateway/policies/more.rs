//! What the other tables leave out: accounts, budgets, policies by error, tiers, and what is said when all has failed.

use serde_json::{Value, json};

use crate::support::{
    answers as say,
    case::{Case, hangs_up},
    reply::Reply,
};

fn used_up() -> Reply {
    say::error(429, "insufficient_quota", Some("insufficient_quota"), "You exceeded your current quota")
}

#[tokio::test]
async fn a_used_up_account_closes_all_deployments_of_its_quota_group() {
    let case = Case::of("m: a b c").always("a b", used_up());
    let case = case.info("a", "quota_group: ours").info("b", "quota_group: ours");
    let world = case.settings("num_retries: 0").start().await;
    assert_eq!(world.statuses(30).await, [200; 30]);
    assert_eq!(world.calls("a b"), 1, "one refusal speaks for both");
}

#[tokio::test]
async fn without_a_quota_group_each_deployment_has_an_account_of_its_own() {
    let world = Case::of("m: a b c").always("a b", used_up()).settings("num_retries: 0").start().await;
    assert_eq!(world.statuses(30).await, [200; 30]);
    assert_eq!(world.each("a b"), [1, 1]);
}

#[tokio::test]
async fn a_retry_budget_of_zero_allows_no_retry() {
    let case = Case::of("m: a b").always("a b", say::server_error());
    let case = case.router("num_retries: 3, retry_budget: {percent: 0, reserve: 0}");
    case.ask().await.fails(500).together("a b", 1).header("x-should-retry", "false");
}

#[tokio::test]
async fn a_retry_budget_of_zero_still_allows_a_fallback() {
    let case = Case::of("m: a; n: b").always("a", say::server_error());
    let case = case.router("retry_budget: {percent: 0, reserve: 0}, fallbacks: [{m: [n]}]");
    case.ask().await.answered_by("b").calls("a:1");
}

#[tokio::test]
async fn retries_may_be_counted_by_error() {
    let policy = "num_retries: 0, retry_policy: {InternalServerErrorRetries: 2, TimeoutErrorRetries: 1}";
    let case = || Case::of("m: a b c").router(policy);
    case().always("a b c", say::server_error()).ask().await.fails(500).together("a b c", 3);
    case().always("a b c", say::unavailable()).ask().await.status(503).together("a b c", 1);
}

#[tokio::test]
async fn the_retry_policy_of_a_group_replaces_the_general_one() {
    let policy = "num_retries: 0, retry_policy: {InternalServerErrorRetries: 2}, \
                  model_group_retry_policy: {m: {InternalServerErrorRetries: 1}}";
    let case = || Case::of("m: a b c; n: d e f").always("a b c d e f", say::server_error()).router(policy);
    case().ask().await.fails(500).together("a b c", 2);
    case().with(json!({"model": "n"})).ask().await.fails(500).together("d e f", 3);
}

#[tokio::test]
async fn allowed_fails_policy_counts_failures_by_error() {
    let case = Case::of("m: a b").always("a", say::server_error());
    let policy = "allowed_fails: 0, cooldown_time: 60, num_retries: 1, \
                  allowed_fails_policy: {InternalServerErrorAllowedFails: 4}";
    let world = case.router(policy).start().await;
    assert_eq!(world.statuses(40).await, [200; 40]);
    assert_eq!(world.calls("a"), 5);
}

#[tokio::test]
async fn each_order_of_deployments_is_tried_in_turn() {
    let case = Case::of("m: a b c").params("a", "order: 2").params("b", "order: 1").params("c", "order: 3");
    let asked = case.always("a b", say::server_error()).settings("num_retries: 2").ask().await;
    asked.answered_by("c").in_order("b a c");
}

#[tokio::test]
async fn a_prompt_beyond_max_input_tokens_goes_to_the_context_window_fallback_unsent() {
    let case = Case::of("m: a; n: b").info("a", "max_input_tokens: 20");
    let long = json!({"messages": [{"role": "user", "content": "so many words ".repeat(100)}]});
    let asked = case.settings("context_window_fallbacks: [{m: [n]}]").with(long).ask().await;
    asked.answered_by("b").calls("a:0").fallbacks(1);
}

#[tokio::test]
async fn embeddings_and_lists_of_prompts_never_change_their_model_by_a_preflight() {
    let case = || {
        Case::of("m: a; n: b")
            .info("a", "max_input_tokens: 20")
            .settings("context_window_fallbacks: [{m: [n]}]")
    };
    let long = "so many words ".repeat(100);
    let inputs = vec!["a short input"; 100];
    for (path, reply, body) in [
        ("/v1/embeddings", say::embedding(), json!({"model": "m", "input": inputs})),
        ("/v1/embeddings", say::embedding(), json!({"model": "m", "input": long})),
        ("/v1/completions", say::completion("a"), json!({"model": "m", "prompt": inputs})),
    ] {
        let world = case().always("a b", reply).start().await;
        let answer = world.gateway.post(path, body.to_string()).await;
        assert_eq!((answer.status.as_u16(), world.each("a b")), (200, vec![1, 0]), "{path}");
    }
    let world = case().always("a b", say::completion("a")).start().await;
    world.gateway.post("/v1/completions", json!({"model": "m", "prompt": long}).to_string()).await;
    assert_eq!(world.each("a b"), [0, 1], "one prompt is measured");
}

#[tokio::test]
async fn a_configured_fallback_may_bring_settings_of_its_own() {
    let case = Case::of("m: a; n: b").always("a", say::server_error());
    let asked =
        case.settings("num_retries: 0, fallbacks: [{m: [{model: n, temperature: 0.25}]}]").ask().await;
    assert_eq!(asked.world.upstream("b").only().json()["temperature"], 0.25);
    asked.answered_by("b").fallbacks(1);
}

#[tokio::test]
async fn a_configured_fallback_may_be_one_deployment() {
    let case = Case::of("m: a; n: b c").always("a", say::server_error());
    case.settings("num_retries: 0, fallbacks: [{m: [c]}]").ask().await.answered_by("c").calls("b:0");
}

#[tokio::test]
async fn no_fallback_group_is_asked_twice_under_two_aliases() {
    let case = Case::of("m: a; n: b").always("a b", say::server_error());
    let asked = case
        .router("num_retries: 0, model_group_alias: {same: m}, fallbacks: [{m: [same, n]}, {n: [same]}]")
        .ask()
        .await;
    asked.fails(500).in_order("a b");
}

#[tokio::test]
async fn when_all_groups_failed_a_header_names_the_tried_groups() {
    let case =
        Case::of("m: a; n: b; o: c").always("a", say::unavailable()).always("b c", say::server_error());
    let asked = case.settings("num_retries: 0, fallbacks: [{m: [n, o]}]").ask().await;
    let port = asked.world.upstream("a").port().to_string();
    assert!(!format!("{:?}", asked.answer.headers).contains(&port), "{:?}", asked.answer.headers);
    asked.status(503).body(&say::unavailable()).header("x-tollgate-tried-groups", "n, o");
}

#[tokio::test]
async fn a_good_answer_has_no_header_of_retries_or_tried_groups() {
    let asked = Case::of("m: a b").first("a").always("a", hangs_up()).ask().await;
    asked.answered_by("b").no_header("x-should-retry").no_header("x-tollgate-tried-groups");
}

#[tokio::test]
async fn an_error_that_was_not_retried_has_x_should_retry_false() {
    for reply in [say::bad_request(), say::rate_limited_without_a_time(), say::server_error()] {
        let asked = Case::of("m: a").always("a", reply.clone()).settings("num_retries: 0").ask().await;
        asked.header("x-should-retry", "false").body(&reply).calls("a:1");
    }
}

#[tokio::test]
async fn a_rate_limit_with_a_time_in_any_form_is_reported_with_that_time_to_each_client() {
    let limited = || say::rate_limited_without_a_time();
    let with_body = |more: Value| {
        let mut body =
            json!({"error": {"message": "slow down", "type": "requests", "code": "rate_limit_exceeded"}});
        body["error"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Reply::json(429, &body)
    };
    let forms = [
        say::rate_limited("30"),
        limited().header("retry-after-ms", 30_000),
        limited().header("x-ratelimit-remaining-requests", 0).header("x-ratelimit-reset-requests", "30s"),
        limited().header("x-ratelimit-remaining-tokens", 0).header("x-ratelimit-reset-tokens", "30"),
        limited()
            .header("anthropic-ratelimit-requests-remaining", 0)
            .header("anthropic-ratelimit-requests-reset", "30"),
        with_body(json!({"retry_after": 30})),
        with_body(
            json!({"details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "30s"}]}),
        ),
        with_body(json!({"metadata": {"retry_after_seconds": 30}})),
        with_body(json!({"message": "Rate limit reached. Please try again in 30s."})),
    ];
    for reply in forms {
        let world = Case::of("m: a").always("a", reply.clone()).settings("num_retries: 0").start().await;
        for attempt in 0..3 {
            let answer = world.ask().await;
            let of = |name| answer.header(name).and_then(|value| value.parse::<u64>().ok());
            let (seconds, millis) = (of("retry-after"), of("retry-after-ms"));
            let told = format!("{attempt}: {seconds:?} {millis:?} {reply:?}");
            assert_eq!(answer.status, 429, "{told}");
            assert!(seconds.is_some_and(|seconds| (28..=30).contains(&seconds)), "{told}");
            assert!(millis.is_some_and(|millis| (28_000..=30_000).contains(&millis)), "{told}");
            assert_eq!(answer.header("x-should-retry"), None, "{told}");
        }
        assert_eq!(world.calls("a"), 1);
    }
}

#[tokio::test]
async fn an_overload_with_a_time_is_reported_with_that_time() {
    let reply = say::unavailable().header("retry-after", 30);
    let asked = Case::of("m: a").always("a", reply).settings("num_retries: 0").ask().await;
    asked
        .status(503)
        .header("retry-after", "30")
        .header("retry-after-ms", "30000")
        .no_header("x-should-retry");
}

#[tokio::test]
async fn a_retry_after_that_is_no_time_does_not_reach_the_client() {
    for word in ["soon", "-5", "0", "Wed, 21 Oct 2015 07:28:00 GMT"] {
        let reply = say::rate_limited_without_a_time().header("retry-after", word);
        let asked = Case::of("m: a").always("a", reply).settings("num_retries: 0").ask().await;
        asked.status(429).no_header("retry-after").header("x-should-retry", "false");
    }
}

#[tokio::test]
async fn a_refusal_of_the_gateway_has_no_x_should_retry() {
    let asked = Case::of("m: a").with(json!({"model": "nobody"})).ask().await;
    asked.fails(404).no_header("x-should-retry").calls("a:0");
}

#[tokio::test]
async fn cookies_and_connection_headers_of_an_upstream_are_not_passed_on() {
    let names =
        ["set-cookie", "alt-svc", "strict-transport-security", "server", "via", "keep-alive", "x-powered-by"];
    for reply in [say::chat("a"), say::server_error()] {
        let reply = names.iter().fold(reply, |reply, name| reply.header(name, "theirs"));
        let reply = reply.header("x-request-id", "req-7");
        let asked = Case::of("m: a").always("a", reply).settings("num_retries: 0").ask().await;
        let asked = names.iter().fold(asked, |asked, name| asked.no_header(name));
        asked.header("x-request-id", "req-7");
    }
}

#[tokio::test]
async fn the_error_of_each_timeout_names_it() {
    let hang = || Case::of("m: a").always("a", say::silence()).settings("num_retries: 0");
    hang().with(json!({"timeout": 0.1})).ask().await.fails(408).contains("attempt_timeout");
    let stream = json!({"stream": true, "stream_timeout": 0.1});
    hang().with(stream).ask().await.fails(408).contains("first_content_timeout");
    hang().router("max_request_duration: 0.1").ask().await.fails(408).contains("deadline");
}
