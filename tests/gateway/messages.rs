//! Clients that call in Anthropic's dialect: passed on to Anthropic, translated for all others.

use http::Method;
use serde_json::{Value, json};

use crate::{
    anthropic::{self as claude, CLAUDE},
    support::{
        answers as say,
        case::{Case, World, slow},
        client::{Answer, Over, Stream, request},
        reply::{Gate, Part, Reply},
    },
};

pub(super) const PATH: &str = "/v1/messages";

/// Returns the body of a request, with these additions.
fn body(more: Value) -> String {
    let mut body = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body.to_string()
}

async fn send(world: &World, more: Value) -> Answer {
    world.gateway.send(request(Method::POST, PATH, body(more), &[])).await
}

async fn stream(world: &World, mut more: Value) -> Stream {
    more["stream"] = true.into();
    let mut stream = world.gateway.open(request(Method::POST, PATH, body(more), &[])).await;
    stream.rest().await;
    stream
}

/// Returns the text of a message.
pub(super) fn text(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["content"].as_array().unwrap().iter().filter_map(|block| block["text"].as_str()).collect()
}

/// Returns the text of a stream, after asserting that it is complete.
pub(super) fn said(stream: &Stream) -> String {
    assert!(
        stream.text().ends_with("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"),
        "{}",
        stream.text()
    );
    stream.named_events().iter().filter_map(|event| event["delta"]["text"].as_str()).collect()
}

/// Returns the message of an error in Anthropic's form, after asserting its status and type.
fn error(answer: &Answer, status: u16, kind: &str) -> String {
    assert_eq!(answer.status.as_u16(), status, "{}", answer.text());
    let json = answer.json();
    assert_eq!((&json["type"], &json["error"]["type"]), (&json!("error"), &json!(kind)), "{json}");
    assert!(json.get("request_id").is_some(), "{json}");
    json["error"]["message"].as_str().unwrap().to_owned()
}

fn case(groups: &str, claude: &str) -> Case {
    Case::of(groups).params(claude, CLAUDE)
}

#[tokio::test]
async fn messages_pass_to_anthropic_with_every_byte_but_the_model() {
    let world = case("m: a", "a").always("a", claude::message("hi")).start().await;
    let sent = r#"{ "model" : "m","max_tokens":9, "fallbacks":[{"model":"x"}],"metadata":{"user_id":"u","tags":["t"]},
        "timeout": 1, "thinking":{"type":"adaptive"},"messages":[{"role":"user","content":"h\u00e9"}] }"#;
    let headers = [
        ("anthropic-version", "2024-01-01"),
        ("anthropic-beta", "a,b"),
        ("anthropic-beta", "c"),
        ("x-other", "x"),
    ];
    let answer =
        world.gateway.send(request(Method::POST, "/anthropic/v1/messages?beta=true", sent, &headers)).await;
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &claude::message("hi").body()[..]));
    let call = world.upstream("a").only();
    assert_eq!((call.target.as_str(), call.header("x-api-key")), ("/v1/messages", Some("sk-a")));
    assert_eq!(call.header("anthropic-version"), Some("2024-01-01"));
    assert_eq!((call.header("anthropic-beta"), call.header("x-other")), (Some("a,b,c"), None));
    assert_eq!(String::from_utf8_lossy(&call.body), sent.replacen("\"m\"", "\"openai/a-model\"", 1));
}

#[tokio::test]
async fn messages_have_the_deployments_own_version_features_and_parameters() {
    let params =
        format!("{CLAUDE}, extra_headers: {{anthropic-beta: mine}}, temperature: 0.5, stop: [x], top_k: 3");
    let world = Case::of("m: a").params("a", &params).always("a", claude::message("hi")).start().await;
    let headers = [("anthropic-beta", "mine,theirs")];
    world.gateway.send(request(Method::POST, PATH, body(json!({"top_k": 5})), &headers)).await;
    let call = world.upstream("a").only();
    assert_eq!(call.header("anthropic-version"), Some("2023-06-01"));
    assert_eq!(call.header("anthropic-beta"), Some("mine,theirs"));
    let sent = call.json();
    assert_eq!((&sent["temperature"], &sent["top_k"], sent.get("stop")), (&json!(0.5), &json!(5), None));
}

