//! Groups that are called by many names: `model_name: "openai/*"`.

use serde_json::json;

use crate::support::{answers as say, case::Case, gateway::Gateway, upstream::Upstream};

/// Groups and the model of each, all at this upstream.
async fn serving(upstream: &Upstream, groups: &[(&str, &str)], more: &str) -> Gateway {
    let mut yaml = "model_list:\n".to_owned();
    for (group, model) in groups {
        yaml += &format!(
            "  - model_name: \"{group}\"\n    litellm_params: {{model: \"{model}\", api_base: \"{}/v1\", api_key: k}}\n",
            upstream.url()
        );
    }
    Gateway::start(&format!("{yaml}{more}")).await
}

#[tokio::test]
async fn a_wildcard_model_asks_the_upstream_for_the_matched_name() {
    let upstream = Upstream::start().await;
    let groups = [
        ("openai/*", "openai/*"),
        ("team-*", "openai/ours-*-v2"),
        ("all-*", "openai/one"),
        ("plain", "openai/p"),
    ];
    let gateway = serving(&upstream, &groups, "").await;
    for (asked, sent) in [
        ("openai/gpt-4o", "gpt-4o"),
        ("openai/org/m", "org/m"),
        ("team-blue", "ours-blue-v2"),
        ("all-of-them", "one"),
        ("plain", "p"),
    ] {
        let answer = gateway.chat(asked, json!({})).await;
        assert_eq!(answer.status, 200, "{asked}: {}", answer.text());
        assert_eq!(upstream.calls().last().unwrap().json()["model"], sent);
    }
    for unknown in ["openai/", "openai", "xopenai/gpt-4o", "team"] {
        gateway.chat(unknown, json!({})).await.error(404);
    }
}

#[tokio::test]
async fn an_exact_group_precedes_a_wildcard_and_a_longer_wildcard_a_shorter() {
    let upstream = Upstream::start().await;
    let groups = [("*", "openai/any-*"), ("gpt-*", "openai/some-*"), ("gpt-4o", "openai/exact")];
    let gateway = serving(&upstream, &groups, "").await;
    for (asked, sent) in [("gpt-4o", "exact"), ("gpt-5", "some-5"), ("o3", "any-o3")] {
        assert_eq!(gateway.chat(asked, json!({})).await.status, 200);
        assert_eq!(upstream.calls().last().unwrap().json()["model"], sent);
    }
}

#[tokio::test]
async fn fallbacks_may_be_of_a_wildcard_of_one_of_its_names_and_to_one() {
    let upstream = Upstream::of(|call| match call.json()["model"].as_str() {
        Some(model @ ("good" | "spare")) => say::chat(model),
        _ => say::server_error(),
    });
    let upstream = upstream.await;
    let lists = "litellm_settings: {num_retries: 0, fallbacks: [{\"openai/*\": [spare]}, {\"openai/special\": [\"openai/good\"]}]}\n";
    let groups = [("openai/*", "openai/*"), ("spare", "openai/spare")];
    let gateway = serving(&upstream, &groups, lists).await;
    assert_eq!(gateway.chat("openai/bad", json!({})).await.said(), "spare");
    assert_eq!(gateway.chat("openai/special", json!({})).await.said(), "good");
    let own = json!({"fallbacks": ["openai/good"]});
    assert_eq!(gateway.chat("openai/bad", own).await.said(), "good", "the request's own");
}

#[tokio::test]
async fn a_wildcard_name_that_does_not_exist_cools_no_deployment_down() {
    let case = Case::of("m-*: a b").first("a").says("a", [say::not_found(), say::chat("a")]);
    let world = case.settings("num_retries: 0").with(json!({"model": "m-1"})).start().await;
    world.ask().await.error(404);
    assert_eq!(world.ask().await.said(), "a");
    assert_eq!(world.calls("a b"), 2);
}

#[tokio::test]
async fn a_wildcard_name_without_quota_closes_no_other_name() {
    let upstream = Upstream::of(|call| match call.json()["model"].as_str() {
        Some("busy") => say::rate_limited("60"),
        _ => say::chat("idle"),
    });
    let upstream = upstream.await;
    let settings = "router_settings: {num_retries: 0, queue_timeout: 0}\n";
    let gateway = serving(&upstream, &[("openai/*", "openai/*")], settings).await;
    gateway.chat("openai/busy", json!({})).await.error(429);
    assert_eq!(gateway.chat("openai/idle", json!({})).await.said(), "idle");
}
