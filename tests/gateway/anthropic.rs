//! Deployments that speak Anthropic's Messages, called in OpenAI's dialect: requests, streams, errors, and fallbacks
//! between the dialects.

use http::Method;
use serde_json::{Value, json};

use crate::support::{
    answers as say,
    case::Case,
    client::{Over, ask, request},
    reply::{Gate, Part, Reply},
};

pub(super) const CLAUDE: &str = "custom_llm_provider: anthropic";

/// Returns a complete message.
pub(super) fn message(text: &str) -> Reply {
    Reply::json(
        200,
        &json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x",
            "content": [{"type": "text", "text": text}], "stop_reason": "end_turn", "stop_sequence": null,
            "usage": {"input_tokens": 10, "cache_read_input_tokens": 20, "output_tokens": 7}}),
    )
}

pub(super) fn start() -> Reply {
    Reply::named_events([json!({"type": "message_start", "message": {"id": "msg_1", "type": "message",
        "role": "assistant", "model": "claude-x", "content": [], "stop_reason": null,
        "usage": {"input_tokens": 10, "output_tokens": 1}}})])
}

pub(super) fn words(words: &[&str]) -> Reply {
    let begun =
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}});
    let delta = |word: &&str| json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}});
    Reply::named_events([begun].into_iter().chain(words.iter().map(delta)))
}

pub(super) fn end(reason: &str) -> Reply {
    Reply::named_events([
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 7}}),
        json!({"type": "message_stop"}),
    ])
}

/// Returns a whole stream of these words.
pub(super) fn stream(said: &[&str]) -> Reply {
    start().and(Reply::named_events([json!({"type": "ping"})])).and(words(said)).and(end("end_turn"))
}

pub(super) fn error(status: u16, kind: &str, message: &str) -> Reply {
    let body = json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"});
    Reply::json(status, &body)
}

pub(super) fn error_event(kind: &str) -> Reply {
    Reply::named_events([json!({"type": "error", "error": {"type": kind, "message": "Overloaded"}})])
}

/// Returns groups of which these deployments speak Anthropic's dialect.
fn case(groups: &str, claude: &str) -> Case {
    Case::of(groups).params(claude, CLAUDE)
}

#[tokio::test]
async fn anthropic_receives_its_own_request_and_the_client_a_chat_completion() {
    let asked = case("m: a", "a").always("a", message("a")).with(json!({"stop": "END"})).ask().await;
    let asked = asked.answered_by("a").header("content-type", "application/json");
    let call = asked.world.upstream("a").only();
    assert_eq!((call.target.as_str(), call.header("x-api-key")), ("/v1/messages", Some("sk-a")));
    assert_eq!((call.header("anthropic-version"), call.header("authorization")), (Some("2023-06-01"), None));
    let wanted = json!({"model": "openai/a-model", "max_tokens": 64_000, "stop_sequences": ["END"],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "what llm are you"}]}]});
    assert_eq!(call.json(), wanted);
    let json = asked.answer.json();
    assert_eq!(
        (&json["object"], &json["choices"][0]["finish_reason"]),
        (&json!("chat.completion"), &json!("stop"))
    );
    assert_eq!((&json["usage"]["prompt_tokens"], &json["usage"]["total_tokens"]), (&json!(30), &json!(37)));
    assert_eq!(json["usage"]["prompt_tokens_details"]["cached_tokens"], 20);
}

#[tokio::test]
async fn anthropic_streams_become_chunks_with_usage_only_when_asked_for() {
    let world = case("m: a", "a").always("a", stream(&["Hel", "lo"])).start().await;
    let plain = world.whole_stream(json!({})).await;
    assert_eq!(plain.said(), "Hello");
    assert!(plain.headers["content-type"].to_str().unwrap().starts_with("text/event-stream"));
    assert!(
        plain.text().ends_with("data: [DONE]\n\n") && !plain.text().contains("\"usage\""),
        "{}",
        plain.text()
    );
    assert!(plain.text().contains(": ping\n\n"), "a sign of life is passed on");
    let with_usage = world.whole_stream(json!({"stream_options": {"include_usage": true}})).await;
    assert!(with_usage.text().contains("\"total_tokens\":17"), "{}", with_usage.text());
    assert!(world.upstream("a").calls().iter().all(|call| call.json()["stream"] == true));
    assert!(world.upstream("a").calls().iter().all(|call| call.json().get("stream_options").is_none()));
}

