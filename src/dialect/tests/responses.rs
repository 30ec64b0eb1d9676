//! Golden pairs and properties of OpenAI's Responses as the dialect of a client.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    LIMITS,
    golden::{assert_requests, cases},
    properties::{Block, block},
    translated,
};
use crate::dialect::{ClientDialect, Opened, Translation, Translator, failed};

/// The members of a response that are the same for every response to a request.
const ECHOED: usize = 20;

/// Returns the translation of Anthropic's response to a request with these members.
fn translation(more: &Value) -> Translation {
    translation_by(Translator::anthropic(LIMITS), more)
}

fn translation_by(translator: Translator, more: &Value) -> Translation {
    let mut request = json!({"model": "m", "input": "a"});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    translator.request(ClientDialect::Responses, request.to_string().as_bytes(), 7).unwrap().1
}

fn events(stream: &str) -> impl Iterator<Item = (&str, Value)> {
    let events =
        stream.split("\n\n").filter_map(|event| event.strip_prefix("event: ")?.split_once("\ndata: "));
    events.map(|(kind, data)| (kind, serde_json::from_str(data).unwrap()))
}

/// Returns an event as a line of the file, without its type and its number, which are checked.
fn line(number: &mut u64, event: &str) -> String {
    let Some((kind, mut event)) = events(event).next() else {
        assert_eq!(event, ": ping");
        return "alive".to_owned();
    };
    let members = event.as_object_mut().unwrap();
    assert_eq!(members.remove("type").unwrap(), kind);
    assert_eq!(members.remove("sequence_number").unwrap(), *number, "{kind}");
    *number += 1;
    if let Some(response) = members.get_mut("response") {
        shorten(response);
    }
    format!("{} {event}", kind.strip_prefix("response.").unwrap())
}

/// Removes the members that are the same for every response to a request.
fn shorten(response: &mut Value) {
    const KEPT: [&str; 6] = ["id", "status", "error", "incomplete_details", "output", "usage"];
    let members = response.as_object_mut().unwrap();
    assert_eq!(members.len(), KEPT.len() + ["object", "model", "created_at"].len() + ECHOED);
    members.retain(|name, value| KEPT.contains(&&**name) && !value.is_null());
}

/// Returns the response in the last event of a stream.
fn last_response(stream: &str) -> Value {
    events(stream).last().unwrap().1["response"].take()
}

#[test]
fn golden_requests_are_read_or_refused() {
    let client = ClientDialect::Responses;
    assert_requests(include_str!("from_responses.txt"), (client, Translator::anthropic(LIMITS)));
    assert_requests(include_str!("from_responses_to_chat.txt"), (client, Translator::openai(LIMITS)));
}

#[test]
fn golden_events_are_written_as_a_stream_and_as_a_response() {
    assert_responses(include_str!("to_responses.txt"), Translator::anthropic(LIMITS));
    assert_responses(include_str!("to_responses_from_chat.txt"), Translator::openai(LIMITS));
}

fn assert_responses(file: &'static str, translator: Translator) {
    for (name, input, wanted) in cases(file) {
        let upstream: Vec<_> = input.lines().collect();
        let stream = translated(translation_by(translator, &json!({"stream": true})), &upstream);
        let mut number = 0;
        let events = stream.split("\n\n").filter(|event| !event.is_empty());
        let lines: Vec<_> = events.map(|event| line(&mut number, event)).collect();
        assert_eq!(lines, wanted, "{name}");
        let complete = translated(translation_by(translator, &json!({})), &upstream);
        assert_eq!(serde_json::from_str::<Value>(&complete).unwrap(), last_response(&stream), "{name}");
    }
}

#[test]
fn a_response_repeats_the_members_of_its_request() {
    let echoed = json!({
        "instructions": "b", "max_output_tokens": 9, "max_tool_calls": 2, "metadata": {"a": "b"},
        "parallel_tool_calls": false, "prompt_cache_key": "k", "reasoning": {"effort": "low", "summary": "auto"},
        "safety_identifier": "s", "service_tier": "flex", "temperature": 0.5,
        "text": {"format": {"type": "json_object"}, "verbosity": "medium"}, "tool_choice": "required",
        "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": true}],
        "top_logprobs": 0, "top_p": 0.5, "truncation": "auto", "user": "u",
    });
    let mut request = echoed.clone();
    (request["model"], request["store"]) = ("claude-sonnet-4-5".into(), true.into());
    let start = r#"{"type":"message_start","message":{"id":"1","type":"message","model":"m","content":[]}}"#;
    let end = r#"{"type":"message_stop"}"#;
    let response: Value = serde_json::from_str(&translated(translation(&request), &[start, end])).unwrap();
    let mut wanted = json!({
        "id": "resp_1", "object": "response", "created_at": 7, "status": "completed", "error": null,
        "incomplete_details": null, "model": "m", "output": [], "usage": null,
        "background": false, "previous_response_id": null, "store": false,
    });
    wanted.as_object_mut().unwrap().extend(echoed.as_object().unwrap().clone());
    assert_eq!(response, wanted);
    assert_eq!(response.as_object().unwrap().len(), 9 + ECHOED);
}

