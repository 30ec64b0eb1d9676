//! Clients that call in OpenAI's Responses: passed on to servers that speak them, translated for all others.

mod chats;
mod stored;

use http::Method;
use serde_json::{Value, json};

use crate::{
    anthropic::{self as claude, CLAUDE},
    support::{
        answers as say,
        case::{Case, World},
        client::{Answer, Over, Stream, request},
        reply::{Gate, Part, Reply},
    },
};

pub(super) const PATH: &str = "/v1/responses";

/// The `model_info` of a deployment that speaks Responses.
pub(super) const SPEAKS: &str = "mode: responses";

/// Returns the body of a request, with these additions.
fn body(more: Value) -> String {
    let mut body = json!({"model": "m", "input": "hi"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body.to_string()
}

async fn send(world: &World, more: Value) -> Answer {
    world.gateway.send(request(Method::POST, PATH, body(more), &[])).await
}

async fn stream(world: &World, mut more: Value) -> Stream {
    more["stream"] = true.into();
    let mut stream = world.gateway.open(request(Method::POST, PATH, body(more), &[])).await;
    assert_eq!(stream.rest().await, Over::Cleanly);
    stream
}

/// Returns the text of a response.
pub(super) fn text(response: &Value) -> String {
    assert_eq!(response["object"], "response", "{response}");
    let items = response["output"].as_array().unwrap().iter();
    let parts = items.flat_map(|item| item["content"].as_array().into_iter().flatten());
    parts.filter_map(|part| part["text"].as_str()).collect()
}

/// Returns the events of a stream, after asserting their names and their numbers.
pub(super) fn events(stream: &Stream) -> Vec<Value> {
    let events = stream.named_events();
    let numbers: Vec<_> = events.iter().map(|event| event["sequence_number"].as_u64()).collect();
    assert_eq!(numbers, (0..events.len() as u64).map(Some).collect::<Vec<_>>(), "{}", stream.text());
    events
}

/// Returns the types of events.
fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

/// Returns the text of a stream, after asserting that it is complete and that its last event has the same text.
pub(super) fn said(stream: &Stream) -> String {
    let events = events(stream);
    let deltas = events.iter().filter(|event| event["type"] == "response.output_text.delta");
    let said: String = deltas.map(|event| event["delta"].as_str().unwrap()).collect();
    let last = events.last().unwrap();
    assert_eq!((&last["type"], text(&last["response"])), (&json!("response.completed"), said.clone()));
    said
}

fn event(kind: &str, number: u64, mut more: Value) -> Value {
    (more["type"], more["sequence_number"]) = (kind.into(), number.into());
    more
}

pub(super) fn object(status: &str, more: Value) -> Value {
    let mut object = json!({"id": "resp_up", "object": "response", "created_at": 7, "status": status,
        "model": "gpt-x", "error": null, "incomplete_details": null, "output": [], "usage": null,
        "parallel_tool_calls": true, "tool_choice": "auto", "tools": []});
    object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    object
}

/// Returns a complete response of a server that speaks Responses.
pub(super) fn response(text: &str) -> Value {
    let part = json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []});
    let item = json!({"type": "message", "id": "msg_up", "role": "assistant", "status": "completed", "content": [part]});
    let usage = json!({"input_tokens": 10, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 17});
    object("completed", json!({"output": [item], "usage": usage}))
}

/// Returns the events before the first content.
pub(super) fn begin() -> Reply {
    let item = json!({"type": "message", "id": "msg_up", "role": "assistant", "status": "in_progress", "content": []});
    Reply::named_events([
        event("response.created", 0, json!({"response": object("in_progress", json!({}))})),
        event("response.in_progress", 1, json!({"response": object("in_progress", json!({}))})),
        event("response.output_item.added", 2, json!({"output_index": 0, "item": item})),
    ])
}

pub(super) fn word(word: &str, number: u64) -> Reply {
    let place =
        json!({"item_id": "msg_up", "output_index": 0, "content_index": 0, "delta": word, "logprobs": []});
    Reply::named_events([event("response.output_text.delta", number, place)])
}

