//! The usage of streams, which the gateway requests for its token meter, at upstreams that refuse `stream_options`.

use serde_json::{Value, json};

use crate::support::{
    answers,
    gateway::Gateway,
    reply::Reply,
    upstream::{Call, Upstream},
};

/// Refusals of a parameter: the server, the status and the body.
fn refusals() -> [(&'static str, u16, Value); 8] {
    let message = |text: &str| json!({"error": {"message": text, "type": "invalid_request_error"}});
    [
        (
            "OpenAI, before it had the parameter",
            400,
            message("Unrecognized request argument supplied: stream_options"),
        ),
        ("OpenAI, today", 400, message("Unknown parameter: 'stream_options'.")),
        (
            "pydantic 2",
            422,
            json!({"detail": [{"type": "extra_forbidden", "loc": ["body", "stream_options"],
                               "msg": "Extra inputs are not permitted", "input": {"include_usage": true}}]}),
        ),
        (
            "pydantic 1",
            422,
            json!({"detail": [{"loc": ["body", "stream_options"], "msg": "extra fields not permitted",
                               "type": "value_error.extra"}]}),
        ),
        (
            "JSON Schema",
            400,
            message("Additional properties are not allowed ('stream_options' was unexpected)"),
        ),
        ("serde", 422, message("stream_options: unknown field `include_usage`, expected one of `x`")),
        (
            "a Python function",
            500,
            json!({"detail": "create() got an unexpected keyword argument 'stream_options'"}),
        ),
        ("a Java bean", 400, json!({"message": "Unrecognized field \"streamOptions\" (class ChatRequest)"})),
    ]
}

/// Returns a script that refuses `stream_options`, and responds to a request without them.
fn refusing(status: u16, body: Value) -> impl FnMut(&Call) -> Reply {
    move |call| match call.json().get("stream_options") {
        Some(_) => Reply::json(status, &body),
        None => answers::stream(&["hello"]),
    }
}

/// Starts a gateway with one deployment; `more` follows its `tpm`.
async fn gateway(upstream: &Upstream, model: &str, more: &str) -> Gateway {
    let url = upstream.url();
    Gateway::start(&format!(
        "model_list:\n  - model_name: m\n    litellm_params: {{model: {model}, api_base: \"{url}/v1\", api_key: k, \
         tpm: 100000{more}}}\nrouter_settings: {{num_retries: 0, allowed_fails: 0, cooldown_time: 60}}\n"
    ))
    .await
}

/// Returns the `stream_options` of each call.
fn options(upstream: &Upstream) -> Vec<Value> {
    upstream.calls().iter().map(|call| call.json()["stream_options"].clone()).collect()
}

#[tokio::test]
async fn stream_options_that_only_the_gateway_added_are_left_out_when_they_are_refused() {
    for (server, status, body) in refusals() {
        let upstream = Upstream::of(refusing(status, body)).await;
        let gateway = gateway(&upstream, "openai/x", "").await;
        for _ in 0..2 {
            let response = gateway.chat("m", json!({"stream": true})).await;
            assert_eq!(response.status, 200, "{server}: {}", response.text());
            assert!(response.text().contains("hello") && response.text().contains("[DONE]"), "{server}");
            assert_eq!(response.header("x-litellm-attempted-retries"), Some("0"), "{server}");
        }
        assert_eq!(
            options(&upstream),
            [json!({"include_usage": true}), Value::Null, Value::Null],
            "{server}"
        );
        let metrics = gateway.get("/metrics").await.text();
        assert!(metrics.contains("class=\"success\"} 2\n"), "{server}: {metrics}");
        gateway.says(&["refuses stream_options"]).await;
    }
}

#[tokio::test]
async fn a_refusal_of_a_clients_own_stream_options_is_passed_on() {
    let [(_, status, body), ..] = refusals();
    let upstream = Upstream::of(refusing(status, body)).await;
    let gateway = gateway(&upstream, "openai/x", "").await;
    let more = json!({"stream": true, "stream_options": {"include_usage": true}});
    assert_eq!(gateway.chat("m", more).await.status, 400);
    assert_eq!(upstream.count(), 1);
    let more = json!({"stream": true, "stream_options": {"other": 1}});
    assert_eq!(gateway.chat("m", more).await.status, 400);
    let [_, with, without] = &options(&upstream)[..] else { panic!("{:?}", options(&upstream)) };
    assert_eq!((with, without), (&json!({"other": 1, "include_usage": true}), &json!({"other": 1})));
}

#[tokio::test]
async fn another_error_is_passed_on_unchanged_after_one_call() {
    for error in [answers::bad_request(), answers::context_window(), answers::server_error()] {
        let upstream = Upstream::with([error.clone()]).await;
        let gateway = gateway(&upstream, "openai/x", "").await;
        let response = gateway.chat("m", json!({"stream": true})).await;
        assert_eq!(response.text(), String::from_utf8(error.body()).unwrap());
        assert_eq!(upstream.count(), 1, "{}", response.text());
    }
}

#[tokio::test]
async fn an_error_that_repeats_a_prompt_about_stream_options_teaches_nothing() {
    let echo = answers::error(400, "invalid_request_error", None, "bad message: 'about stream_options'");
    let upstream = Upstream::with([echo]).await;
    let gateway = gateway(&upstream, "openai/x", "").await;
    for _ in 0..2 {
        assert_eq!(gateway.chat("m", json!({"stream": true})).await.status, 400);
    }
    let with = json!({"include_usage": true});
    assert_eq!(options(&upstream), [with.clone(), Value::Null, with, Value::Null]);
}

#[tokio::test]
async fn stream_usage_states_whether_the_usage_of_streams_is_requested() {
    for (model, setting, requested) in [
        ("openai/x", "", true),
        ("openai/x", ", stream_usage: true", true),
        ("openai/x", ", stream_usage: false", false),
        ("mistral/x", "", false),
        ("mistral/x", ", stream_usage: true", true),
    ] {
        let upstream = Upstream::with([answers::stream(&["hello"])]).await;
        let gateway = gateway(&upstream, model, setting).await;
        assert_eq!(gateway.chat("m", json!({"stream": true})).await.status, 200);
        let sent = upstream.only().json();
        assert_eq!(sent.get("stream_options").is_some(), requested, "{model}{setting}");
        assert_eq!(sent.get("stream_usage"), None);
    }
}