#[tokio::test]
async fn streams_of_messages_pass_as_they_are() {
    let gate = Gate::new();
    let whole = claude::stream(&["Hel", "lo"]);
    let begun = claude::start().and(claude::words(&["Hel"]));
    let script = begun.then(Part::Until(gate.clone())).and(claude::end("end_turn"));
    let world = case("m: a", "a").says("a", [whole.clone(), script]).start().await;
    let passed = stream(&world, json!({})).await;
    assert_eq!((passed.text().as_bytes(), said(&passed)), (&whole.body()[..], "Hello".to_owned()));
    let more = body(json!({"stream": true}));
    let mut live = world.gateway.open(request(Method::POST, PATH, more, &[])).await;
    live.until("\"Hel\"").await;
    gate.open();
    assert_eq!(live.rest().await, Over::Cleanly);
    assert!(world.upstream("a").calls().iter().all(|call| call.json().get("stream_options").is_none()));
}

#[tokio::test]
async fn the_gateways_key_is_that_of_anthropics_clients() {
    let case = case("m: a", "a").always("a", claude::message("hi"));
    let world = case.section("general_settings", "master_key: sk-master").start().await;
    for header in [("x-api-key", "sk-master"), ("authorization", "Bearer sk-master")] {
        let answer = world.gateway.send(request(Method::POST, PATH, body(json!({})), &[header])).await;
        assert_eq!(answer.status, 200, "{header:?}");
        assert_eq!(world.upstream("a").calls().last().unwrap().header("x-api-key"), Some("sk-a"));
    }
    let wrong = request(Method::POST, PATH, body(json!({})), &[("x-api-key", "sk-wrong")]);
    error(&world.gateway.send(wrong).await, 401, "authentication_error");
    error(&send(&world, json!({})).await, 401, "authentication_error");
}