/// Returns a whole stream of one word.
pub(super) fn pieces(text: &str) -> Reply {
    let end = event("response.completed", 4, json!({"response": response(text)}));
    begin().and(word(text, 3)).and(Reply::named_events([end]))
}

fn failed(code: &str, number: u64) -> Reply {
    let error = json!({"code": code, "message": "The upstream failed."});
    let object = object("failed", json!({"error": error}));
    Reply::named_events([event("response.failed", number, json!({"response": object}))])
}

#[tokio::test]
async fn responses_pass_with_every_byte_but_the_model() {
    let reply = Reply::json(200, &response("hi"));
    let world = Case::of("m: a").info("a", SPEAKS).always("a", reply.clone()).start().await;
    let sent = r#"{ "model" : "m","input":"h\u00e9", "store":false,"previous_response_id":null,
        "num_retries": 1, "tools":[{"type":"web_search"}],"reasoning":{"effort":"low"} }"#;
    for path in ["/v1/responses", "/responses", "/openai/v1/responses"] {
        let answer = world.gateway.send(request(Method::POST, path, sent, &[])).await;
        let id = answer.json()["id"].as_str().unwrap().to_owned();
        let text = answer.text().replace(&id, "resp_up");
        assert_eq!((answer.status.as_u16(), text.as_bytes()), (200, &reply.body()[..]));
    }
    let call = world.upstream("a").calls().pop().unwrap();
    assert_eq!((call.target.as_str(), call.header("authorization")), ("/v1/responses", Some("Bearer sk-a")));
    let wanted = sent.replacen("\"m\"", "\"a-model\"", 1).replace("\"num_retries\": 1, ", "");
    assert_eq!(String::from_utf8_lossy(&call.body), wanted);
}

#[tokio::test]
async fn streams_of_responses_pass_as_they_are() {
    let gate = Gate::new();
    let end = event("response.completed", 4, json!({"response": response("Hel")}));
    let script = begin().and(word("Hel", 3)).then(Part::Until(gate.clone())).and(Reply::named_events([end]));
    let world =
        Case::of("m: a").info("a", SPEAKS).params("a", "tpm: 100000, temperature: 0.5, max_tokens: 3");
    let world = world.says("a", [pieces("Hello"), script]).start().await;
    let passed = stream(&world, json!({})).await;
    let id = events(&passed)[0]["response"]["id"].as_str().unwrap().to_owned();
    let text = passed.text().replace(&id, "resp_up");
    assert_eq!((text.as_bytes(), said(&passed)), (&pieces("Hello").body()[..], "Hello".to_owned()));
    let mut live = world.gateway.open(request(Method::POST, PATH, body(json!({"stream": true})), &[])).await;
    live.until("\"Hel\"").await;
    gate.open();
    assert_eq!(live.rest().await, Over::Cleanly);
    let sent = world.upstream("a").calls().pop().unwrap().json();
    assert_eq!((&sent["temperature"], sent.get("max_tokens")), (&json!(0.5), None), "{sent}");
    assert_eq!(sent.get("stream_options"), None, "{sent}");
}

#[tokio::test]
async fn the_token_reservation_of_responses_is_settled_to_their_usage() {
    // Each is reserved with more than 500 tokens and costs 17: four fit into 600 only if they are settled.
    for (reply, is_stream) in [(pieces("x"), true), (Reply::json(200, &response("x")), false)] {
        let case = Case::of("m: a").info("a", SPEAKS).params("a", "tpm: 600").always("a", reply);
        let world = case.settings("num_retries: 0").router("queue_timeout: 0").start().await;
        for n in 0..4 {
            let more = json!({"max_output_tokens": 500, "stream": is_stream});
            let answer = send(&world, more).await;
            assert_eq!(answer.status, 200, "call {n}: {}", answer.text());
        }
    }
}

