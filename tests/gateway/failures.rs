//! How an upstream's failure is told to a client: whose it was, and that it was not the client's.

use serde_json::json;

use crate::support::{
    answers as say,
    case::{Case, hangs_up},
    gateway::Gateway,
    reply::Reply,
    upstream::Upstream,
};

/// Returns the configuration of a group `m` over this upstream, without retries.
fn yaml(upstream: &Upstream) -> String {
    format!(
        "model_list:\n  - model_name: m\n    litellm_params: {{model: openai/inside, api_base: \"{}/v1\", api_key: sk-in}}\n\
         litellm_settings: {{num_retries: 0}}\n",
        upstream.url()
    )
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Upstream::start().await;
    let there = format!("{}/v1/chat/completions", elsewhere.url());
    for status in [301, 302, 307, 308] {
        let upstream =
            Upstream::with([say::error(status, "moved", None, "over there").header("location", &there)])
                .await;
        let answer = Gateway::start(&yaml(&upstream)).await.chat("m", json!({})).await;
        assert_eq!(answer.error(502)["code"], "upstream_redirect", "{status}");
        assert_eq!(upstream.count(), 1);
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn a_304_of_an_upstream_is_a_bad_gateway() {
    let upstream = Upstream::with([Reply::bytes(304, "application/json", "")]).await;
    let answer = Gateway::start(&yaml(&upstream)).await.chat("m", json!({})).await;
    assert_eq!(answer.error(502)["code"], "upstream_redirect");
}

#[tokio::test]
async fn an_api_key_that_an_upstream_refuses_is_not_reported_as_the_clients() {
    for (reply, status, kind, code) in [
        (say::unauthorized(), 401, "authentication_error", "upstream_unauthorized"),
        (say::forbidden(), 403, "permission_error", "upstream_forbidden"),
        (
            Reply::bytes(401, "text/html", "<h1>who?</h1>"),
            401,
            "authentication_error",
            "upstream_unauthorized",
        ),
    ] {
        for streamed in [false, true] {
            let asked = Case::of("m: a").always("a", reply.clone()).with(json!({"stream": streamed}));
            let asked = asked.settings("num_retries: 0").ask().await;
            let error = asked.answer.error(status);
            assert_eq!((&error["type"], &error["code"]), (&json!(kind), &json!(code)));
            let told = error["message"].as_str().unwrap();
            assert!(told.contains("upstream") && told.contains("the gateway's own credential"), "{told}");
            asked.header("content-type", "application/json").header("x-should-retry", "false").calls("a:1");
        }
    }
}

#[tokio::test]
async fn an_error_found_by_the_gateway_names_its_deployment() {
    let failing = |reply| Case::of("m: a; n: b").always("a", reply).settings("num_retries: 0");
    let moved = say::error(302, "moved", None, "over there");
    failing(hangs_up()).ask().await.fails(502).header("x-litellm-model-id", "a");
    failing(moved).ask().await.fails(502).header("x-litellm-model-id", "a");
    let slow = failing(say::silence()).with(json!({"timeout": 0.1})).ask().await;
    slow.fails(408).header("x-litellm-model-id", "a").header("x-litellm-model-group", "m");
    let none = failing(say::chat("a")).with(json!({"model": "nobody"})).ask().await;
    none.fails(404).no_header("x-litellm-model-id");
}

#[tokio::test]
async fn after_failed_fallbacks_the_deployment_of_the_first_group_is_named() {
    let both = Case::of("m: a; n: b").always("a b", hangs_up());
    let asked = both.settings("num_retries: 0, fallbacks: [{m: [n]}]").ask().await;
    asked
        .fails(502)
        .header("x-litellm-model-id", "a")
        .header("x-tollgate-tried-groups", "n")
        .calls("a:1 b:1");
}
