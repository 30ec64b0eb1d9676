//! A deployment that cannot be served is left out: the others serve, and its group gets a 404 with the reason.

use serde_json::json;

use crate::support::{
    gateway::{Gateway, Start, config, run},
    upstream::Upstream,
};

/// Returns a file with a group at this upstream, and with groups that cannot be served.
fn yaml(upstream: &Upstream) -> String {
    let good = format!("model: openai/x, api_base: \"{}/v1\", api_key: k", upstream.url());
    format!(
        "model_list:
  - {{model_name: chat, litellm_params: {{{good}}}}}
  - {{model_name: chat, litellm_params: {{model: openai/x, api_key: os.environ/NOT_THERE}}}}
  - {{model_name: lost, litellm_params: {{model: acme/x}}}}
  - {{model_name: 'acme/*', litellm_params: {{model: acme/*}}}}
  - {{model_name: '*', litellm_params: {{{}}}}}
router_settings:
  num_retries: 0
  fallbacks: [{{chat: [lost]}}, {{lost: [chat]}}]
  model_group_alias: {{other: lost}}
",
        good.replace("openai/x", "openai/*")
    )
}

#[tokio::test]
async fn the_rest_of_a_file_is_served_and_a_group_without_deployments_gets_the_reason() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&yaml(&upstream)).await;
    gateway
        .says(&["unknown provider `acme`", "config.yaml:4:", "the deployment is left out", "NOT_THERE"])
        .await;
    assert_eq!(gateway.chat("chat", json!({})).await.status, 200);
    assert_eq!(gateway.chat("anything", json!({})).await.status, 200, "the pattern that is served");
    for (name, reason) in [
        ("lost", "unknown provider `acme`"),
        ("acme/x", "unknown provider `acme`"),
        ("other", "its group is not served"),
    ] {
        let error = gateway.chat(name, json!({})).await.error(404);
        assert_eq!((&error["code"], &error["param"]), (&json!("model_not_found"), &json!("model")), "{name}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(&format!("`{name}`")) && message.contains(reason), "{message}");
    }
    let models = gateway.get("/v1/models").await.text();
    assert!(
        models.contains("\"chat\"") && !models.contains("\"lost\"") && !models.contains("\"other\""),
        "{models}"
    );
    assert_eq!(upstream.count(), 2);
}

#[tokio::test]
async fn a_fallback_of_a_request_to_a_group_without_deployments_is_refused_before_any_call() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&yaml(&upstream)).await;
    for name in ["lost", "acme/x", "other"] {
        let error = gateway.chat("chat", json!({"fallbacks": [name]})).await.error(400);
        assert_eq!(error["code"], "model_not_found", "{name}");
    }
    assert_eq!(upstream.count(), 0);
}

#[tokio::test]
async fn the_last_line_of_a_check_is_a_verdict() {
    let upstream = Upstream::start().await;
    let mixed = yaml(&upstream);
    let good = mixed.lines().filter(|line| !line.contains("acme") && !line.contains("NOT_THERE"));
    let good: Vec<_> = good.filter(|line| !line.contains("lost")).collect();
    for (text, arguments, code, verdict) in [
        (&*mixed, &["--check"][..], 0, "starts; 3 of 5 deployments are left out; 3 lost"),
        (
            &mixed,
            &["--check", "--strict"],
            78,
            "does not start with --strict; 3 of 5 deployments are left out; 3 lost",
        ),
        (&good.join("\n"), &["--check", "--strict"], 0, "starts; no deployment is left out; no warnings"),
        ("model_list: []", &["--check"], 0, "starts; there are no deployments: no model is served; 1 lost"),
        (
            "model_list: [{}]",
            &["--check"],
            0,
            "starts; 1 of 1 deployments is left out: no model is served; no warnings",
        ),
        ("model_list: [", &["--check"], 78, "does not start; 1 error; no warnings"),
        ("model_list: [{}]\nrouter_settings: 1", &["--check"], 78, "does not start; 3 errors; no warnings"),
    ] {
        let path = config(text);
        let ended = run([&["--config", path.to_str().unwrap()], arguments].concat()).await;
        assert_eq!(ended.code, Some(code), "{text}: {}", ended.stderr);
        assert_eq!(ended.stdout.lines().last(), Some(verdict), "{text}: {}", ended.stderr);
    }
    let strict = run(["--config", config(&mixed).to_str().unwrap(), "--port", "0", "--strict"]).await;
    assert_eq!(strict.code, Some(78));
    assert!(
        strict.stderr.contains("3 of 5 deployments are left out, which --strict does not allow"),
        "{}",
        strict.stderr
    );
}

#[tokio::test]
async fn a_file_without_models_starts_with_health_and_the_reason() {
    for text in ["model_list: []", "general_settings: {max_request_size_mb: 1}"] {
        let gateway = Gateway::start(text).await;
        gateway.says(&["no model is served", "serving no model"]).await;
        assert_eq!(gateway.get("/health/readiness").await.status, 200);
        assert_eq!(gateway.get("/v1/models").await.json()["data"], json!([]));
        let error = gateway.chat("gpt-4o", json!({})).await.error(404);
        assert!(error["message"].as_str().unwrap().contains("has no `model_list`"), "{error}");
    }
}

#[tokio::test]
async fn a_reload_may_leave_out_what_the_start_left_out_and_nothing_else() {
    let upstream = Upstream::start().await;
    let before = yaml(&upstream);
    let path = config(&before);
    let gateway = Start::at(&path).go().await;
    let reload = async |text: &str, says: &str| {
        std::fs::write(&path, text).unwrap();
        gateway.signal("HUP").await;
        gateway.says(&[says]).await;
    };
    let added = "  - {model_name: lost, litellm_params: {model: openai/x, rpm: many}}\nrouter_settings:";
    reload(&before.replace("router_settings:", added), "the configuration stays as it was").await;
    gateway.says(&["line 7: `rpm` must be a whole number"]).await;
    assert_eq!(gateway.chat("chat", json!({})).await.status, 200);
    let more =
        "  - {model_name: more, litellm_params: {model: openai/x, mock_response: more}}\nrouter_settings:";
    reload(&before.replace("router_settings:", more), "reloaded, serving chat, *, more\n").await;
    assert_eq!(gateway.chat("more", json!({})).await.said(), "more");
}