#[tokio::test]
async fn failures_of_responses_before_the_first_content_are_retried() {
    let error = json!({"type": "error", "code": "server_error", "message": "no", "param": null, "sequence_number": 2});
    for reply in [
        say::unavailable(),
        failed("server_error", 0),
        begin().and(failed("rate_limit_exceeded", 3)),
        begin().and(Reply::named_events([error])),
        begin().then(Part::Cut),
        Reply::json(200, &object("failed", json!({"error": {"code": "server_error", "message": "no"}}))),
        Reply::bytes(200, "text/html", "<html>"),
    ] {
        let case = Case::of("m: a b").info("a", SPEAKS).info("b", SPEAKS).first("a");
        let world = case.always("a", reply).always("b", pieces("b")).start().await;
        assert_eq!(said(&stream(&world, json!({})).await), "b");
        assert_eq!(world.each("a b"), [1, 1]);
    }
}

#[tokio::test]
async fn streams_that_break_after_the_first_content_end_as_a_failed_response() {
    let chat = || say::role().and(say::words(&["Hel"]));
    for (info, script, code) in [
        (SPEAKS, begin().and(word("Hel", 3)).then(Part::Cut), "server_error"),
        (SPEAKS, begin().and(word("Hel", 3)), "server_error"),
        (SPEAKS, begin().and(word("Hel", 3)).and(failed("rate_limit_exceeded", 4)), "rate_limit_exceeded"),
        ("x: 1", chat().then(Part::Cut), "server_error"),
        ("x: 1", chat().and(say::error_event()), "server_error"),
        ("x: 1", chat(), "server_error"),
    ] {
        let world = Case::of("m: a b").info("a", info).first("a").always("a", script).start().await;
        let stream = stream(&world, json!({})).await;
        let events = events(&stream);
        let last = events.last().unwrap();
        assert_eq!(last["type"], "response.failed", "{}", stream.text());
        let (response, first) = (&last["response"], &events[0]["response"]);
        assert_eq!((&response["status"], &response["error"]["code"]), (&json!("failed"), &json!(code)));
        assert_eq!((&response["id"], &response["model"]), (&first["id"], &first["model"]));
        assert_eq!(world.each("a b"), [1, 0]);
    }
}

