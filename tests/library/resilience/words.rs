//! What upstreams say, what the configuration says, and what follows.

use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use super::world::{Act, Plan, error, ms, now, said, with_header};

fn used_up() -> Act {
    error(429, "insufficient_quota")
}

#[tokio::test(start_paused = true)]
async fn deployments_of_one_quota_group_are_closed_together_when_its_account_is_used_up() {
    let plan = Plan::of("m: a b c; n: d").always("a", used_up());
    let plan =
        plan.info("a", "quota_group: ours").info("b", "quota_group: ours").info("d", "quota_group: ours");
    let world = plan.settings("num_retries: 0, fallbacks: [{n: [m]}]").start();
    while world.calls("a") == 0 {
        assert_eq!(world.ask(json!({})).await.status, 200);
    }
    let b = world.calls("b");
    for _ in 0..20 {
        assert_eq!(world.ask(json!({})).await.by(), Some("c"));
    }
    assert_eq!((world.calls("a"), world.calls("b")), (1, b), "one refusal is enough for both");
    assert_eq!(world.ask(json!({"model": "n"})).await.by(), Some("c"), "in another group too");
    sleep(Duration::from_secs(61)).await;
    let before = world.calls("b");
    for _ in 0..10 {
        world.ask(json!({})).await;
    }
    assert!(world.calls("b") > before, "after a minute it is asked again");
}

#[tokio::test(start_paused = true)]
async fn a_deployment_without_a_quota_group_has_an_account_of_its_own() {
    for act in [used_up(), error(402, "billing"), error(400, "enforced_spend_limit_reached")] {
        let world = Plan::of("m: a b").always("a", act).settings("num_retries: 0").start();
        for _ in 0..200 {
            assert_eq!(world.ask(json!({})).await.status, 200);
            sleep(ms(250)).await;
        }
        assert_eq!(world.calls("a"), 1, "50 s: longer than any bench of a second or five");
    }
}

