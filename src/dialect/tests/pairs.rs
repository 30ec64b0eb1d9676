//! A table of the same conversations through every pair of dialects: the last one of `docs/dialects.md`.

use serde_json::{Value, json};

use super::LIMITS;
use crate::dialect::{ClientDialect, Translation, Translator};

type Upstream = (&'static str, Translator, fn() -> [Value; 2]);

/// The upstreams, each with a complete response that contains text, and one with the call of a tool.
fn upstreams() -> [Upstream; 6] {
    [
        ("OpenAI", Translator::openai(LIMITS), openai),
        ("Responses", Translator::responses(LIMITS), responses),
        ("Anthropic", Translator::anthropic(LIMITS), anthropic),
        ("Gemini", Translator::gemini(LIMITS), gemini),
        ("Ollama", Translator::ollama(LIMITS), ollama),
        ("Bedrock", Translator::bedrock(LIMITS), bedrock),
    ]
}

fn openai() -> [Value; 2] {
    let call = json!([{"id": "c", "type": "function", "function": {"name": "weather", "arguments": "{\"city\":\"Oslo\"}"}}]);
    let response = |message: Value, reason: &str| {
        json!({"id": "i", "model": "m", "choices": [{"index": 0, "message": message, "finish_reason": reason}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 7}})
    };
    [response(json!({"content": "Hello"}), "stop"), response(json!({"tool_calls": call}), "tool_calls")]
}

fn responses() -> [Value; 2] {
    let part = json!({"type": "output_text", "text": "Hello", "annotations": []});
    let call = json!({"type": "function_call", "id": "f", "call_id": "c", "name": "weather", "arguments": "{\"city\":\"Oslo\"}"});
    [json!({"type": "message", "id": "i", "role": "assistant", "content": [part]}), call].map(|item| {
        json!({"id": "i", "object": "response", "status": "completed", "model": "m", "output": [item],
            "usage": {"input_tokens": 10, "output_tokens": 7}})
    })
}

fn anthropic() -> [Value; 2] {
    let response = |block: Value, reason: &str| {
        json!({"id": "i", "type": "message", "model": "m", "content": [block], "stop_reason": reason,
            "usage": {"input_tokens": 10, "output_tokens": 7}})
    };
    let call = json!({"type": "tool_use", "id": "c", "name": "weather", "input": {"city": "Oslo"}});
    [response(json!({"type": "text", "text": "Hello"}), "end_turn"), response(call, "tool_use")]
}

fn gemini() -> [Value; 2] {
    [json!({"text": "Hello"}), json!({"functionCall": {"id": "c", "name": "weather", "args": {"city": "Oslo"}}})].map(|part| {
        json!({"candidates": [{"content": {"parts": [part]}, "finishReason": "STOP"}], "responseId": "i", "modelVersion": "m",
            "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 7}})
    })
}

fn bedrock() -> [Value; 2] {
    let call = json!({"toolUse": {"toolUseId": "c", "name": "weather", "input": {"city": "Oslo"}}});
    [(json!({"text": "Hello"}), "end_turn"), (call, "tool_use")].map(|(block, reason)| {
        json!({"output": {"message": {"role": "assistant", "content": [block]}}, "stopReason": reason,
            "usage": {"inputTokens": 10, "outputTokens": 7, "totalTokens": 17}})
    })
}

fn ollama() -> [Value; 2] {
    let call = json!([{"id": "c", "function": {"name": "weather", "arguments": {"city": "Oslo"}}}]);
    [json!({"content": "Hello"}), json!({"tool_calls": call})].map(|message| {
        json!({"model": "m", "message": message, "done": true, "done_reason": "stop", "prompt_eval_count": 10, "eval_count": 7})
    })
}

/// A conversation: its name, and the requests of a chat, of Messages and of Responses.
type Conversation = (&'static str, [Value; 3]);

const PNG: &str = "iVBORw0KGgo=";

fn user(content: &Value) -> Value {
    json!({"messages": [{"role": "user", "content": content}]})
}

fn with_text(more: Value) -> Value {
    with(user(&json!("hi")), more)
}

fn chat_image() -> Value {
    json!({"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{PNG}")}})
}

fn message_image() -> Value {
    json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}})
}

fn input(parts: &Value) -> Value {
    json!({"input": [{"role": "user", "content": parts}]})
}

fn with_input(more: Value) -> Value {
    with(json!({"input": "hi"}), more)
}

fn input_image(url: &str) -> Value {
    json!({"type": "input_image", "image_url": url})
}