#[tokio::test]
async fn errors_of_the_gateway_have_anthropics_form() {
    let world = case("m: a", "a").start().await;
    error(&send(&world, json!({"model": "x"})).await, 404, "not_found_error");
    error(&send(&world, json!({"stream": 1})).await, 400, "invalid_request_error");
    let missing = world.gateway.post(PATH, r#"{"model":"m"}"#).await;
    assert!(error(&missing, 400, "invalid_request_error").contains("messages"));
    error(&world.gateway.post(PATH, "{").await, 400, "invalid_request_error");
    error(&world.gateway.get(PATH).await, 405, "invalid_request_error");
    let case = Case::of("m: a").refuses("a").settings("num_retries: 0");
    error(&send(&case.start().await, json!({})).await, 502, "api_error");
    let slow = Case::of("m: a").always("a", slow(60_000, "a")).params("a", "timeout: 0.05");
    error(&send(&slow.settings("num_retries: 0").start().await, json!({})).await, 408, "timeout_error");
}

#[tokio::test]
async fn errors_of_upstreams_have_anthropics_form() {
    for (reply, status, kind, message) in [
        (say::bad_request(), 400, "invalid_request_error", "required property"),
        (say::context_window(), 400, "invalid_request_error", "prompt is too long: This model's maximum"),
        (say::unauthorized(), 401, "authentication_error", "not yours"),
        (say::rate_limited_without_a_time(), 429, "rate_limit_error", ""),
        (say::unavailable(), 503, "overloaded_error", ""),
        (say::server_error(), 500, "api_error", ""),
        (Reply::bytes(502, "text/html", "<html>bad gateway</html>"), 502, "api_error", "bad gateway"),
        (claude::error(529, "overloaded_error", "Overloaded"), 529, "overloaded_error", "Overloaded"),
    ] {
        for params in [CLAUDE, "rpm: 1000"] {
            let case = Case::of("m: a").params("a", params).always("a", reply.clone());
            let world = case.settings("num_retries: 0").start().await;
            let text = error(&send(&world, json!({})).await, status, kind);
            assert!(text.contains(message), "{text}");
        }
    }
    let own = claude::error(400, "invalid_request_error", "prompt is too long: 5 tokens > 4 maximum");
    let world = case("m: a", "a").always("a", own.clone()).start().await;
    assert_eq!(
        &send(&world, json!({})).await.body[..],
        &own.body()[..],
        "Anthropic's own error is unchanged"
    );
}

#[tokio::test]
async fn messages_are_translated_for_deployments_that_speak_openais_dialect() {
    let world = Case::of("m: a").always("a", say::chat("Hello")).start().await;
    let more = json!({"system": "S", "stop_sequences": ["END"], "top_p": 0.5, "metadata": {"user_id": "u"}});
    let answer = send(&world, more).await;
    let call = world.upstream("a").only();
    assert_eq!((call.target.as_str(), call.header("anthropic-version")), ("/v1/chat/completions", None));
    let wanted = json!({"model": "a-model", "max_tokens": 9, "top_p": 0.5, "stop": ["END"], "user": "u",
        "messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "hi"}]});
    assert_eq!(call.json(), wanted);
    let json = answer.json();
    assert_eq!(
        (&json["type"], &json["role"], &json["stop_reason"]),
        (&json!("message"), &json!("assistant"), &json!("end_turn"))
    );
    assert_eq!(json["content"], json!([{"type": "text", "text": "Hello"}]));
    assert!(json["usage"]["output_tokens"].as_u64().unwrap() > 0, "{json}");
}

#[tokio::test]
async fn translated_streams_have_the_events_of_anthropics_in_their_order() {
    let script =
        say::role().and(say::words(&["Hel", "lo"])).and(say::finish()).and(say::usage()).and(say::done());
    let world = Case::of("m: a").always("a", script).start().await;
    let stream = stream(&world, json!({})).await;
    assert!(stream.headers["content-type"].to_str().unwrap().starts_with("text/event-stream"));
    assert_eq!(said(&stream), "Hello");
    let events = stream.named_events();
    let names: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    let wanted = [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ];
    assert_eq!(names, wanted);
    assert_eq!(events[1]["content_block"], json!({"type": "text", "text": ""}));
    assert_eq!(events[5]["delta"], json!({"stop_reason": "end_turn", "stop_sequence": null}));
    assert_eq!(
        (&events[5]["usage"]["input_tokens"], &events[5]["usage"]["output_tokens"]),
        (&json!(12), &json!(9))
    );
    let sent = world.upstream("a").only().json();
    assert_eq!((&sent["stream"], &sent["stream_options"]), (&json!(true), &json!({"include_usage": true})));
}

#[tokio::test]
async fn tools_are_called_in_parallel_through_openais_dialect() {
    let call = |index: u32, id: Option<&str>, name: Option<&str>, arguments: &str| {
        say::chunk(
            &json!({"tool_calls": [{"index": index, "id": id, "type": "function",
            "function": {"name": name, "arguments": arguments}}]}),
            None,
        )
    };
    let calls = Reply::events([
        call(0, Some("call_1"), Some("weather"), ""),
        call(0, None, None, "{\"city\":"),
        call(0, None, None, "\"Oslo\"}"),
        call(1, Some("call_2"), Some("time"), ""),
        say::chunk(&json!({}), Some("tool_calls")),
    ]);
    let world = Case::of("m: a").always("a", say::role().and(calls).and(say::done())).start().await;
    let tools = json!([{"name": "weather", "description": "d", "input_schema": {"type": "object"}, "cache_control": {"type": "ephemeral"}}]);
    let more = json!({"tools": tools, "tool_choice": {"type": "any", "disable_parallel_tool_use": true}});
    let stream = stream(&world, more.clone()).await;
    let sent = world.upstream("a").only().json();
    let function = json!({"name": "weather", "description": "d", "parameters": {"type": "object"}});
    assert_eq!(sent["tools"], json!([{"type": "function", "function": function}]));
    assert_eq!((&sent["tool_choice"], &sent["parallel_tool_calls"]), (&json!("required"), &json!(false)));
    let mut inputs = vec![String::new(); 2];
    for data in stream.named_events() {
        let at = usize::try_from(data["index"].as_u64().unwrap_or_default()).unwrap();
        inputs[at] += data["content_block"]["name"].as_str().unwrap_or_default();
        inputs[at] += data["delta"]["partial_json"].as_str().unwrap_or_default();
    }
    assert_eq!(inputs, ["weather{\"city\":\"Oslo\"}", "time{}"]);
    assert!(stream.text().contains("\"stop_reason\":\"tool_use\""));
    let whole = send(&world, more).await.json();
    assert_eq!(whole["content"][0]["input"], json!({"city": "Oslo"}));
    assert_eq!((&whole["content"][1]["input"], &whole["stop_reason"]), (&json!({}), &json!("tool_use")));
}

#[tokio::test]
async fn a_request_of_claude_code_runs_on_any_model() {
    let world = Case::of("\"claude-*\": a").params("a", "drop_params: false").start().await;
    let body = include_str!("messages/claude_code.json");
    let headers =
        [("anthropic-beta", "claude-code-20250219,interleaved-thinking-2025-05-14"), ("x-api-key", "k")];
    let mut stream =
        world.gateway.open(request(Method::POST, "/v1/messages?beta=true", body, &headers)).await;
    stream.rest().await;
    assert_eq!(said(&stream), "a");
    let sent = world.upstream("a").only().json();
    let messages = sent["messages"].as_array().unwrap();
    let roles: Vec<_> = messages.iter().map(|message| message["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["system", "user", "assistant", "tool", "user"]);
    assert_eq!(messages[2]["tool_calls"][0]["function"]["arguments"], r#"{"command":"ls"}"#);
    assert_eq!(
        messages[3],
        json!({"role": "tool", "tool_call_id": "toolu_01A", "content": "README.md\nsrc"})
    );
    assert!(sent["tools"].as_array().unwrap().iter().all(|tool| tool["type"] == "function"));
    for gone in ["thinking", "metadata", "context_management", "system", "user", "reasoning_effort"] {
        assert_eq!(sent.get(gone), None, "{gone}");
    }
}

#[tokio::test]
async fn messages_are_sent_in_the_other_form_than_was_requested() {
    for (params, whole, pieces) in [
        ("rpm: 1000", say::chat("whole"), say::stream(&["in ", "pieces"])),
        ("custom_llm_provider: ollama_chat", ollama("whole"), ollama("in pieces")),
    ] {
        let world = Case::of("m: a").params("a", params).always("a", whole).start().await;
        assert_eq!(said(&stream(&world, json!({})).await), "whole");
        world.upstream("a").becomes(pieces);
        assert_eq!(text(&send(&world, json!({})).await), "in pieces");
    }
}

fn ollama(text: &str) -> Reply {
    let line = json!({"model": "l", "created_at": "2023-08-04", "message": {"role": "assistant", "content": text},
        "done": true, "done_reason": "stop", "prompt_eval_count": 10, "eval_count": 7});
    Reply::bytes(200, "application/x-ndjson", line.to_string() + "\n")
}

fn gemini(text: &str) -> Reply {
    let event = json!({"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 7}, "modelVersion": "g", "responseId": "r"});
    Reply::events([event.to_string()])
}

#[tokio::test]
async fn messages_are_translated_for_gemini_and_ollama() {
    for (provider, reply) in [("gemini", gemini("Hi")), ("ollama_chat", ollama("Hi"))] {
        let params = format!("custom_llm_provider: {provider}");
        let world = Case::of("m: a").params("a", &params).always("a", reply).start().await;
        let stream = stream(&world, json!({"top_k": 3})).await;
        assert_eq!(said(&stream), "Hi", "{provider}");
        let end = &stream.named_events()[4];
        let usage = &end["usage"];
        assert_eq!((&usage["input_tokens"], &usage["output_tokens"]), (&json!(10), &json!(7)), "{end}");
        let sent = world.upstream("a").only().json();
        assert!(sent["generationConfig"]["topK"] == 3 || sent["options"]["top_k"] == 3, "{sent}");
    }
}

#[tokio::test]
async fn failures_before_the_first_content_are_retried() {
    let in_success = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
    for reply in [
        claude::error(529, "overloaded_error", "Overloaded"),
        claude::error_event("overloaded_error"),
        claude::start().and(claude::error_event("overloaded_error")),
        claude::start().then(Part::Cut),
        Reply::json(200, &in_success),
        Reply::bytes(200, "text/html", "<html>"),
    ] {
        let case = case("m: a b", "a b").first("a").always("a", reply).always("b", claude::stream(&["b"]));
        let world = case.start().await;
        assert_eq!(said(&stream(&world, json!({})).await), "b");
        assert_eq!(world.each("a b"), [1, 1]);
    }
    let translated =
        Case::of("m: a b").first("a").always("a", say::role().and(say::error_event())).start().await;
    assert_eq!(said(&stream(&translated, json!({})).await), "b");
}

#[tokio::test]
async fn streams_that_break_after_the_first_content_end_with_an_error_event() {
    let began = || claude::start().and(claude::words(&["Hel"]));
    let chat = || say::role().and(say::words(&["Hel"]));
    for (params, script, kind) in [
        (CLAUDE, began().and(claude::error_event("overloaded_error")), "overloaded_error"),
        (CLAUDE, began(), "api_error"),
        (CLAUDE, began().then(Part::Cut), "api_error"),
        ("rpm: 1000", chat().then(Part::Cut), "api_error"),
        ("rpm: 1000", chat(), "api_error"),
    ] {
        let world = Case::of("m: a b").params("a", params).first("a").always("a", script).start().await;
        let stream = stream(&world, json!({})).await;
        let events = stream.named_events();
        let last = events.last().unwrap();
        assert_eq!(
            (&last["type"], &last["error"]["type"]),
            (&json!("error"), &json!(kind)),
            "{}",
            stream.text()
        );
        assert!(!stream.text().contains("message_stop"), "{}", stream.text());
        assert_eq!(world.each("a b"), [1, 0]);
    }
}

#[tokio::test]
async fn a_stream_without_its_last_event_is_completed() {
    let delta =
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 7}});
    let script = claude::start().and(claude::words(&["Hi"])).and(Reply::named_events([delta]));
    let world = case("m: a", "a").always("a", script).start().await;
    assert_eq!(said(&stream(&world, json!({})).await), "Hi");
}

#[tokio::test]
async fn fallbacks_lead_from_anthropic_to_openai_and_back() {
    let overloaded = claude::error(529, "overloaded_error", "Overloaded");
    let there =
        case("m: a; f: b", "a").always("a", overloaded).settings("num_retries: 0, fallbacks: [{m: [f]}]");
    let world = there.start().await;
    assert_eq!(text(&send(&world, json!({})).await), "b");
    assert_eq!(world.upstream("a").only().json()["max_tokens"], 9);
    let back = case("m: b; f: a", "a").always("b", say::unavailable()).always("a", claude::stream(&["a"]));
    let world = back.settings("num_retries: 0, fallbacks: [{m: [f]}]").start().await;
    assert_eq!(said(&stream(&world, json!({})).await), "a");
}

#[tokio::test]
async fn a_prompt_longer_than_every_context_window_has_anthropics_words() {
    let case = Case::of("m: a").info("a", "max_input_tokens: 5").router("enable_pre_call_checks: true");
    let world = case.start().await;
    let text =
        error(&send(&world, json!({"system": "word ".repeat(50)})).await, 400, "invalid_request_error");
    assert!(text.starts_with("prompt is too long"), "{text}");
    assert_eq!(world.calls("a"), 0);
}

#[tokio::test]
async fn settings_of_a_request_are_headers() {
    let world = case("m: a b", "a b")
        .always("a b", claude::error(529, "overloaded_error", "Overloaded"))
        .start()
        .await;
    let headers = [("x-litellm-num-retries", "0")];
    let answer =
        world.gateway.send(request(Method::POST, PATH, body(json!({"num_retries": 5})), &headers)).await;
    error(&answer, 529, "overloaded_error");
    assert_eq!(world.calls("a b"), 1);
}

#[tokio::test]
async fn tokens_of_messages_are_counted_by_anthropic_or_estimated() {
    let counted = Reply::json(200, &json!({"input_tokens": 2095}));
    let world = case("m: a; o: b", "a")
        .always("a", counted)
        .params("a", &format!("{CLAUDE}, temperature: 1"))
        .start()
        .await;
    let count = |model: &str| {
        let body = json!({"model": model, "system": "s".repeat(398), "messages": [{"role": "user", "content": "x"}]});
        request(Method::POST, "/v1/messages/count_tokens", body.to_string(), &[])
    };
    let answer = world.gateway.send(count("m")).await;
    assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({"input_tokens": 2095})));
    let call = world.upstream("a").only();
    assert_eq!((call.target.as_str(), call.json().get("temperature")), ("/v1/messages/count_tokens", None));
    let estimated = world.gateway.send(count("o")).await.json();
    assert!((100..115).contains(&estimated["input_tokens"].as_u64().unwrap()), "{estimated}");
    assert_eq!(world.calls("b"), 0);
}

#[tokio::test]
async fn the_token_reservation_of_messages_is_settled_to_their_usage() {
    // Each is reserved with more than 500 tokens and costs 17: four fit into 600 only if they are settled.
    let case =
        Case::of("m: a").params("a", &format!("{CLAUDE}, tpm: 600")).always("a", claude::stream(&["x"]));
    let world = case.settings("num_retries: 0").router("queue_timeout: 0").start().await;
    for n in 0..4 {
        let stream = stream(&world, json!({"max_tokens": 500})).await;
        assert_eq!((stream.status.as_u16(), said(&stream)), (200, "x".to_owned()), "call {n}");
    }
}

#[tokio::test]
async fn mocks_answer_messages() {
    let world =
        case("m: a", "a").params("a", &format!("{CLAUDE}, mock_response: mocked words")).start().await;
    assert_eq!(text(&send(&world, json!({})).await), "mocked words");
    assert_eq!(said(&stream(&world, json!({})).await), "mocked words");
}

#[tokio::test]
async fn a_parameter_that_cannot_be_translated_is_refused_by_name() {
    let world = Case::of("m: a").start().await;
    let servers = json!({"mcp_servers": [{"type": "url", "url": "https://x", "name": "x"}]});
    assert!(error(&send(&world, servers).await, 400, "invalid_request_error").contains("mcp_servers"));
    let search = json!({"tools": [{"type": "web_search_20250305", "name": "web_search"}]});
    assert!(error(&send(&world, search).await, 400, "invalid_request_error").contains("web_search_20250305"));
    assert_eq!(world.calls("a"), 0);
}

#[tokio::test]
async fn an_error_after_heartbeats_is_an_event_of_anthropics() {
    let gate = Gate::new();
    let case = case("m: a", "a").router("early_heartbeat: 0.02, num_retries: 0");
    let world =
        case.always("a", claude::error(529, "overloaded_error", "Overloaded").held(&gate)).start().await;
    let body = body(json!({"stream": true}));
    let mut stream = world.gateway.open(request(Method::POST, PATH, body, &[])).await;
    stream.until(": heartbeat").await;
    gate.open();
    assert_eq!(stream.rest().await, Over::Cleanly);
    let events = stream.named_events();
    assert_eq!(
        (&events[0]["type"], &events[0]["error"]["type"]),
        (&json!("error"), &json!("overloaded_error"))
    );
    assert_eq!(events.len(), 1);
}
