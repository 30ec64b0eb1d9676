//! Parameters that a provider has by another name, does not know, or ignores.

use serde_json::{Value, json};

use crate::support::{gateway::Gateway, upstream::Upstream};

/// Starts a gateway with one deployment of `model`, with more `litellm_params` and settings.
async fn start(upstream: &Upstream, model: &str, params: &str, settings: &str) -> Gateway {
    let yaml = format!(
        "model_list:\n  - model_name: m\n    litellm_params: {{model: {model}, api_base: \"{}/v1\", api_key: k{params}}}\n\
         litellm_settings: {{num_retries: 0{settings}}}\n",
        upstream.url()
    );
    Gateway::start(&yaml).await
}

/// Sends these parameters and returns the body that the upstream received, without the messages.
async fn sent(model: &str, (params, settings): (&str, &str), request: Value) -> Value {
    let upstream = Upstream::start().await;
    let gateway = start(&upstream, model, params, settings).await;
    let answer = gateway.chat("m", request).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let mut body = upstream.only().json();
    assert!(body.as_object_mut().unwrap().remove("messages").is_some());
    body
}

#[tokio::test]
async fn a_parameter_with_another_name_is_renamed() {
    for (model, request, received) in [
        (
            "mistral/x",
            json!({"max_completion_tokens": 5, "seed": 7}),
            json!({"max_tokens": 5, "random_seed": 7}),
        ),
        ("zai/x", json!({"max_completion_tokens": 5, "max_tokens": 6}), json!({"max_tokens": 6})),
        ("streamlake/x", json!({"max_tokens": 6}), json!({"max_completion_tokens": 6})),
        ("openai/x", json!({"max_completion_tokens": 5}), json!({"max_completion_tokens": 5})),
        ("zai/x", json!({"stop": ["max_completion_tokens"]}), json!({"stop": ["max_completion_tokens"]})),
    ] {
        let mut received = received;
        received["model"] = "x".into();
        assert_eq!(sent(model, ("", ""), request).await, received, "{model}");
    }
}

#[tokio::test]
async fn a_default_parameter_and_one_of_a_fallback_are_renamed_too() {
    let body = sent("mistral/x", (", max_completion_tokens: 9", ""), json!({"temperature": 0})).await;
    assert_eq!(body, json!({"model": "x", "max_tokens": 9, "temperature": 0}));
    let upstream = Upstream::refusing();
    let spare = Upstream::start().await;
    let yaml = format!(
        "model_list:\n  - {{model_name: m, litellm_params: {{model: openai/x, api_base: \"{}\", api_key: k}}}}\n  \
         - {{model_name: n, litellm_params: {{model: mistral/y, api_base: \"{}\", api_key: k}}}}\n\
         litellm_settings: {{num_retries: 0, fallbacks: [{{m: [{{model: n, seed: 3}}]}}]}}\n",
        upstream.url(),
        spare.url()
    );
    let gateway = Gateway::start(&yaml).await;
    assert_eq!(gateway.chat("m", json!({"seed": 1, "top_p": 1})).await.status, 200);
    let body = spare.only().json();
    assert_eq!((&body["random_seed"], &body["top_p"], body.get("seed")), (&json!(3), &json!(1), None));
}

#[tokio::test]
async fn a_parameter_that_the_provider_does_not_know_is_passed_dropped_or_refused_as_the_setting_says() {
    let request = || json!({"logit_bias": {"1": 2}, "temperature": 0.5, "user": "me"});
    let all = json!({"model": "x", "logit_bias": {"1": 2}, "temperature": 0.5, "user": "me"});
    let less = json!({"model": "x", "temperature": 0.5, "user": "me"});
    assert_eq!(sent("zai/x", ("", ""), request()).await, all);
    assert_eq!(sent("zai/x", ("", ", drop_params: true"), request()).await, less);
    assert_eq!(sent("zai/x", (", drop_params: true", ", drop_params: false"), request()).await, less);
    let allowed = ", drop_params: true, allowed_openai_params: [logit_bias]";
    assert_eq!(sent("zai/x", (allowed, ""), request()).await, all);
    assert_eq!(sent("openai/x", ("", ", drop_params: true"), request()).await, all);
    let additional = ", additional_drop_params: [logit_bias, messages, \"tools[*].x\"]";
    assert_eq!(sent("openai/x", (additional, ""), request()).await, less);
    let upstream = Upstream::start().await;
    let gateway = start(&upstream, "zai/x", "", ", drop_params: false").await;
    let error = gateway.chat("m", request()).await.error(400);
    assert_eq!(error["code"], "unsupported_parameter");
    assert!(error["message"].as_str().unwrap().contains("'logit_bias'"), "{error}");
    assert_eq!(upstream.count(), 0);
    assert_eq!(gateway.chat("m", json!({"temperature": 1})).await.status, 200);
}

#[tokio::test]
async fn a_body_that_is_changed_keeps_its_values_byte_for_byte() {
    let upstream = Upstream::start().await;
    let gateway = start(&upstream, "zai/x", ", top_k: 3", ", drop_params: true").await;
    let body = "{ \"seed\" : 12345678901234567890, \"t\":0.10,\"model\" :  \"m\" , \"max_\\u0063ompletion_tokens\": 5,\n\
                \"s\":\"\\u0041\", \"timeout\": 9, \"messages\":[ {}, ], }";
    assert_eq!(gateway.post("/v1/chat/completions", body).await.status, 200);
    let sent = String::from_utf8(upstream.only().body.to_vec()).unwrap();
    assert_eq!(sent, r#"{"t":0.10,"model":"x","max_tokens":5,"s":"\u0041","messages":[ {} ],"top_k":3}"#);
}