fn png() -> String {
    format!("data:image/png;base64,{PNG}")
}

/// Returns several turns behind the `first` message, if there is one.
fn several_turns(first: Option<Value>) -> Value {
    let turn = |role: &str, content: &str| json!({"role": role, "content": content});
    first.into_iter().chain([turn("user", "a"), turn("assistant", "b"), turn("user", "c")]).collect()
}

/// Returns the conversations that differ in their turns.
fn turns() -> [Conversation; 5] {
    let pdf = json!({"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="});
    let file = json!({"filename": "a", "file_data": "data:application/pdf;base64,JVBERi0="});
    let url = "https://h/a.png";
    [
        (
            "text, with a limit of the output",
            [
                with_text(json!({"max_tokens": 5})),
                with_text(json!({})),
                with_input(json!({"max_output_tokens": 5})),
            ],
        ),
        (
            "a system prompt and several turns",
            [
                json!({"messages": several_turns(Some(json!({"role": "system", "content": "S"})))}),
                json!({"system": "S", "messages": several_turns(None)}),
                json!({"instructions": "S", "input": several_turns(None)}),
            ],
        ),
        (
            "an image as data",
            [
                user(&json!([chat_image()])),
                user(&json!([message_image()])),
                input(&json!([input_image(&png())])),
            ],
        ),
        (
            "an image by URL",
            [
                user(&json!([{"type": "image_url", "image_url": {"url": url}}])),
                user(&json!([{"type": "image", "source": {"type": "url", "url": url}}])),
                input(&json!([input_image(url)])),
            ],
        ),
        (
            "a PDF as data",
            [
                user(&json!([{"type": "file", "file": file}])),
                user(&json!([{"type": "document", "title": "a", "source": pdf}])),
                input(&json!([with(json!({"type": "input_file"}), file.clone())])),
            ],
        ),
    ]
}

/// Returns the conversations with tools, and those with parameters.
fn tools_and_parameters() -> [Conversation; 5] {
    let chat_result =
        |id: &str, content: Value| json!({"role": "tool", "tool_call_id": id, "content": content});
    let result =
        |id: &str, content: Value| json!({"type": "tool_result", "tool_use_id": id, "content": content});
    let schema =
        json!({"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": false});
    let format = json!({"type": "json_schema", "json_schema": {"name": "a", "schema": schema}});
    let output =
        |id: &str, output: Value| json!({"type": "function_call_output", "call_id": id, "output": output});
    let text = json!({"format": {"type": "json_schema", "name": "a", "schema": schema}});
    [
        ("a tool that must be called", [chat_tools(&[]), message_tools(&[]), response_tools(&[])]),
        (
            "parallel calls and their results",
            [
                chat_tools(&[chat_result("c1", json!("5C")), chat_result("c2", json!("6C"))]),
                message_tools(&[result("c1", json!("5C")), result("c2", json!("6C"))]),
                response_tools(&[output("c1", json!("5C")), output("c2", json!("6C"))]),
            ],
        ),
        (
            "a result with an image",
            [
                chat_tools(&[chat_result("c1", json!([chat_image()])), chat_result("c2", json!("6C"))]),
                message_tools(&[result("c1", json!([message_image()])), result("c2", json!("6C"))]),
                response_tools(&[output("c1", json!([input_image(&png())])), output("c2", json!("6C"))]),
            ],
        ),
        (
            "an effort of thinking",
            [
                with_text(json!({"reasoning_effort": "high"})),
                with_text(json!({"thinking": {"type": "enabled", "budget_tokens": 8000}})),
                with_input(json!({"reasoning": {"effort": "high"}})),
            ],
        ),
        (
            "JSON of a schema",
            [
                with_text(json!({"response_format": format})),
                with_text(json!({"output_config": {"format": {"type": "json_schema", "schema": schema}}})),
                with_input(json!({ "text": text })),
            ],
        ),
    ]
}