#[tokio::test]
async fn anthropic_content_of_a_stream_is_passed_on_at_once() {
    let gate = Gate::new();
    let script = start().and(words(&["one"])).then(Part::Until(gate.clone())).and(end("end_turn"));
    let world = case("m: a", "a").always("a", script).start().await;
    let mut stream = world.gateway.stream("m", json!({})).await;
    stream.until("\"one\"").await;
    assert!(!stream.text().contains("[DONE]"));
    gate.open();
    assert_eq!(stream.rest().await, Over::Cleanly);
    assert!(stream.text().ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn anthropic_tools_are_called_in_parallel_with_arguments_in_pieces() {
    let tool = |index: u32, id: &str, name: &str| {
        json!({"type": "content_block_start", "index": index,
            "content_block": {"type": "tool_use", "id": id, "name": name, "input": {}}})
    };
    let piece = |index: u32, piece: &str| {
        json!({"type": "content_block_delta", "index": index,
            "delta": {"type": "input_json_delta", "partial_json": piece}})
    };
    let stop = |index: u32| json!({"type": "content_block_stop", "index": index});
    let calls = [
        tool(0, "toolu_1", "weather"),
        piece(0, "{\"city\":"),
        piece(0, "\"Oslo\"}"),
        stop(0),
        tool(1, "toolu_2", "time"),
        stop(1),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 7}}),
        json!({"type": "message_stop"}),
    ];
    let world = case("m: a", "a").always("a", start().and(Reply::named_events(calls))).start().await;
    let tools =
        json!([{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]);
    let stream = world.whole_stream(json!({"tools": tools, "tool_choice": "required"})).await;
    let sent = world.upstream("a").only().json();
    assert_eq!(sent["tools"], json!([{"name": "weather", "input_schema": {"type": "object"}}]));
    assert_eq!(sent["tool_choice"], json!({"type": "any"}));
    let mut calls = vec![String::new(), String::new()];
    for event in stream.events() {
        let json: Value = serde_json::from_str(&event).unwrap_or_default();
        for call in json["choices"][0]["delta"]["tool_calls"].as_array().into_iter().flatten() {
            let at = usize::try_from(call["index"].as_u64().unwrap()).unwrap();
            calls[at] += call["function"]["name"].as_str().unwrap_or_default();
            calls[at] += call["function"]["arguments"].as_str().unwrap_or_default();
        }
    }
    assert_eq!(calls, ["weather{\"city\":\"Oslo\"}", "time{}"]);
    assert!(stream.text().contains("\"finish_reason\":\"tool_calls\""));
}

#[tokio::test]
async fn anthropic_sends_the_other_form_than_was_requested() {
    let world = case("m: a", "a").always("a", message("whole")).start().await;
    let streamed = world.whole_stream(json!({})).await;
    assert_eq!(streamed.said(), "whole");
    assert!(streamed.text().ends_with("data: [DONE]\n\n"));
    world.upstream("a").becomes(stream(&["in ", "pieces"]));
    let answer = world.ask().await;
    assert_eq!((answer.status.as_u16(), answer.said().as_str()), (200, "in pieces"));
    world.upstream("a").becomes(start().and(words(&["cut"])));
    world.ask().await.error(502);
}

#[tokio::test]
async fn anthropic_errors_have_openais_form_and_their_own_status() {
    let too_long = "prompt is too long: 210000 tokens > 200000 maximum";
    for (reply, status, kind, message) in [
        (
            error(400, "invalid_request_error", "messages: at least one"),
            400,
            "invalid_request_error",
            "at least one",
        ),
        (error(400, "invalid_request_error", too_long), 400, "invalid_request_error", "prompt is too long"),
        (error(413, "request_too_large", "Too large"), 413, "request_too_large", "Too large"),
        (error(429, "rate_limit_error", "Slow down"), 429, "rate_limit_error", "Slow down"),
        (error(529, "overloaded_error", "Overloaded"), 529, "overloaded_error", "Overloaded"),
        (
            error(401, "authentication_error", "invalid x-api-key"),
            401,
            "authentication_error",
            "not yours: invalid",
        ),
        (
            Reply::bytes(502, "text/html", "<html>bad gateway</html>"),
            502,
            "internal_server_error",
            "bad gateway",
        ),
    ] {
        let asked = case("m: a", "a").always("a", reply).settings("num_retries: 0").ask().await;
        let error = asked.answer.error(status);
        assert_eq!(error["type"], kind, "{error}");
        assert!(error["message"].as_str().unwrap().contains(message), "{error}");
    }
}

