//! Tag routing: the tags of a request choose among the deployments of its group.

use http::Method;
use serde_json::{Value, json};

use crate::support::{
    case::Case,
    client::{ask, request},
    gateway::Gateway,
    upstream::Upstream,
};

/// Starts a gateway with deployments that respond with their names, each with its tags, and with more settings.
async fn start(deployments: &[(&str, &str)], settings: &str) -> Gateway {
    let entry = |(name, tags): &(&str, &str)| {
        format!(
            "  - {{model_name: m, litellm_params: {{model: openai/x, mock_response: {name}, tags: {tags}}}, model_info: {{id: id-{name}}}}}\n"
        )
    };
    let list: String = deployments.iter().map(entry).collect();
    Gateway::start(&format!("model_list:\n{list}router_settings: {{{settings}}}\n")).await
}

const TEAMS: [(&str, &str); 4] =
    [("paid", "[paid]"), ("free", "[free, eu]"), ("other", "[default]"), ("none", "[]")];

#[tokio::test]
async fn the_tags_of_a_request_choose_the_deployment() {
    let gateway = start(&TEAMS, "enable_tag_filtering: true, num_retries: 0").await;
    for (body, header, said) in [
        (json!({"tags": ["paid"]}), None, "paid"),
        (json!({"metadata": {"tags": ["free"]}}), None, "free"),
        (json!({}), Some("eu, unknown"), "free"),
        (json!({"tags": ["paid"]}), Some("free"), "paid"),
        (json!({"tags": ["unknown"]}), None, "other"),
        (json!({"metadata": {"user": "me"}}), None, "other"),
        (json!({"tags": ["&free"]}), None, "free"),
    ] {
        for _ in 0..4 {
            let headers: Vec<_> = header.map(|tags| ("x-litellm-tags", tags)).into_iter().collect();
            let chat = request(Method::POST, "/v1/chat/completions", ask("m", body.clone()), &headers);
            assert_eq!(gateway.client.send(chat).await.said(), said, "{body} {header:?}");
        }
    }
    let error = gateway.chat("m", json!({"tags": ["free", "!eu"]})).await.error(401);
    assert_eq!(error["code"], "tags_not_allowed");
    assert_eq!(
        gateway.chat("id-none", json!({"tags": ["paid"]})).await.said(),
        "none",
        "an id is not filtered"
    );
}

#[tokio::test]
async fn without_the_setting_tags_choose_nothing() {
    let gateway = start(&[("one", "[a]")], "num_retries: 0").await;
    assert_eq!(gateway.chat("m", json!({"tags": ["b"]})).await.said(), "one");
}

#[tokio::test]
async fn a_limit_of_a_tagged_deployment_is_not_evaded_by_another_tag() {
    let yaml = "model_list:
  - {model_name: m, litellm_params: {model: openai/x, mock_response: paid, tags: [paid], rpm: 1}}
  - {model_name: m, litellm_params: {model: openai/x, mock_response: free, tags: [free]}}
litellm_settings: {num_retries: 0, queue_timeout: 0}
router_settings: {enable_tag_filtering: true}
";
    let gateway = Gateway::start(yaml).await;
    let paid = || json!({"tags": ["paid"]});
    assert_eq!(gateway.chat("m", paid()).await.said(), "paid");
    let refused = gateway.chat("m", paid()).await;
    assert_eq!(refused.status, 429, "{}", refused.text());
    assert!(refused.header("retry-after").is_some_and(|after| after.parse::<u64>().unwrap() <= 61));
    assert_eq!(gateway.chat("m", json!({"tags": ["free"]})).await.said(), "free");
}

#[tokio::test]
async fn tags_are_not_sent_upstream() {
    let upstream = Upstream::start().await;
    let yaml = format!(
        "model_list:\n  - {{model_name: m, litellm_params: {{model: openai/x, api_base: \"{}/v1\", api_key: k, tags: [a]}}, \
         model_info: {{enable_tag_filtering: true}}}}\n",
        upstream.url()
    );
    let gateway = Gateway::start(&yaml).await;
    let body = json!({"tags": ["a"], "metadata": {"tags": ["b"]}});
    assert_eq!(gateway.chat("m", body).await.status, 200);
    let sent = upstream.only().json();
    assert_eq!((sent.get("tags"), sent.get("metadata")), (None::<&Value>, None));
    gateway.chat("m", json!({"tags": ["c"]})).await.error(401);
}

#[tokio::test]
async fn tags_and_pre_call_checks_choose_together() {
    let world = Case::of("m: small free paid; huge: other")
        .info("small", "max_input_tokens: 100")
        .params("small", "tags: [paid]")
        .info("free", "max_input_tokens: 1000")
        .params("free", "tags: [free]")
        .info("paid", "max_input_tokens: 1000")
        .params("paid", "tags: [paid, default]")
        .settings("context_window_fallbacks: [{m: [huge]}]")
        .router("enable_pre_call_checks: true, enable_tag_filtering: true, num_retries: 0")
        .start()
        .await;
    let tagged = |tag: &str, tokens: usize| json!({"tags": [tag], "suffix": "x".repeat(4 * tokens)});
    for _ in 0..10 {
        assert_eq!(world.ask_with(tagged("paid", 500)).await.said(), "paid");
        assert_eq!(world.ask_with(tagged("free", 500)).await.said(), "free");
        assert_eq!(world.ask_with(tagged("free", 1)).await.said(), "free");
        assert_eq!(world.ask_with(tagged("unknown", 1)).await.said(), "paid", "the default");
        assert_ne!(world.ask_with(tagged("paid", 1)).await.said(), "free");
    }
    assert!(world.calls("small") > 0, "a small input goes to every deployment with the tag");
    assert_eq!(world.ask_with(json!({"tags": ["!paid", "!free"]})).await.status, 401);
}

#[tokio::test]
async fn an_input_that_fits_no_deployment_with_its_tags_takes_the_context_window_fallback() {
    let world = Case::of("m: small large; huge: other")
        .info("small", "max_input_tokens: 100")
        .params("small", "tags: [paid], region_name: eu")
        .info("large", "max_input_tokens: 1000")
        .params("large", "tags: [free], region_name: us")
        .params("other", "tags: [default]")
        .settings("context_window_fallbacks: [{m: [huge]}]")
        .router("enable_pre_call_checks: true, enable_tag_filtering: true, num_retries: 0")
        .start()
        .await;
    let suffix = "x".repeat(2_000);
    assert_eq!(world.ask_with(json!({"tags": ["paid"], "suffix": suffix})).await.said(), "other");
    assert_eq!(world.calls("small large"), 0);
    let elsewhere = json!({"tags": ["paid"], "allowed_model_region": "us"});
    assert_eq!(world.ask_with(elsewhere).await.error(400)["code"], "region_not_served");
}