#[tokio::test(start_paused = true)]
async fn a_used_up_account_is_closed_until_the_time_it_names() {
    let act = with_header(used_up(), "retry-after", 10);
    let world = Plan::of("m: a").says("a", [now(act), now(said("a"))]).settings("num_retries: 0").start();
    assert_eq!(world.ask(json!({})).await.status, 429);
    let refused = world.ask(json!({})).await;
    assert_eq!((refused.status, refused.header("retry-after"), world.calls("a")), (429, Some("10"), 1));
    sleep(Duration::from_secs(10)).await;
    assert_eq!(world.ask(json!({})).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_closes_one_deployment_and_not_its_quota_group() {
    let limited = with_header(error(429, "rate_limit_exceeded"), "retry-after", 30);
    let plan =
        Plan::of("m: a b").always("a", limited).info("a", "quota_group: x").info("b", "quota_group: x");
    let world = plan.settings("num_retries: 0").start();
    for _ in 0..20 {
        assert_eq!(world.ask(json!({})).await.by(), Some("b"));
    }
}

#[tokio::test(start_paused = true)]
async fn retry_after_closes_an_only_deployment_for_at_most_a_minute_and_ends_exactly_then() {
    for (said_seconds, closed) in [("30", 30), ("60", 60), ("86400", 60)] {
        let limited = with_header(error(429, "rate_limit_exceeded"), "retry-after", said_seconds);
        let world =
            Plan::of("m: a").says("a", [now(limited), now(said("a"))]).settings("num_retries: 0").start();
        world.ask(json!({})).await;
        sleep(Duration::from_secs(closed - 10)).await;
        let refused = world.ask(json!({})).await;
        assert_eq!((refused.status, refused.header("retry-after")), (429, Some("10")), "what is left of it");
        sleep(Duration::from_secs(10)).await;
        assert_eq!(world.ask(json!({})).await.status, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn retry_after_within_queue_timeout_is_waited_for_exactly() {
    let limited = with_header(error(429, "rate_limit_exceeded"), "retry-after-ms", 1_500);
    let plan = Plan::of("m: a").says("a", [now(limited), now(said("a"))]);
    let (world, answer) = plan.settings("queue_timeout: 2").ask().await;
    assert_eq!((answer.status, world.calls("a")), (200, 2));
    assert!(world.gaps()[0] >= ms(1_500) && world.gaps()[0] <= ms(2_000), "{:?}", world.gaps());
}

#[tokio::test(start_paused = true)]
async fn retry_after_beyond_queue_timeout_goes_to_the_fallback_at_once() {
    let limited = with_header(error(429, "rate_limit_exceeded"), "retry-after-ms", 1_500);
    let plan = Plan::of("m: a; n: b").always("a", limited);
    let (world, answer) = plan.settings("queue_timeout: 1, fallbacks: [{m: [n]}]").ask().await;
    assert_eq!((answer.by(), answer.took, world.calls("a")), (Some("b"), Duration::ZERO, 1));
}

#[tokio::test(start_paused = true)]
async fn retry_after_in_the_settings_is_the_least_backoff_before_the_same_deployment() {
    let plan = || Plan::of("m: a").always("a", error(500, "down"));
    let (world, _) = plan().settings("num_retries: 4, retry_after: 1.5, allowed_fails: 99").ask().await;
    assert_eq!(world.calls("a"), 5);
    assert!(world.gaps().iter().all(|gap| *gap >= ms(1_500) && *gap <= ms(8_000)), "{:?}", world.gaps());
    let (world, _) = plan().settings("num_retries: 2, retry_after: 5, allowed_fails: 99").ask().await;
    assert_eq!(world.calls("a"), 3, "also when that is longer than anybody waits in the queue");
    assert!(world.gaps().iter().all(|gap| *gap >= ms(5_000)), "{:?}", world.gaps());
}

#[tokio::test(start_paused = true)]
async fn backoff_is_full_jitter_and_doubles_and_there_is_none_after_the_last_retry() {
    let plan = Plan::of("m: a").always("a", error(500, "down"));
    let (world, answer) = plan.settings("num_retries: 6, allowed_fails: 99").ask().await;
    let bounds = [500, 1_000, 2_000, 4_000, 8_000, 8_000].map(ms);
    assert_eq!(world.gaps().len(), bounds.len());
    assert!(world.gaps().iter().zip(bounds).all(|(gap, bound)| *gap <= bound + ms(5)), "{:?}", world.gaps());
    assert_eq!(answer.took, world.gaps().iter().sum::<Duration>());
}

#[tokio::test(start_paused = true)]
async fn a_retry_calls_untried_deployments_at_once_and_each_before_any_twice() {
    let plan = Plan::of("m: a b c").always("a b c", error(503, "busy"));
    let (world, _) = plan.settings("num_retries: 3, allowed_fails: 99, retry_after: 0.2").ask().await;
    let gaps = world.gaps();
    assert_eq!((gaps[0], gaps[1]), (Duration::ZERO, Duration::ZERO));
    assert!(gaps[2] >= ms(200), "{gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn retry_policies_by_error_and_by_group_precede_num_retries() {
    let table = [
        ("retry_policy: {TimeoutErrorRetries: 4}", 408, 5),
        ("retry_policy: {InternalServerErrorRetries: 0}", 500, 1),
        ("retry_policy: {RateLimitErrorRetries: 0}", 500, 2),
        ("retry_policy: {DefaultRetries: 3}", 503, 4),
        ("retry_policy: {ServiceUnavailableErrorRetries: 0, DefaultRetries: 3}", 503, 1),
        ("retry_policy: {DefaultRetries: 3}", 400, 1),
        ("retry_policy: {BadRequestErrorRetries: 3}", 400, 4),
        ("retry_policy: {BadRequestErrorRetries: 3}", 422, 4),
        ("model_group_retry_policy: {m: {InternalServerErrorRetries: 3}}", 500, 4),
        ("model_group_retry_policy: {n: {InternalServerErrorRetries: 3}}", 500, 2),
        (
            "retry_policy: {InternalServerErrorRetries: 3}, model_group_retry_policy: {m: {TimeoutErrorRetries: 3}}",
            500,
            2,
        ),
    ];
    for (policy, status, calls) in table {
        let settings = format!("num_retries: 1, allowed_fails: 99, max_fallbacks: 0, {policy}");
        let plan = Plan::of("m: a; n: b").always("a", error(status, "x")).settings(&settings);
        let (world, answer) = plan.ask().await;
        assert_eq!((world.calls("a"), answer.status), (calls, status), "{policy}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_policy_for_an_error_of_the_request_asks_the_other_deployment() {
    let refusal = |code| error(400, code);
    let table = [
        ("BadRequestErrorRetries", refusal("bad")),
        ("BadRequestErrorRetries", refusal("content_policy_violation")),
        ("BadRequestErrorRetries", refusal("context_length_exceeded")),
        ("ContentPolicyViolationErrorRetries", refusal("content_policy_violation")),
        ("AuthenticationErrorRetries", error(401, "who")),
        ("AuthenticationErrorRetries", error(403, "no")),
        ("NotFoundErrorRetries", error(404, "gone")),
    ];
    for (name, reply) in table {
        for policies in ["retry_policy: ", "model_group_retry_policy: {m: "] {
            let end = if policies.ends_with("{m: ") { "}" } else { "" };
            let settings = format!("num_retries: 0, allowed_fails: 99, {policies}{{{name}: 1}}{end}");
            let plan = Plan::of("m: a b").always("a b", reply.clone()).settings(&settings);
            let (world, answer) = plan.ask().await;
            assert_eq!((world.calls("a"), world.calls("b")), (1, 1), "{settings}: {}", answer.text());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn num_retries_0_of_a_request_switches_retry_policies_off() {
    let settings = "retry_policy: {InternalServerErrorRetries: 4}";
    let world = Plan::of("m: a").always("a", error(500, "x")).settings(settings).start();
    world.ask(json!({"num_retries": 0})).await;
    assert_eq!(world.calls("a"), 1);
}

#[tokio::test(start_paused = true)]
async fn allowed_fails_policy_allows_failures_by_error() {
    let table = [
        ("allowed_fails_policy: {InternalServerErrorAllowedFails: 3}", 500, 4),
        ("allowed_fails_policy: {InternalServerErrorAllowedFails: 0}", 500, 1),
        ("allowed_fails: 0, allowed_fails_policy: {TimeoutErrorAllowedFails: 6}", 408, 7),
        ("allowed_fails: 2, allowed_fails_policy: {TimeoutErrorAllowedFails: 6}", 500, 3),
        ("allowed_fails_policy: {AuthenticationErrorAllowedFails: 2}", 401, 3),
        ("allowed_fails_policy: {NotFoundErrorAllowedFails: 1}", 404, 2),
        ("allowed_fails: 5", 401, 1),
    ];
    for (policy, status, calls) in table {
        let plan = Plan::of("m: a b").always("a", error(status, "x"));
        let world = plan.settings(&format!("num_retries: 1, cooldown_time: 100000, {policy}")).start();
        for _ in 0..60 {
            assert_eq!(world.ask(json!({})).await.status, 200, "{policy}");
        }
        assert_eq!(world.calls("a"), calls, "{policy}");
    }
}

#[tokio::test(start_paused = true)]
async fn cooldowns_can_be_switched_off() {
    for settings in ["cooldown_time: 0", "disable_cooldowns: true"] {
        let plan = Plan::of("m: a b").always("a", error(500, "x"));
        let world = plan.settings(&format!("num_retries: 1, allowed_fails: 0, {settings}")).start();
        for _ in 0..60 {
            world.ask(json!({})).await;
        }
        assert!(world.calls("a") > 5, "{settings}: {}", world.calls("a"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_prompt_beyond_max_input_tokens_goes_to_the_context_window_fallback_without_a_call() {
    let plan = || {
        let plan =
            Plan::of("m: a b; n: c").info("a", "max_input_tokens: 100").info("b", "max_input_tokens: 50");
        plan.settings("context_window_fallbacks: [{m: [n]}]").start()
    };
    let long = json!({"messages": [{"role": "user", "content": "word ".repeat(1_000)}]});
    let world = plan();
    let answer = world.ask(long.clone()).await;
    assert_eq!((answer.by(), world.order().as_str()), (Some("c"), "c"));
    assert_eq!(answer.header("x-litellm-attempted-fallbacks"), Some("1"));
    let world = plan();
    let mut disabled = long;
    disabled["disable_fallbacks"] = true.into();
    world.ask(disabled).await;
    assert_eq!(world.calls("c"), 0);
    let world = plan();
    assert_ne!(world.ask(json!({})).await.by(), Some("c"), "a short one stays");
}

#[tokio::test(start_paused = true)]
async fn each_order_of_deployments_is_walked_before_a_fallback_group() {
    let plan =
        Plan::of("m: a b c d; n: e").params("a", "order: 1").params("b", "order: 2").params("c", "order: 3");
    let plan = plan.always("a b c d", error(500, "down"));
    let (world, answer) =
        plan.settings("num_retries: 3, allowed_fails: 99, fallbacks: [{m: [n]}]").ask().await;
    assert_eq!((world.order().as_str(), answer.by()), ("a b c d e", Some("e")));
}

#[tokio::test(start_paused = true)]
async fn without_retries_each_order_of_deployments_is_walked_at_once() {
    let tiers = || {
        let plan = Plan::of("m: a b c d; n: e")
            .params("a", "order: 1")
            .params("b", "order: 2")
            .params("c", "order: 2");
        plan.always("a b c d", error(500, "down"))
    };
    let (world, answer) = tiers().settings("num_retries: 0, fallbacks: [{m: [n]}]").ask().await;
    let order = world.order();
    assert!(["a b c d e", "a c b d e"].contains(&&*order), "{order}");
    assert_eq!((answer.by(), answer.took), (Some("e"), Duration::ZERO));
    assert_eq!(answer.header("x-litellm-attempted-fallbacks"), Some("1"));
    let (world, answer) = tiers().settings("num_retries: 0").ask().await;
    assert_eq!((world.seen().len(), answer.status), (4, 500), "without any list of fallbacks too");
    let world = tiers().settings("num_retries: 0, fallbacks: [{m: [n]}]").start();
    world.ask(json!({"disable_fallbacks": true})).await;
    assert_eq!(world.order(), "a");
}

#[tokio::test(start_paused = true)]
async fn a_later_order_of_deployments_that_is_closed_is_passed_over_without_a_wait() {
    let plan = Plan::of("m: a b; n: e").params("a", "order: 1").params("b", "order: 2, rpm: 1");
    let world =
        plan.always("a", error(500, "down")).settings("num_retries: 0, fallbacks: [{m: [n]}]").start();
    assert_eq!(world.ask(json!({})).await.by(), Some("b"));
    let answer = world.ask(json!({})).await;
    assert_eq!((answer.by(), answer.took, world.order().as_str()), (Some("e"), Duration::ZERO, "a b a e"));
    assert_eq!(world.counter("retry_budget_repeats"), 0);
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_caller_goes_to_no_later_order_of_deployments() {
    let plan = Plan::of("m: a b").params("a", "order: 1").always("a b", error(400, "bad"));
    let (world, answer) = plan.settings("num_retries: 2").ask().await;
    assert_eq!((answer.status, world.order().as_str()), (400, "a"));
}

#[tokio::test(start_paused = true)]
async fn a_configured_fallback_may_be_a_deployment_an_alias_or_a_model_with_settings() {
    let fails = || Plan::of("m: a; n: b c; o: d").always("a", error(500, "down"));
    for (fallbacks, by) in [
        ("fallbacks: [{m: [c]}]", "c"),
        ("model_group_alias: {other: o}, fallbacks: [{m: [other]}]", "d"),
        ("fallbacks: [{m: [{model: o, temperature: 0}]}]", "d"),
        ("fallbacks: [{'*': [o]}]", "d"),
        ("default_fallbacks: [o]", "d"),
    ] {
        let (_, answer) = fails().settings(&format!("num_retries: 0, {fallbacks}")).ask().await;
        assert_eq!((answer.status, answer.by()), (200, Some(by)), "{fallbacks}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fallback_group_is_not_asked_again_by_an_alias() {
    let settings = "num_retries: 0, model_group_alias: {same: m}, fallbacks: [{m: [same, n]}]";
    let plan = || Plan::of("m: a; n: b").always("a b", error(500, "down")).settings(settings).start();
    let world = plan();
    world.ask(json!({})).await;
    assert_eq!(world.order(), "a b");
    let world = plan();
    world.ask(json!({"model": "same"})).await;
    assert_eq!(world.order(), "a b");
}

#[tokio::test(start_paused = true)]
async fn when_all_fallbacks_fail_the_first_error_is_shown_and_the_tried_groups_are_named() {
    let plan =
        Plan::of("m: a; n: b; o: c").always("a", with_header(error(503, "first"), "server", "nginx/1.2"));
    let plan = plan.always("b c", error(500, "other"));
    let (world, answer) = plan.settings("num_retries: 0, fallbacks: [{m: [n, o]}]").ask().await;
    assert_eq!((answer.status, answer.code().as_str(), world.order().as_str()), (503, "first", "a b c"));
    assert_eq!(answer.header("x-tollgate-tried-groups"), Some("n, o"));
    assert_eq!(answer.header("x-should-retry"), Some("false"));
    let all = format!("{:?} {}", answer.headers, answer.text());
    assert!(!all.contains(".test") && !all.contains("sk-") && !all.contains("nginx"), "{all}");
}

#[tokio::test(start_paused = true)]
async fn max_attempts_holds_over_retries_fallbacks_and_free_retries() {
    let groups = "m: a b c; n: d e f; o: g h i";
    let lists = "fallbacks: [{m: [n, o]}]";
    for (settings, most) in [
        ("num_retries: 0, max_attempts: 1", 1),
        ("num_retries: 2, max_attempts: 4", 4),
        ("num_retries: 1, max_fallbacks: 1", 4),
        ("num_retries: 2, max_fallbacks: 1", 6),
    ] {
        for act in [error(500, "down"), error(429, "rate_limit_exceeded"), Act::Refuse] {
            let plan = Plan::of(groups).always("a b c d e f g h i", act.clone());
            let (world, _) = plan.settings(&format!("{settings}, {lists}")).ask().await;
            assert!(world.seen().len() <= most, "{settings}, {act:?}: {}", world.order());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn headers_of_the_upstreams_connection_or_name_are_not_passed_on() {
    let mut act = with_header(said("a"), "connection", "keep-alive, x-hop");
    for name in [
        "keep-alive",
        "x-hop",
        "proxy-authenticate",
        "te",
        "trailer",
        "upgrade",
        "set-cookie",
        "alt-svc",
        "strict-transport-security",
        "server",
        "via",
        "x-powered-by",
    ] {
        act = with_header(act, name, "value");
    }
    let act = with_header(with_header(act, "x-request-id", "r1"), "x-ratelimit-remaining-requests", 7);
    let (_, answer) = Plan::of("m: a").always("a", act.clone()).ask().await;
    let left: Vec<_> =
        answer.headers.keys().map(|name| name.as_str()).filter(|name| !name.starts_with("x-")).collect();
    assert_eq!(left, ["content-type", "llm_provider-x-ratelimit-remaining-requests"]);
    assert_eq!(answer.header("x-hop"), None);
    assert_eq!(answer.header("x-powered-by"), None);
    assert_eq!(answer.header("x-request-id"), Some("r1"), "what helps to ask about it stays");
}