#[tokio::test]
async fn anthropic_overload_is_retried_at_another_deployment() {
    for reply in [
        error(529, "overloaded_error", "Overloaded"),
        error_event("overloaded_error"),
        start().and(error_event("overloaded_error")),
        start().then(Part::Cut),
        Reply::json(
            200,
            &json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
        ),
        Reply::bytes(200, "text/html", "<html>"),
        Reply::bytes(200, "text/event-stream", ""),
    ] {
        let world =
            case("m: a b", "a b").first("a").always("a", reply).always("b", stream(&["b"])).start().await;
        let stream = world.whole_stream(json!({})).await;
        assert_eq!((stream.status.as_u16(), stream.said()), (200, "b".to_owned()));
        assert_eq!(world.each("a b"), [1, 1]);
    }
}

#[tokio::test]
async fn anthropic_streams_that_break_after_the_first_content_end_with_an_error() {
    for broken in
        [error_event("overloaded_error"), Reply::named_events([]), Reply::named_events([]).then(Part::Cut)]
    {
        let world = case("m: a b", "a b")
            .first("a")
            .always("a", start().and(words(&["Hel"])).and(broken))
            .start()
            .await;
        let stream = world.whole_stream(json!({})).await;
        assert_eq!(stream.said(), "Hel");
        assert!(stream.is_honest(), "{}", stream.text());
        assert_eq!(world.each("a b"), [1, 0]);
    }
}

#[tokio::test]
async fn anthropic_wait_is_obeyed() {
    let limited = error(429, "rate_limit_error", "Slow down").header("retry-after", 3600);
    let world = case("m: a b", "a b").first("a").always("a", limited).always("b", message("b")).start().await;
    assert_eq!(world.statuses(3).await, [200, 200, 200]);
    assert_eq!(world.each("a b"), [1, 3]);
    let used_up = message("a")
        .header("anthropic-ratelimit-requests-limit", 50)
        .header("anthropic-ratelimit-requests-remaining", 0)
        .header("anthropic-ratelimit-requests-reset", "2099-01-01T00:00:00Z");
    let world = case("m: a b", "a b")
        .params("a", &format!("{CLAUDE}, rpm: 50"))
        .params("b", &format!("{CLAUDE}, rpm: 50"))
        .first("a")
        .always("a", used_up)
        .always("b", message("b"))
        .start()
        .await;
    assert_eq!(world.statuses(3).await, [200, 200, 200]);
    assert_eq!(world.each("a b"), [1, 2], "a limit that is used up is one");
}

#[tokio::test]
async fn fallbacks_lead_from_anthropic_to_openai_and_back_with_the_clients_own_request() {
    let more = json!({"stop": ["END"], "max_tokens": 9});
    let openai = json!({"model": "b-model", "stop": ["END"], "max_tokens": 9,
        "messages": [{"role": "user", "content": "what llm are you"}]});
    let anthropic = json!({"model": "openai/a-model", "stop_sequences": ["END"], "max_tokens": 9,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "what llm are you"}]}]});
    let overloaded = error(529, "overloaded_error", "Overloaded");
    let there =
        case("m: a; f: b", "a").always("a", overloaded).settings("num_retries: 0, fallbacks: [{m: [f]}]");
    let asked = there.with(more.clone()).ask().await.answered_by("b").calls("a:1 b:1").fallbacks(1);
    assert_eq!(asked.world.upstream("a").only().json(), anthropic);
    assert_eq!(asked.world.upstream("b").only().json(), openai);
    let back = case("m: b; f: a", "a").always("b", say::unavailable()).always("a", message("a"));
    let asked = back.settings("num_retries: 0, fallbacks: [{m: [f]}]").with(more).ask().await;
    let asked = asked.answered_by("a").calls("b:1 a:1").fallbacks(1);
    assert_eq!(asked.world.upstream("b").only().json(), openai);
    assert_eq!(asked.world.upstream("a").only().json(), anthropic);
}

#[tokio::test]
async fn one_group_of_both_dialects_survives_the_failure_of_each() {
    for failing in ["a", "b"] {
        let broken = if failing == "a" { error(500, "api_error", "x") } else { say::server_error() };
        let case = case("m: a b", "a").first(failing).always("a", stream(&["a"])).always(failing, broken);
        let world = case.start().await;
        let stream = world.whole_stream(json!({})).await;
        assert_eq!(stream.said(), if failing == "a" { "b" } else { "a" }, "{}", stream.text());
        assert!(stream.text().ends_with("data: [DONE]\n\n"));
    }
}