fn with(mut request: Value, more: Value) -> Value {
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

/// Returns a chat with a tool, and with two calls if these are their results.
fn chat_tools(results: &[Value]) -> Value {
    let call = |id: &str| json!({"id": id, "type": "function", "function": {"name": "weather", "arguments": "{\"city\":\"Oslo\"}"}});
    let mut messages = vec![json!({"role": "user", "content": "hi"})];
    if !results.is_empty() {
        messages.push(json!({"role": "assistant", "content": null, "tool_calls": [call("c1"), call("c2")]}));
    }
    messages.extend(results.iter().cloned());
    let function = json!({"name": "weather", "parameters": {"type": "object", "properties": {}}});
    json!({"messages": messages, "tools": [{"type": "function", "function": function}], "tool_choice": "required"})
}

/// Returns the same for Messages.
fn message_tools(results: &[Value]) -> Value {
    let call = |id: &str| json!({"type": "tool_use", "id": id, "name": "weather", "input": {"city": "Oslo"}});
    let mut messages = vec![json!({"role": "user", "content": "hi"})];
    if !results.is_empty() {
        messages.push(json!({"role": "assistant", "content": [call("c1"), call("c2")]}));
        messages.push(json!({"role": "user", "content": results}));
    }
    let tool = json!({"name": "weather", "input_schema": {"type": "object", "properties": {}}});
    json!({"messages": messages, "tools": [tool], "tool_choice": {"type": "any"}})
}

/// Returns the same for Responses.
fn response_tools(outputs: &[Value]) -> Value {
    let call = |id: &str| json!({"type": "function_call", "call_id": id, "name": "weather", "arguments": "{\"city\":\"Oslo\"}"});
    let mut input = vec![json!({"role": "user", "content": "hi"})];
    if !outputs.is_empty() {
        input.extend([call("c1"), call("c2")]);
    }
    input.extend(outputs.iter().cloned());
    let tool =
        json!({"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}});
    json!({"input": input, "tools": [tool], "tool_choice": "required"})
}

/// Returns the text and the calls of a response in a client's dialect.
fn read(client: ClientDialect, response: &Value) -> (Value, Value) {
    if client == ClientDialect::Responses {
        let item = &response["output"][0];
        let input =
            item["arguments"].as_str().map_or(Value::Null, |text| serde_json::from_str(text).unwrap());
        return (item["content"][0]["text"].clone(), json!([item["name"], input]));
    }
    if client == ClientDialect::Messages {
        let block = &response["content"][0];
        return (block["text"].clone(), json!([block["name"], block["input"]]));
    }
    let message = &response["choices"][0]["message"];
    let call = &message["tool_calls"][0]["function"];
    let input = call["arguments"].as_str().map_or(Value::Null, |text| serde_json::from_str(text).unwrap());
    (message["content"].clone(), json!([call["name"], input]))
}

fn complete(mut translation: Translation, response: &Value) -> Value {
    let mut out = Vec::new();
    assert!(translation.complete(response.to_string().as_bytes(), &mut out), "{response}");
    serde_json::from_slice(&out).unwrap()
}

/// Returns a cell of the table: the treatment of a request. Its responses are read back.
fn cell(client: ClientDialect, request: &Value, (name, translator, responses): &Upstream) -> String {
    let own = [
        (ClientDialect::Chat, "OpenAI"),
        (ClientDialect::Messages, "Anthropic"),
        (ClientDialect::Responses, "Responses"),
    ];
    if own.contains(&(client, *name)) {
        return "passed".to_owned();
    }
    let request = with(json!({"model": "m", "max_tokens": 9}), request.clone()).to_string();
    let translation = |request: &str| translator.request(client, request.as_bytes(), 7);
    let sent = match translation(&request) {
        Ok((sent, _)) => sent,
        Err(refusal) => return format!("refused: `{}`", refusal.parameter),
    };
    assert!(serde_json::from_slice::<Value>(&sent.body).unwrap().is_object());
    let [text, call] =
        responses().map(|response| read(client, &complete(translation(&request).unwrap().1, &response)));
    assert_eq!(text.0, "Hello", "{name}");
    assert_eq!(call.1, json!(["weather", {"city": "Oslo"}]), "{name}");
    "translated".to_owned()
}

#[test]
fn conversations_are_the_same_through_every_pair_of_dialects() {
    let mut table = String::from("| conversation | client |");
    let upstreams = upstreams();
    upstreams.iter().for_each(|(name, ..)| table += &format!(" {name} |"));
    table += "\n|---|---|---|---|---|---|---|---|\n";
    let clients = [
        ("chat", ClientDialect::Chat),
        ("messages", ClientDialect::Messages),
        ("responses", ClientDialect::Responses),
    ];
    for (name, requests) in turns().into_iter().chain(tools_and_parameters()) {
        for ((dialect, client), request) in clients.into_iter().zip(requests) {
            table += &format!("| {name} | {dialect} |");
            upstreams
                .iter()
                .for_each(|upstream| table += &format!(" {} |", cell(client, &request, upstream)));
            table += "\n";
        }
    }
    let document = include_str!("../../../docs/dialects.md");
    assert!(document.contains(&table), "docs/dialects.md must have this table:\n{table}");
}
