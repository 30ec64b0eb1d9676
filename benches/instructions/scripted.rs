//! What is answered, and by whom: an upstream that is there at once.

use std::{future::ready, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Response, header};
use serde_json::{Value, json};
use tollgate::upstream::{ScriptStep, Upstream, UpstreamBody, UpstreamCall, UpstreamFuture};

use crate::case::{Case, Dialect, PIECE};

/// Events of a stream before its `[DONE]`, or before its end in the other dialects.
const EVENTS: usize = 64;

/// The answers, made once.
#[derive(Clone)]
pub(crate) struct ScriptedBody(Arc<Answers>);

struct Answers {
    whole: Vec<Bytes>,
    length: usize,
    events: Vec<Bytes>,
}

impl ScriptedBody {
    /// Makes the answers of a case. That of [`Case::Answer`] which is not a stream has 34 KB.
    pub(crate) fn new(case: Case) -> Self {
        let repeats = if case == Case::Answer { 600 } else { 13 };
        let text = "The deployments answer in turn, and none is asked twice. ".repeat(repeats);
        let (whole, events) = match case.upstream() {
            Dialect::Chat => (completion(&text), chunks()),
            Dialect::Responses => (ordered(&response(&text), &["id", "object"]), response_events()),
            Dialect::Messages => (ordered(&message(&text), &["model", "id", "type"]), message_events()),
        };
        let whole = Bytes::from(whole);
        let length = whole.len();
        let at = |from| whole.slice(from..length.min(from + PIECE));
        Self(Arc::new(Answers { whole: (0..length).step_by(PIECE).map(at).collect(), length, events }))
    }

    pub(crate) fn upstream(&self) -> Arc<dyn Upstream> {
        Arc::new(self.clone())
    }
}

fn completion(text: &str) -> String {
    format!(
        r#"{{"id":"chatcmpl-1","object":"chat.completion","created":1760000000,"model":"gpt-4o-mini","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":230,"completion_tokens":160,"total_tokens":390}}}}"#
    )
}