#[tokio::test]
async fn anthropic_streams_are_continued_between_the_dialects() {
    let half = start().and(words(&["one ", "two "])).then(Part::Cut);
    let there = case("m: a b", "a").first("a").always("a", half);
    let world =
        there.always("b", say::stream(&["three"])).router("midstream_fallback: continue").start().await;
    let stream = world.whole_stream(json!({})).await;
    assert_eq!(stream.said(), "one two three");
    assert_eq!(
        world.upstream("b").only().json()["messages"][1],
        json!({"role": "assistant", "content": "one two "})
    );
    let half = say::role().and(say::words(&["one ", "two "])).then(Part::Cut);
    let back = case("m: a b", "a").first("b").always("b", half);
    let world =
        back.always("a", self::stream(&["three"])).router("midstream_fallback: continue").start().await;
    let stream = world.whole_stream(json!({})).await;
    assert_eq!(stream.said(), "one two three");
    let prefix = json!({"role": "assistant", "content": [{"type": "text", "text": "one two"}]});
    assert_eq!(world.upstream("a").only().json()["messages"][1], prefix);
}

#[tokio::test]
async fn anthropic_refuses_or_drops_parameters_that_it_does_not_have() {
    let more = json!({"seed": 7, "temperature": 1.5});
    let asked = case("m: a", "a").always("a", message("a")).with(more.clone()).ask().await;
    let error = asked.answer.error(400);
    assert_eq!((&error["param"], &error["code"]), (&json!("seed"), &json!("unsupported_parameter")));
    asked.calls("a:0");
    let dropping = case("m: a", "a").always("a", message("a")).settings("drop_params: true");
    let asked = dropping.with(more).ask().await.answered_by("a");
    let sent = asked.world.upstream("a").only().json();
    assert_eq!((sent.get("seed"), sent.get("temperature")), (None, None));
}

#[tokio::test]
async fn anthropic_has_no_other_operations() {
    let world = case("m: a", "a").always("a", message("a")).start().await;
    let body = json!({"model": "m", "input": "x"}).to_string();
    let answer = world.gateway.send(request(Method::POST, "/v1/embeddings", body, &[])).await;
    assert!(answer.error(400)["message"].as_str().unwrap().contains("embeddings"));
    assert_eq!(world.calls("a"), 0);
}

#[tokio::test]
async fn anthropic_features_are_requested_in_a_header() {
    let params = format!("{CLAUDE}, extra_headers: {{anthropic-beta: \"mine,files-api-2025-04-14\"}}");
    let world = Case::of("m: a").params("a", &params).always("a", message("a")).start().await;
    let file = json!([{"role": "user", "content": [{"type": "file", "file": {"file_id": "file_1"}}]}]);
    let more = json!({"messages": file, "context_management": {"edits": []}});
    assert_eq!(world.ask_with(more).await.status, 200);
    let call = world.upstream("a").only();
    assert_eq!(
        call.header("anthropic-beta"),
        Some("mine,files-api-2025-04-14,context-management-2025-06-27")
    );
}

#[tokio::test]
async fn the_token_reservation_of_an_anthropic_stream_is_settled_to_its_usage() {
    // Each is reserved with more than 500 tokens and costs 17: four fit into 600 only if they are settled.
    let case = Case::of("m: a").params("a", &format!("{CLAUDE}, tpm: 600")).always("a", stream(&["x"]));
    let world = case.settings("num_retries: 0").router("queue_timeout: 0").start().await;
    for n in 0..4 {
        let stream = world.whole_stream(json!({"max_tokens": 500})).await;
        assert_eq!(stream.status, 200, "call {n}: {}", stream.text());
        assert!(!stream.text().contains("\"usage\""), "the client did not ask for it");
    }
}

#[tokio::test]
async fn anthropic_deployments_with_a_mock_response_are_not_translated() {
    let mock = format!("{CLAUDE}, mock_response: mocked");
    let asked = Case::of("m: a").params("a", &mock).ask().await.status(200);
    assert_eq!(asked.answer.said(), "mocked");
    let stream = asked.world.whole_stream(json!({})).await;
    assert_eq!(stream.said(), "mocked");
    asked.calls("a:0");
}

#[cfg(feature = "compression")]
#[tokio::test]
async fn anthropic_responses_are_decompressed_before_they_are_translated() {
    let body = message("packed").body();
    let packed = tollgate_test_support::compressed("gzip", &[body]).await.unwrap().concat();
    let reply = Reply::bytes(200, "application/json", packed).header("content-encoding", "gzip");
    case("m: a", "a").always("a", reply).ask().await.status(200).contains("\"content\":\"packed\"");
}

#[tokio::test]
async fn a_request_in_many_frames_is_translated() {
    let world = case("m: a", "a").always("a", message("a")).start().await;
    let long = "x".repeat(300_000);
    let body = ask("m", json!({"messages": [{"role": "user", "content": long}]}));
    let answer = world.gateway.send(request(Method::POST, "/v1/chat/completions", body, &[])).await;
    assert_eq!(answer.status, 200);
    assert_eq!(world.upstream("a").only().json()["messages"][0]["content"][0]["text"], long);
}
