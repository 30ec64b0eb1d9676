//! Golden pairs: requests with what is sent, events with what the client receives.

use serde_json::{Value, json};

use super::{LIMITS, bedrock, from_responses, gemini, ollama, translated, translation};
use crate::dialect::{ClientDialect, Limits, Translation, Translator};

/// Returns the cases of a file: the name, the input, and each `=>` with what follows it.
pub(super) fn cases(file: &'static str) -> impl Iterator<Item = (&'static str, String, Vec<&'static str>)> {
    file.split("### ").skip(1).map(|case| {
        let (name, rest) = case.split_once('\n').unwrap();
        let mut parts = rest.split("\n=> ");
        let (source, input) = parts.next().unwrap().split_once('\n').unwrap();
        assert!(source.starts_with("# source: ") && source.len() > 12, "{name} has no source");
        (name, input.to_owned(), parts.map(str::trim).collect())
    })
}

/// Returns the names of all cases.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    let files = [
        include_str!("requests.txt"),
        include_str!("dropped.txt"),
        include_str!("responses.txt"),
        include_str!("gemini_requests.txt"),
        include_str!("gemini_responses.txt"),
        include_str!("ollama_requests.txt"),
        include_str!("ollama_responses.txt"),
        include_str!("bedrock_requests.txt"),
        include_str!("bedrock_responses.txt"),
        include_str!("chat_to_responses.txt"),
        include_str!("chat_from_responses.txt"),
        include_str!("completions_requests.txt"),
        include_str!("completions_responses.txt"),
        include_str!("messages_requests.txt"),
        include_str!("messages_responses.txt"),
        include_str!("from_responses.txt"),
        include_str!("from_responses_to_chat.txt"),
        include_str!("to_responses.txt"),
        include_str!("to_responses_from_chat.txt"),
    ];
    files.into_iter().flat_map(cases).map(|(name, ..)| name)
}

/// Asserts what is sent for the requests of a file, or which parameter is refused.
pub(super) fn assert_requests(file: &'static str, (client, translator): (ClientDialect, Translator)) {
    for (name, input, wanted) in cases(file) {
        let sent = translator.request(client, input.replace('\n', "").as_bytes(), 7);
        match (sent, wanted[0].strip_prefix("refused ")) {
            (Ok((sent, _)), None) => {
                let [body, wanted]: [Value; 2] =
                    [&sent.body[..], wanted[0].as_bytes()].map(|json| serde_json::from_slice(json).unwrap());
                assert_eq!(body, wanted, "{name}:\n{body}");
            }
            (Err(refusal), Some(parameter)) => {
                assert_eq!(refusal.parameter, parameter, "{name}: {}", refusal.message);
            }
            (sent, _) => panic!("{name}: {:?}", sent.map(|(sent, _)| String::from_utf8(sent.body).unwrap())),
        }
    }
}

#[test]
fn golden_requests_are_translated_or_refused() {
    let chat = ClientDialect::Chat;
    assert_requests(include_str!("requests.txt"), (chat, Translator::anthropic(LIMITS)));
    assert_requests(include_str!("gemini_requests.txt"), (chat, Translator::gemini(LIMITS)));
    assert_requests(include_str!("ollama_requests.txt"), (chat, Translator::ollama(LIMITS)));
    assert_requests(include_str!("bedrock_requests.txt"), (chat, Translator::bedrock(LIMITS)));
    assert_requests(include_str!("chat_to_responses.txt"), (chat, Translator::responses(LIMITS)));
}

#[test]
fn golden_requests_lose_what_cannot_be_translated_with_drop_params() {
    let limits = Limits { drop: true, ..LIMITS };
    assert_requests(include_str!("dropped.txt"), (ClientDialect::Chat, Translator::anthropic(limits)));
    let request = r#"{"model":"m","messages":[],"verbosity":"low","seed":1}"#;
    let (sent, _) = Translator::gemini(limits).request(ClientDialect::Chat, request.as_bytes(), 7).unwrap();
    let wanted = json!({"contents": [], "generationConfig": {"seed": 1}});
    assert_eq!(serde_json::from_slice::<Value>(&sent.body).unwrap(), wanted);
}

#[test]
fn gemini_has_the_model_and_the_method_in_its_path() {
    for (stream, method) in [(false, ":generateContent"), (true, ":streamGenerateContent?alt=sse")] {
        let request = json!({"model": "gemini-x", "messages": [], "stream": stream}).to_string();
        let (sent, _) =
            Translator::gemini(LIMITS).request(ClientDialect::Chat, request.as_bytes(), 7).unwrap();
        assert_eq!(sent.method, Some(("gemini-x".to_owned(), method)));
    }
}

#[test]
fn bedrock_has_the_model_and_the_method_in_its_path() {
    for (stream, method) in [(false, "/converse"), (true, "/converse-stream")] {
        let request = json!({"model": "amazon.nova-x", "messages": [], "stream": stream}).to_string();
        let (sent, _) =
            Translator::bedrock(LIMITS).request(ClientDialect::Chat, request.as_bytes(), 7).unwrap();
        assert_eq!(sent.method, Some(("amazon.nova-x".to_owned(), method)));
    }
}

#[test]
fn a_limit_of_the_deployment_is_the_default_of_a_request() {
    let limits = Limits { max_tokens: Some(77), ..LIMITS };
    let request = json!({"model": "m", "messages": []}).to_string();
    let (sent, _) =
        Translator::anthropic(limits).request(ClientDialect::Chat, request.as_bytes(), 7).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&sent.body).unwrap()["max_tokens"], 77);
}