fn chunks() -> Vec<Bytes> {
    let event = |n| {
        let (delta, finish) = match n {
            0 => (r#"{"role":"assistant","content":"The"}"#, "null"),
            _ if n == EVENTS - 1 => ("{}", r#""stop""#),
            _ => (r#"{"content":" deployments"}"#, "null"),
        };
        Bytes::from(format!(
            "data: {{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1760000000,\"model\":\"gpt-4o-mini\",\"system_fingerprint\":\"fp_44709d6fcb\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"logprobs\":null,\"finish_reason\":{finish}}}]}}\n\n"
        ))
    };
    (0..EVENTS).map(event).chain([Bytes::from_static(b"data: [DONE]\n\n")]).collect()
}

/// Returns the id of a response as OpenAI has it.
const RESPONSE_ID: &str = "resp_68f0a1b2c3d4819ca5e6f708192a3b4c5d6e7f8091a2b3c4";
const ITEM_ID: &str = "msg_68f0a1b2c3d4819ca5e6f708192a3b4c5d6e7f8091a2b3c4";

fn item(text: &str) -> Value {
    let part = json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []});
    json!({"id": ITEM_ID, "type": "message", "status": "completed", "role": "assistant", "content": [part]})
}

fn response_object(status: &str, output: &[Value], usage: &Value) -> Value {
    json!({"id": RESPONSE_ID, "object": "response", "created_at": 1_760_000_000, "status": status, "error": null,
        "incomplete_details": null, "instructions": null, "max_output_tokens": null, "model": "gpt-4o-mini", "output": output,
        "parallel_tool_calls": true, "previous_response_id": null, "reasoning": {"effort": null, "summary": null},
        "store": true, "temperature": 0.7, "text": {"format": {"type": "text"}}, "tool_choice": "auto", "tools": [],
        "top_p": 1.0, "truncation": "disabled", "usage": usage, "user": null, "metadata": {}})
}

fn response(text: &str) -> Value {
    let usage = json!({"input_tokens": 230, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 160,
        "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 390});
    response_object("completed", &[item(text)], &usage)
}

fn response_events() -> Vec<Bytes> {
    let opened = || response_object("in_progress", &[], &Value::Null);
    let place = || json!({"item_id": ITEM_ID, "output_index": 0, "content_index": 0});
    let begin = [
        json!({"type": "response.created", "response": opened()}),
        json!({"type": "response.in_progress", "response": opened()}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": item("")}),
        json!({"type": "response.content_part.added", "part": item("")["content"][0]}),
    ];
    let words: Vec<_> = (0..EVENTS - 8).map(|_| " deployments").collect();
    let text = words.concat();
    let deltas = words.iter().map(|word| {
        json!({"type": "response.output_text.delta", "delta": word, "logprobs": [], "obfuscation": "a1b2c3d4"})
    });
    let end = [
        json!({"type": "response.output_text.done", "text": text}),
        json!({"type": "response.content_part.done", "part": item(&text)["content"][0]}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": item(&text)}),
        json!({"type": "response.completed", "response": response(&text)}),
    ];
    let all = begin.into_iter().chain(deltas).chain(end).enumerate().map(|(number, mut event)| {
        event["sequence_number"] = number.into();
        if event.get("delta").or(event.get("part")).or(event.get("text")).is_some() {
            event
                .as_object_mut()
                .into_iter()
                .for_each(|event| event.extend(place().as_object().cloned().unwrap_or_default()));
        }
        event
    });
    all.map(|event| named_event(&event)).collect()
}

fn message(text: &str) -> Value {
    json!({"id": "msg_01XFDUDYJgAACzvnptvVoYEL", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
        "content": [{"type": "text", "text": text}], "stop_reason": "end_turn", "stop_sequence": null,
        "usage": {"input_tokens": 230, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 160}})
}

fn message_events() -> Vec<Bytes> {
    let mut opened = message("");
    opened["content"] = json!([]);
    opened["stop_reason"] = Value::Null;
    let begin = [
        json!({"type": "message_start", "message": opened}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
    ];
    let deltas = (0..EVENTS - 5).map(|_| {
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": " deployments"}})
    });
    let end = [
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null}, "usage": {"output_tokens": 160}}),
        json!({"type": "message_stop"}),
    ];
    begin.into_iter().chain(deltas).chain(end).map(|event| named_event(&event)).collect()
}

/// Returns an event with its name.
fn named_event(event: &Value) -> Bytes {
    let kind = event["type"].as_str().unwrap_or_default();
    format!("event: {kind}\ndata: {}\n\n", ordered(event, &["type"])).into()
}

/// Returns an object with those members first which servers write first.
fn ordered(object: &Value, first: &[&str]) -> String {
    let all = object.as_object().into_iter().flatten();
    let others = all.filter(|(name, _)| !first.contains(&name.as_str()));
    let members =
        first.iter().map(|name| (*name, &object[name])).chain(others.map(|(name, value)| (&**name, value)));
    let members: Vec<_> = members.map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}

impl Upstream for ScriptedBody {
    fn call(&self, call: UpstreamCall) -> UpstreamFuture {
        let Self(answers) = self;
        let (media, frames) = match call.stream {
            true => ("text/event-stream", &*answers.events),
            false => ("application/json", &*answers.whole),
        };
        let mut answer = Response::new(UpstreamBody::scripted(frames.iter().cloned().map(ScriptStep::Data)));
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
        headers.insert(header::DATE, HeaderValue::from_static("Mon, 01 Dec 2025 00:00:00 GMT"));
        headers.insert("x-request-id", HeaderValue::from_static("req_1"));
        if !call.stream {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(answers.length));
        }
        // The request goes, as it does once it is sent.
        drop(call);
        Box::pin(ready(Ok(answer)))
    }
}
