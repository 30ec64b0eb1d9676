//! Keys of clients: the groups that they may call, their limits, and the errors of both.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use crate::support::{
    answers as say,
    case::{Case, World},
    client::{Answer, ask, request},
    gateway::{Gateway, Start, config},
    reply::{Gate, Part, Reply},
    upstream::Upstream,
};

/// Two groups with an alias of the second, and these keys.
fn case(keys: &str) -> Case {
    let case = Case::of("chat: a; other: b").router("model_group_alias: {second: other}, num_retries: 0");
    case.section("general_settings", &format!("master_key: tr0ub4dor, keys: [{keys}]"))
}

/// Calls a path with this key.
async fn call(gateway: &Gateway, key: &str, path: &str, body: Option<String>) -> Answer {
    let method = if body.is_some() { Method::POST } else { Method::GET };
    let authorization = format!("Bearer {key}");
    let headers = [("authorization", &*authorization)];
    gateway.send(request(method, path, body.unwrap_or_default(), &headers)).await
}

async fn chat(world: &World, key: &str, model: &str, more: Value) -> Answer {
    call(&world.gateway, key, "/v1/chat/completions", Some(ask(model, more))).await
}

#[tokio::test]
async fn a_client_key_that_is_unknown_missing_or_expired_is_refused() {
    let world = case(
        "{name: one, key: first}, {name: old, key: past, expires: 2020-01-01}, \
         {name: hashed, key_sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08}",
    );
    let world = world.start().await;
    for (key, code, text) in [
        ("second", "invalid_api_key", "not valid here"),
        ("past", "expired_api_key", "has expired"),
        ("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "invalid_api_key", "not valid"),
    ] {
        let answer = chat(&world, key, "chat", json!({})).await;
        let error = answer.error(401);
        assert_eq!((&error["code"], &error["type"]), (&json!(code), &json!("authentication_error")), "{key}");
        assert!(error["message"].as_str().unwrap().contains(text), "{key}: {error}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
    assert_eq!(world.gateway.chat("chat", json!({})).await.error(401)["code"], "invalid_api_key");
    assert_eq!(world.calls("a b"), 0);
    for key in ["first", "test", "tr0ub4dor"] {
        assert_eq!(chat(&world, key, "chat", json!({})).await.said(), "a", "{key}");
    }
}

#[tokio::test]
async fn a_client_key_calls_and_sees_only_its_groups() {
    let world = case("{name: one, key: first, models: [second]}, {name: all, key: any}").start().await;
    for model in ["other", "second", "b"] {
        assert_eq!(chat(&world, "first", model, json!({})).await.said(), "b", "{model}");
    }
    for (model, more) in [
        ("chat", json!({})),
        ("a", json!({})),
        ("unknown", json!({})),
        ("other", json!({"fallbacks": ["chat"]})),
        ("other", json!({"context_window_fallbacks": [{"other": ["a"]}]})),
    ] {
        let error = chat(&world, "first", model, more).await.error(403);
        assert_eq!((&error["code"], &error["param"]), (&json!("key_model_access_denied"), &json!("model")));
    }
    assert_eq!(world.each("a b"), [0, 3]);
    let ids = |answer: Answer| {
        let models = answer.json()["data"].as_array().unwrap().clone();
        models.iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids(call(&world.gateway, "first", "/v1/models", None).await), ["second", "other"]);
    assert_eq!(ids(call(&world.gateway, "any", "/v1/models", None).await), ["second", "chat", "other"]);
    call(&world.gateway, "first", "/v1/models/chat", None).await.error(404);
    assert_eq!(call(&world.gateway, "first", "/v1/models/other", None).await.status, 200);
}

#[tokio::test]
async fn what_is_for_the_operator_needs_the_master_key() {
    let world = case("{name: one, key: first}").start().await;
    let error = call(&world.gateway, "first", "/metrics", None).await.error(403);
    assert_eq!(error["code"], "master_key_required");
    assert_eq!(call(&world.gateway, "tr0ub4dor", "/metrics", None).await.status, 200);
}

#[tokio::test]
async fn a_client_beyond_its_requests_per_minute_is_told_when_to_return() {
    let world = case("{name: one, key: first, rpm_limit: 2}, {name: two, key: second}").start().await;
    for left in ["1", "0"] {
        let answer = chat(&world, "first", "chat", json!({})).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("x-ratelimit-limit-requests"), Some("2"));
        assert_eq!(answer.header("x-ratelimit-remaining-requests"), Some(left));
        assert_eq!(answer.header("x-ratelimit-reset-requests"), Some("1m1s"));
        assert_eq!(answer.header("x-ratelimit-limit-tokens"), None);
    }
    let answer = chat(&world, "first", "chat", json!({})).await;
    let error = answer.error(429);
    assert_eq!((&error["code"], &error["type"]), (&json!("rate_limit_exceeded"), &json!("requests")));
    assert!(error["message"].as_str().unwrap().contains("2 requests per minute"), "{error}");
    let after: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((50..=61).contains(&after), "{after}");
    assert_eq!(answer.header("x-ratelimit-remaining-requests"), Some("0"));
    assert_eq!(world.calls("a b"), 2);
    // The limits of a key are its own, and what is refused does not count.
    let other = chat(&world, "second", "chat", json!({})).await;
    assert_eq!((other.status.as_u16(), other.header("x-ratelimit-limit-requests")), (200, None));
    assert_eq!(chat(&world, "tr0ub4dor", "chat", json!({})).await.status, 200);
}

#[tokio::test]
async fn a_request_with_fallbacks_counts_once_against_the_limit_of_its_key() {
    let case = case("{name: one, key: first, rpm_limit: 2}").always("a", say::server_error());
    let world = case.settings("fallbacks: [{chat: [other]}]").start().await;
    for _ in 0..2 {
        assert_eq!(chat(&world, "first", "chat", json!({})).await.said(), "b");
    }
    chat(&world, "first", "chat", json!({})).await.error(429);
    assert_eq!(world.each("a b"), [2, 2]);
}

#[tokio::test]
async fn the_tokens_of_a_client_are_settled_to_the_usage_of_responses() {
    let world = case("{name: one, key: first, tpm_limit: 1000}").start().await;
    let answer = chat(&world, "first", "chat", json!({"max_tokens": 500})).await;
    assert_eq!(answer.header("x-ratelimit-limit-tokens"), Some("1000"));
    assert_eq!(answer.header("x-ratelimit-remaining-tokens"), Some("979"));
    let error = loop {
        let answer = chat(&world, "first", "chat", json!({"max_tokens": 500})).await;
        if answer.status != 200 {
            break answer.error(429);
        }
    };
    assert_eq!((&error["code"], &error["type"]), (&json!("rate_limit_exceeded"), &json!("tokens")));
    // Each response has used 21.
    assert!((20..=1000 / 21).contains(&world.calls("a")), "{}", world.calls("a"));
}

#[tokio::test]
async fn a_parallel_request_of_a_client_counts_until_its_stream_has_ended() {
    let gate = Gate::new();
    let reply = say::words(&["one"]).then(Part::Until(gate.clone())).and(say::finish()).and(say::done());
    let world = case("{name: one, key: first, max_parallel_requests: 1}").always("a", reply).start().await;
    let body = ask("chat", json!({"stream": true}));
    let open = request(Method::POST, "/v1/chat/completions", body, &[("authorization", "Bearer first")]);
    let mut stream = world.gateway.open(open).await;
    stream.until("one").await;
    let error = chat(&world, "first", "other", json!({})).await.error(429);
    assert!(error["message"].as_str().unwrap().contains("1 concurrent requests"), "{error}");
    gate.open();
    stream.rest().await;
    assert_eq!(chat(&world, "first", "other", json!({})).await.said(), "b");
}

#[tokio::test]
async fn many_clients_at_once_never_exceed_the_limit_of_their_key() {
    let world = Arc::new(case("{name: one, key: first, rpm_limit: 20}").start().await);
    let calls = (0..8).map(|_| {
        let world = Arc::clone(&world);
        tokio::spawn(async move {
            let mut admitted = 0;
            for _ in 0..10 {
                admitted += usize::from(chat(&world, "first", "chat", json!({})).await.status == 200);
            }
            admitted
        })
    });
    let mut admitted = 0;
    for call in calls.collect::<Vec<_>>() {
        admitted += call.await.unwrap();
    }
    assert_eq!((admitted, world.calls("a b")), (20, 20));
}

#[tokio::test]
async fn a_reload_keeps_the_usage_of_a_client_key() {
    let upstream = Upstream::start().await;
    let yaml = |keys: &str| {
        format!(
            "model_list:\n  - model_name: m\n    litellm_params: {{model: openai/x, api_base: \"{}/v1\", api_key: k}}\n\
             general_settings: {{keys: [{keys}]}}\n",
            upstream.url()
        )
    };
    let path = config(&yaml("{name: one, key: first, rpm_limit: 2}, {name: two, key: second}"));
    let gateway = Start::at(&path).go().await;
    let chat = async |key| call(&gateway, key, "/v1/chat/completions", Some(ask("m", json!({})))).await;
    assert_eq!(chat("first").await.status, 200);
    std::fs::write(&path, yaml("{name: one, key: replaced, rpm_limit: 3}")).unwrap();
    gateway.signal("HUP").await;
    gateway.says(&["reloaded, serving m\n"]).await;
    chat("first").await.error(401);
    chat("second").await.error(401);
    assert_eq!(chat("replaced").await.header("x-ratelimit-remaining-requests"), Some("1"));
}

#[tokio::test]
async fn a_reload_reads_the_file_of_client_keys_again() {
    let yaml = "model_list:\n  - model_name: m\n    litellm_params: {model: openai/x, mock_response: hello}\n\
                general_settings: {keys: keys.yaml}\n";
    let path = config(yaml);
    let keys = path.with_file_name("keys.yaml");
    std::fs::write(&keys, "- {name: one, key: first}\n").unwrap();
    let gateway = Start::at(&path).go().await;
    let chat = async |key| call(&gateway, key, "/v1/chat/completions", Some(ask("m", json!({})))).await;
    assert_eq!(chat("first").await.said(), "hello");
    std::fs::write(&keys, "- {name: one, key: second}\n").unwrap();
    gateway.signal("HUP").await;
    gateway.says(&["reloaded, serving m\n"]).await;
    chat("first").await.error(401);
    assert_eq!(chat("second").await.said(), "hello");
    std::fs::write(&keys, "").unwrap();
    gateway.signal("HUP").await;
    let said = gateway.says(&["the configuration stays as it was"]).await;
    assert!(said.contains("`keys` lists no key"), "{said}");
    assert_eq!(chat("second").await.said(), "hello");
}

/// Returns what is left of the tokens of a key.
async fn tokens_left(world: &World, key: &str) -> u64 {
    let answer = chat(world, key, "other", json!({})).await;
    answer.header("x-ratelimit-remaining-tokens").unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_client_whose_budget_is_spent_is_told_when_it_is_renewed() {
    // Each response has 12 tokens of input and 9 of output.
    let prices = "input_cost_per_token: 0.001, output_cost_per_token: 0.002";
    let case = case("{name: one, key: first, max_budget: 0.05, budget_duration: 1h}").params("a", prices);
    let world = case.start().await;
    for _ in 0..2 {
        let answer = chat(&world, "first", "chat", json!({})).await;
        assert_eq!(answer.header("x-litellm-response-cost"), Some("0.03"));
    }
    let answer = chat(&world, "first", "chat", json!({})).await;
    let error = answer.error(429);
    assert_eq!(
        (&error["code"], &error["type"]),
        (&json!("insufficient_quota"), &json!("insufficient_quota"))
    );
    assert!(error["message"].as_str().unwrap().contains("its budget of $0.05. Try again in 3"), "{error}");
    assert_eq!(answer.header("x-should-retry"), Some("false"));
    let after: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((3500..=3600).contains(&after), "{after}");
    assert_eq!(world.calls("a b"), 2);
    assert_eq!(chat(&world, "tr0ub4dor", "chat", json!({})).await.status, 200);
    let metrics = call(&world.gateway, "tr0ub4dor", "/metrics", None).await.text();
    assert!(metrics.contains("tollgate_key_cost_dollars_total{key=\"one\"} 0.06\n"), "{metrics}");
    let status = call(&world.gateway, "tr0ub4dor", "/status/data", None).await.json();
    let budget = &status["keys"][0]["budget"];
    assert_eq!((&budget["spent"], &budget["max"]), (&json!(0.06), &json!(0.05)));
    assert!((3_500_000..=3_600_000).contains(&budget["renewed_in_ms"].as_u64().unwrap()), "{budget}");
}

#[tokio::test]
async fn a_stream_is_charged_to_the_budget_at_its_end_or_when_the_client_leaves() {
    let gate = Gate::new();
    let complete =
        say::role().and(say::words(&["one"])).and(say::finish()).and(say::usage()).and(say::done());
    let held = say::words(&["one"]).then(Part::Until(gate.clone())).and(say::finish()).and(say::done());
    let case = case(
        "{name: one, key: first, max_budget: 0.001, tpm_limit: 100000}, \
         {name: two, key: second, max_budget: 0.001}",
    );
    let world = case.params("a", "output_cost_per_token: 0.001").says("a", [complete, held]).start().await;
    let open = async |key: &str| {
        let authorization = format!("Bearer {key}");
        let headers = [("authorization", &*authorization)];
        let body = ask("chat", json!({"stream": true, "max_tokens": 50}));
        world.gateway.open(request(Method::POST, "/v1/chat/completions", body, &headers)).await
    };
    let mut stream = open("first").await;
    stream.rest().await;
    assert!(!stream.text().contains("total_tokens"), "the client did not request it: {}", stream.text());
    assert_eq!(world.upstream("a").calls()[0].json()["stream_options"]["include_usage"], true);
    assert_eq!(chat(&world, "first", "other", json!({})).await.error(429)["code"], "insufficient_quota");
    let mut stream = open("second").await;
    stream.until("one").await;
    assert_eq!(chat(&world, "second", "other", json!({})).await.status, 200, "nothing is charged yet");
    drop(stream);
    while chat(&world, "second", "other", json!({})).await.status == 200 {}
    gate.open();
}

#[tokio::test]
async fn the_tokens_of_a_request_are_those_of_all_its_attempts() {
    let filtered = json!({"object": "chat.completion", "choices": [{"index": 0, "finish_reason": "content_filter",
        "message": {"role": "assistant", "content": ""}}], "usage": {"total_tokens": 100}});
    let case = case("{name: one, key: first, tpm_limit: 1000}").always("a", Reply::json(200, &filtered));
    let world = case.settings("content_policy_fallbacks: [{chat: [other]}]").start().await;
    let answer = chat(&world, "first", "chat", json!({})).await;
    assert_eq!((answer.said(), world.each("a b")), ("b".to_owned(), vec![1, 1]));
    assert_eq!(answer.header("x-ratelimit-remaining-tokens"), Some("879"));
    assert_eq!(tokens_left(&world, "first").await, 858);
}

#[tokio::test]
async fn a_response_states_its_cost_if_that_is_set_and_its_price_is_known() {
    let world = Case::of("m: a; n: b").params("a", "input_cost_per_token: 0.5, output_cost_per_token: 0");
    let world = world.router("response_cost: true").start().await;
    assert_eq!(world.ask().await.header("x-litellm-response-cost"), Some("6"));
    assert_eq!(world.ask_with(json!({"model": "n"})).await.header("x-litellm-response-cost"), None);
    let silent = Case::of("m: a").params("a", "input_cost_per_token: 0.5").start().await;
    assert_eq!(silent.ask().await.header("x-litellm-response-cost"), None);
}

#[tokio::test]
async fn no_log_and_no_error_contains_the_key_of_a_client() {
    const CANARY: &str = "c4n4ry-0a1b2c3d4e5f";
    let yaml = format!(
        "model_list:\n  - model_name: m\n    litellm_params: {{model: openai/x, mock_response: hello}}\n\
         general_settings: {{keys: [{{name: one, key: {CANARY}, rpm_limit: 1}}, \
         {{name: old, key: {CANARY}2, expires: 2020-01-01}}]}}\n"
    );
    let gateway = Start::new(&yaml).env("RUST_LOG", "trace").go().await;
    for (key, status) in [("", 200), ("", 429), ("2", 401), ("3", 401)] {
        let key = format!("{CANARY}{key}");
        let answer = call(&gateway, &key, "/v1/chat/completions", Some(ask("m", json!({})))).await;
        assert_eq!(answer.status, status);
        assert!(!format!("{:?} {}", answer.headers, answer.text()).contains(CANARY));
    }
    let said = gateway.says(&["Rate limit reached for this API key", "The API key is not valid here"]).await;
    assert!(!said.contains(CANARY), "{said}");
}