#[tokio::test]
async fn responses_are_translated_for_deployments_that_speak_chat_completions() {
    let world = Case::of("m: a").always("a", say::chat("Hello")).start().await;
    let more = json!({"instructions": "S", "max_output_tokens": 9, "top_p": 0.5, "store": true});
    let answer = send(&world, more).await;
    let call = world.upstream("a").only();
    assert_eq!(call.target, "/v1/chat/completions");
    let wanted = json!({"model": "a-model", "max_tokens": 9, "top_p": 0.5,
        "messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "hi"}]});
    assert_eq!(call.json(), wanted);
    let json = answer.json();
    assert_eq!((text(&json), &json["status"]), ("Hello".to_owned(), &json!("completed")));
    assert_eq!((&json["instructions"], &json["store"]), (&json!("S"), &json!(false)));
    assert_eq!((&json["usage"]["input_tokens"], &json["usage"]["output_tokens"]), (&json!(12), &json!(9)));
    assert_eq!(answer.header("x-litellm-model-id"), Some("a"));
}

#[tokio::test]
async fn translated_streams_have_the_events_of_responses_in_their_order() {
    let script =
        say::role().and(say::words(&["Hel", "lo"])).and(say::finish()).and(say::usage()).and(say::done());
    let world = Case::of("m: a").always("a", script).start().await;
    let stream = stream(&world, json!({})).await;
    assert!(stream.headers["content-type"].to_str().unwrap().starts_with("text/event-stream"));
    assert_eq!(said(&stream), "Hello");
    let wanted = [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ];
    assert_eq!(types(&events(&stream)), wanted);
    assert!(!stream.text().contains("[DONE]"));
    let sent = world.upstream("a").only().json();
    assert_eq!((&sent["stream"], &sent["stream_options"]), (&json!(true), &json!({"include_usage": true})));
}

#[tokio::test]
async fn tools_are_called_and_their_results_come_back() {
    let call = |delta: Value| say::chunk(&json!({"tool_calls": [delta]}), None);
    let calls = Reply::events([
        call(
            json!({"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ""}}),
        ),
        call(json!({"index": 0, "function": {"arguments": "{\"city\":"}})),
        call(json!({"index": 0, "function": {"arguments": "\"Oslo\"}"}})),
        call(
            json!({"index": 1, "id": "call_2", "type": "function", "function": {"name": "time", "arguments": ""}}),
        ),
        say::chunk(&json!({}), Some("tool_calls")),
    ]);
    let world = Case::of("m: a").always("a", say::role().and(calls).and(say::done())).start().await;
    let tools =
        json!([{"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": true}]);
    let asked = stream(&world, json!({"tools": tools, "tool_choice": "required"})).await;
    let output = events(&asked).pop().unwrap()["response"]["output"].take();
    let called = |item: &Value| (item["name"].clone(), item["arguments"].clone(), item["call_id"].clone());
    let items: Vec<_> = output.as_array().unwrap().iter().map(called).collect();
    let wanted = [("weather", "{\"city\":\"Oslo\"}", "call_1"), ("time", "{}", "call_2")];
    assert_eq!(items, wanted.map(|(name, arguments, id)| (name.into(), arguments.into(), id.into())));

    let mut input = vec![json!({"role": "user", "content": "hi"})];
    input.extend(output.as_array().unwrap().iter().cloned());
    input.push(json!({"type": "function_call_output", "call_id": "call_1", "output": "rain"}));
    input.push(json!({"type": "function_call_output", "call_id": "call_2", "output": [{"type": "input_text", "text": "now"}]}));
    world.upstream("a").becomes(say::chat("It rains."));
    assert_eq!(text(&send(&world, json!({"input": input, "tools": tools})).await.json()), "It rains.");
    let sent = world.upstream("a").calls().pop().unwrap().json();
    let roles: Vec<_> = sent["messages"].as_array().unwrap().iter().map(|message| &message["role"]).collect();
    assert_eq!(roles, ["user", "assistant", "tool", "tool"]);
    assert_eq!(sent["messages"][1]["tool_calls"][0]["id"], "call_1");
    assert_eq!(sent["tools"][0]["function"]["strict"], true);
}

#[tokio::test]
async fn responses_are_sent_in_the_other_form_than_was_requested() {
    let world = Case::of("m: a").always("a", say::chat("whole")).start().await;
    assert_eq!(said(&stream(&world, json!({})).await), "whole");
    world.upstream("a").becomes(say::stream(&["in ", "pieces"]));
    assert_eq!(text(&send(&world, json!({})).await.json()), "in pieces");
}

#[tokio::test]
async fn responses_are_translated_for_anthropic_with_thinking_that_comes_back() {
    let block = |index: u32, block: Value| json!({"type": "content_block_start", "index": index, "content_block": block});
    let script = claude::start()
        .and(Reply::named_events([
            block(0, json!({"type": "thinking", "thinking": "Hm", "signature": "Eq=="})),
            json!({"type": "content_block_stop", "index": 0}),
        ]))
        .and(claude::words(&["Hello"]))
        .and(claude::end("end_turn"));
    let world = Case::of("m: a").params("a", CLAUDE).always("a", script).start().await;
    let asked =
        stream(&world, json!({"reasoning": {"effort": "low"}, "include": ["reasoning.encrypted_content"]}))
            .await;
    assert_eq!(said(&asked), "Hello");
    let output = events(&asked).pop().unwrap()["response"]["output"].take();
    assert_eq!(output[0]["summary"][0]["text"], "Hm");
    let mut input = output.as_array().unwrap().clone();
    input.push(json!({"role": "user", "content": "more"}));
    send(&world, json!({"input": input})).await;
    let sent = world.upstream("a").calls().pop().unwrap().json();
    let thinking = json!({"type": "thinking", "thinking": "Hm", "signature": "Eq=="});
    assert_eq!(sent["messages"][0]["content"][0], thinking, "{sent}");
}

#[tokio::test]
async fn a_request_of_codex_runs_on_any_model() {
    let world = Case::of("\"codex-*\": a; claude: b")
        .params("b", CLAUDE)
        .always("b", claude::stream(&["b"]))
        .start()
        .await;
    let body = include_str!("responses/codex.json");
    for (model, name) in [("codex-model", "a"), ("claude", "b")] {
        let sent = body.replacen("codex-model", model, 1);
        let mut stream = world.gateway.open(request(Method::POST, PATH, sent, &[])).await;
        stream.rest().await;
        assert_eq!(said(&stream), name, "{}", stream.text());
    }
    let sent = world.upstream("a").only().json();
    let messages = sent["messages"].as_array().unwrap();
    let roles: Vec<_> = messages.iter().map(|message| message["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["system", "user", "assistant", "tool"]);
    assert_eq!(messages[2]["tool_calls"][0]["function"]["arguments"], r#"{"command":["ls"]}"#);
    assert_eq!(
        (&sent["tools"][0]["function"]["strict"], &sent["parallel_tool_calls"]),
        (&json!(false), &json!(false))
    );
    for gone in ["store", "include", "reasoning_effort", "input", "instructions"] {
        assert_eq!(sent.get(gone), None, "{gone}");
    }
    let sent = world.upstream("b").only().json();
    assert_eq!(
        sent["messages"][1]["content"][1]["type"], "tool_use",
        "the thinking of another vendor is left out"
    );
}

#[tokio::test]
async fn errors_of_responses_have_openais_form() {
    let world = Case::of("m: a").start().await;
    assert_eq!(send(&world, json!({"model": "x"})).await.error(404)["code"], "model_not_found");
    let missing = world.gateway.post(PATH, r#"{"model":"m"}"#).await;
    assert_eq!(missing.error(400)["param"], "input");
    for (more, param) in [
        (json!({"previous_response_id": "resp_1"}), "previous_response_id"),
        (json!({"background": true}), "background"),
        (json!({"conversation": "conv_1"}), "conversation"),
        (json!({"prompt": {"id": "pmpt_1"}}), "prompt"),
        (json!({"tools": [{"type": "web_search"}]}), "tools"),
        (json!({"input": [{"type": "item_reference", "id": "msg_1"}]}), "input"),
    ] {
        assert_eq!(send(&world, more).await.error(400)["param"], param);
    }
    assert_eq!(world.calls("a"), 0);
    for path in ["/v1/responses/resp_1", "/responses/resp_1/input_items"] {
        assert_eq!(world.gateway.get(path).await.error(404)["code"], "response_not_found");
    }
    world.upstream("a").becomes(say::bad_request());
    send(&world, json!({})).await.error(400);
}

#[tokio::test]
async fn fallbacks_of_responses_lead_over_the_dialects() {
    let case = Case::of("m: a; f: b; g: c").info("a", SPEAKS).params("b", CLAUDE);
    let case = case
        .always("a", say::unavailable())
        .always("b", claude::error(529, "overloaded_error", "Overloaded"));
    let world = case.settings("num_retries: 0, fallbacks: [{m: [f, g]}]").start().await;
    assert_eq!(said(&stream(&world, json!({})).await), "c");
    assert_eq!(text(&send(&world, json!({})).await.json()), "c");
    assert_eq!(world.each("a b c"), [2, 2, 2]);
}

#[tokio::test]
async fn requests_whose_response_is_stored_are_not_repeated() {
    for more in [json!({"store": true}), json!({"background": true})] {
        let case = Case::of("m: a b; f: c").first("a").info("a", SPEAKS).info("b", SPEAKS);
        let case = case.always("a", say::unavailable()).settings("num_retries: 3, fallbacks: [{m: [f]}]");
        let world = case.start().await;
        send(&world, more.clone()).await.error(503);
        assert_eq!(world.each("a b c"), [1, 0, 0], "{more}");
        world.upstream("a").becomes(say::rate_limited("60"));
        world.upstream("b").becomes(Reply::json(200, &response("b")));
        assert_eq!(text(&send(&world, more).await.json()), "b", "a request that was refused is not stored");
    }
}

#[tokio::test]
async fn mocks_answer_responses() {
    let world = Case::of("m: a").params("a", "mock_response: mocked words").info("a", SPEAKS).start().await;
    assert_eq!(text(&send(&world, json!({})).await.json()), "mocked words");
    assert_eq!(said(&stream(&world, json!({})).await), "mocked words");
}