/// Returns an event of the client as a line of the file.
fn line(event: &str) -> String {
    let Some(data) = event.strip_prefix("data: ") else { return "alive".to_owned() };
    if data == "[DONE]" {
        return "done".to_owned();
    }
    let chunk: Value = serde_json::from_str(data).unwrap();
    assert_eq!((&chunk["object"], &chunk["created"]), (&json!("chat.completion.chunk"), &json!(7)));
    match (&chunk["choices"][0], &chunk["usage"]) {
        (Value::Null, usage) => format!("usage {usage}"),
        (choice, _) if choice["finish_reason"].is_null() => format!("delta {}", choice["delta"]),
        (choice, _) => format!("finish {}", choice["finish_reason"]),
    }
}

/// Returns a line with its JSON in one form.
fn normal(line: &str) -> String {
    match line.split_once(' ') {
        Some((kind, json)) => format!("{kind} {}", serde_json::from_str::<Value>(json).unwrap()),
        None => line.to_owned(),
    }
}

/// Joins signs of life that follow each other: their number means nothing.
pub(super) fn joined(mut lines: Vec<String>) -> Vec<String> {
    lines.dedup_by(|a, b| a == "alive" && b == "alive");
    lines
}

#[test]
fn golden_events_are_translated_to_chunks_and_to_a_message() {
    assert_responses(include_str!("responses.txt"), |stream| translation(&json!({ "stream": stream })));
    assert_responses(include_str!("gemini_responses.txt"), gemini);
    assert_responses(include_str!("ollama_responses.txt"), ollama);
    assert_responses(include_str!("bedrock_responses.txt"), bedrock);
    assert_responses(include_str!("chat_from_responses.txt"), from_responses);
}

fn assert_responses(file: &'static str, translation: fn(bool) -> Translation) {
    for (name, input, wanted) in cases(file) {
        let events: Vec<_> = input.lines().collect();
        let text = translated(translation(true), &events);
        let lines = text.split("\n\n").filter(|event| !event.is_empty()).map(line).collect();
        let (message, chunks) = wanted.split_last().unwrap();
        assert_eq!(joined(lines), joined(chunks.iter().map(|line| normal(line)).collect()), "{name}");
        let answer: Value = serde_json::from_str(&translated(translation(false), &events))
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(normal(message), format!("message {}", answer["choices"][0]["message"]), "{name}");
        assert_eq!(answer["object"], "chat.completion");
        let id = answer["id"].as_str().unwrap();
        assert!(["msg_1", "resp_1"].contains(&id) || id.starts_with("chatcmpl-2023"), "{id}");
        let finish = chunks.iter().find_map(|line| line.strip_prefix("finish ")).unwrap();
        assert_eq!(answer["choices"][0]["finish_reason"].to_string(), finish);
        let usage = chunks.iter().find(|line| line.starts_with("usage ")).unwrap();
        assert_eq!(normal(usage), format!("usage {}", answer["usage"]));
    }
}

#[test]
fn the_arguments_of_the_tool_for_json_are_the_text_of_the_response() {
    let events = [
        r#"{"type":"message_start","message":{"id":"i","type":"message","model":"m","content":[]}}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"json_tool_call","input":{}}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"a\":"}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"1}"}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":3}}"#,
        r#"{"type":"message_stop"}"#,
    ];
    let request = json!({"model": "claude-3-opus-20240229", "response_format": {"type": "json_object"}});
    let answer: Value = serde_json::from_str(&translated(translation(&request), &events)).unwrap();
    assert_eq!(answer["choices"][0]["message"]["content"], "{\"a\":1}");
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    let plain: Value = serde_json::from_str(&translated(translation(&json!({})), &events)).unwrap();
    assert_eq!(plain["choices"][0]["message"]["tool_calls"][0]["function"]["name"], "json_tool_call");
}

#[test]
fn the_name_of_a_tool_is_the_clients_in_the_response() {
    let events = [
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"ns_f","input":{}}}"#,
        r#"{"type":"message_stop"}"#,
    ];
    let request = json!({"tools": [{"type": "function", "function": {"name": "ns.f"}}]});
    let answer: Value = serde_json::from_str(&translated(translation(&request), &events)).unwrap();
    assert_eq!(answer["choices"][0]["message"]["tool_calls"][0]["function"]["name"], "ns.f");
}

#[test]
fn a_stream_of_gemini_without_a_reason_of_its_end_is_not_complete() {
    let event = r#"{"candidates":[{"content":{"parts":[{"text":"a"}]}}],"responseId":"i"}"#;
    assert!(!translated(gemini(true), &[event]).contains("[DONE]"));
    assert_eq!(translated(gemini(false), &[event]), "");
}

#[test]
fn errors_and_other_json_are_not_translated() {
    for other in [
        r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
        r#"{"type":"message_start"}"#,
        "{}",
        "[1]",
        "<html>",
    ] {
        let mut out = Vec::new();
        assert!(!translation(&json!({})).event(other.as_bytes(), &mut out), "{other}");
        assert!(!translation(&json!({})).complete(other.as_bytes(), &mut out) && out.is_empty(), "{other}");
        assert!(!gemini(true).event(other.as_bytes(), &mut out), "{other}");
        assert!(!ollama(true).event(other.as_bytes(), &mut out), "{other}");
        assert!(!bedrock(true).event(other.as_bytes(), &mut out), "{other}");
        assert!(!from_responses(false).complete(other.as_bytes(), &mut out), "{other}");
    }
}