#[test]
fn members_of_a_request_with_line_ends_are_repeated_on_one_line() {
    let request = "{\"model\":\"m\",\"stream\":true,\"input\":\"a\",\"tools\":[\r\n  {\"type\": \"function\",\n\"name\":\"f\"}]}";
    let translation =
        Translator::anthropic(LIMITS).request(ClientDialect::Responses, request.as_bytes(), 7).unwrap().1;
    let start = r#"{"type":"message_start","message":{"id":"1","type":"message","model":"m","content":[]}}"#;
    let stream = translated(translation, &[start]);
    assert_eq!(last_response(&stream)["tools"], json!([{"type": "function", "name": "f"}]));
    assert!(
        stream
            .lines()
            .all(|line| line.is_empty() || line.starts_with("event: ") || line.starts_with("data: "))
    );
}

#[test]
fn a_stream_that_broke_ends_with_a_failed_response_or_an_error() {
    let start = r#"{"type":"message_start","message":{"id":"1","type":"message","model":"m","content":[]}}"#;
    let stream = translated(translation(&json!({"stream": true})), &[start]);
    let (_, created) = events(&stream).next().unwrap();
    let opened = Opened::read(created.to_string().as_bytes());
    let bytes = failed(opened.as_ref(), 2, (Some("rate_limit_exceeded"), "too fast"));
    let event = String::from_utf8(bytes).unwrap();
    let error = r#"{"code":"rate_limit_exceeded","message":"too fast"}"#;
    let wanted =
        format!(r#"failed {{"response":{{"error":{error},"id":"resp_1","output":[],"status":"failed"}}}}"#);
    assert_eq!(line(&mut 2, event.trim_end()), wanted);
    assert_eq!(last_response(&event)["model"], "m");

    let none = Opened::read(br#"{"type":"response.output_text.delta","delta":"a"}"#);
    let error = String::from_utf8(failed(none.as_ref(), 0, (Some("stream_cut"), "gone"))).unwrap();
    let wanted = r#"{"type":"error","sequence_number":0,"code":"stream_cut","message":"gone","param":null}"#;
    assert_eq!(error, format!("event: error\ndata: {wanted}\n\n"));
}

/// Adds up the events of a stream, as a client does.
fn folded(stream: &str) -> Vec<Value> {
    let mut output: Vec<Value> = Vec::new();
    for (kind, event) in events(stream) {
        let index = |name: &str| usize::try_from(event[name].as_u64().unwrap()).unwrap();
        let parts = if kind.contains("summary") { "summary" } else { "content" };

        let add = |to: &mut Value| {
            *to = format!("{}{}", to.as_str().unwrap(), event["delta"].as_str().unwrap()).into();
        };
        let at = if parts == "summary" { "summary_index" } else { "content_index" };
        match kind.strip_prefix("response.").unwrap() {
            "output_item.added" => output.push(event["item"].clone()),
            "content_part.added" | "reasoning_summary_part.added" => {
                output[index("output_index")][parts].as_array_mut().unwrap().push(event["part"].clone());
            }
            "output_text.delta" | "reasoning_summary_text.delta" => {
                add(&mut output[index("output_index")][parts][index(at)]["text"]);
            }
            "function_call_arguments.delta" => add(&mut output[index("output_index")]["arguments"]),
            "function_call_arguments.done" => {
                assert_eq!(event["arguments"], output[index("output_index")]["arguments"]);
            }
            "output_text.done" | "reasoning_summary_text.done" => {
                assert_eq!(event["text"], output[index("output_index")][parts][index(at)]["text"]);
            }
            "content_part.done" | "reasoning_summary_part.done" => {
                assert_eq!(event["part"], output[index("output_index")][parts][index(at)]);
            }
            "output_item.done" => {
                let item = &mut output[index("output_index")];
                item["status"] = event["item"]["status"].clone();
                if event["item"].get("encrypted_content").is_some() {
                    item["encrypted_content"] = event["item"]["encrypted_content"].clone();
                }
                if item["status"].is_null() {
                    item.as_object_mut().unwrap().remove("status");
                }
                assert_eq!(*item, event["item"]);
            }
            "created" | "in_progress" | "completed" => {}
            other => panic!("{other}"),
        }
    }
    output
}

proptest! {
    #[test]
    fn a_stream_of_responses_folded_is_the_complete_response(blocks in prop::collection::vec(block(), 0..6)) {
        let stream = translated(translation(&json!({"stream": true})), &Block::stream(&blocks));
        let complete: Value = serde_json::from_str(&translated(translation(&json!({})), &Block::stream(&blocks))).unwrap();
        prop_assert_eq!(&Value::from(folded(&stream)), &complete["output"]);
        prop_assert_eq!(&last_response(&stream), &complete);

        let mut out = Vec::new();
        let is_translated = translation(&json!({})).complete(Block::message(&blocks).to_string().as_bytes(), &mut out);
        prop_assert!(is_translated);
        prop_assert_eq!(&serde_json::from_slice::<Value>(&out).unwrap(), &complete);
    }
}
