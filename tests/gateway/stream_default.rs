//! `stream: true` in `litellm_params`: a request without `stream` is streamed.

use serde_json::json;

use crate::support::{
    answers as say,
    case::Case,
    gateway::{config, run},
};

#[tokio::test]
async fn a_request_without_stream_is_streamed_where_that_is_the_default() {
    let world = Case::of("m: a; plain: b")
        .params("a", "stream: true")
        .router("model_group_alias: {other: m}, num_retries: 0, fallbacks: [{m: [plain]}]")
        .start()
        .await;
    for model in ["m", "other", "a"] {
        let answer = world.gateway.chat(model, json!({})).await;
        assert_eq!(answer.header("content-type"), Some("text/event-stream"), "{model}");
        assert!(answer.text().contains("\"a\"") && answer.text().ends_with("data: [DONE]\n\n"), "{model}");
    }
    assert_eq!(world.upstream("a").calls()[0].json()["stream"], true);
    assert_eq!(world.gateway.chat("m", json!({"stream": false})).await.said(), "a");
    assert_eq!(world.gateway.chat("plain", json!({})).await.said(), "b");
    assert_eq!(world.upstream("b").calls()[0].json().get("stream"), None);
    world.upstream("a").becomes(say::server_error());
    let fell_back = world.gateway.chat("m", json!({})).await;
    assert_eq!(fell_back.header("content-type"), Some("text/event-stream"), "a fallback streams too");
    assert_eq!(world.upstream("b").calls()[1].json()["stream"], true);
}

#[tokio::test]
async fn a_group_of_which_some_deployments_stream_by_default_draws_a_warning() {
    let yaml = "model_list:\n\
        - {model_name: m, litellm_params: {model: openai/a, api_key: k}}\n\
        - {model_name: m, litellm_params: {model: openai/b, api_key: k, stream: true}}\n";
    let checked = run(["--config", config(yaml).to_str().unwrap(), "--check"]).await;
    assert!(
        checked.stderr.contains("`stream` has no effect: the group has deployments without it"),
        "{}",
        checked.stderr
    );
}
