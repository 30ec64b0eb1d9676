//! Golden pairs of clients that call in Anthropic's dialect: requests with what is sent in OpenAI's, chunks with the events
//! and the message that the client receives.

use serde_json::{Value, json};

use super::{
    LIMITS,
    golden::{assert_requests, cases},
    translated,
};
use crate::dialect::{ClientDialect, Limits, Translation, Translator};

fn translation(stream: bool) -> Translation {
    let request = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "a"}], "stream": stream});
    Translator::openai(LIMITS).request(ClientDialect::Messages, request.to_string().as_bytes(), 7).unwrap().1
}

#[test]
fn golden_requests_of_messages_are_translated_or_refused() {
    let translator = Translator::openai(LIMITS);
    assert_requests(include_str!("messages_requests.txt"), (ClientDialect::Messages, translator));
}

/// Returns an event of the client as a line of the file.
fn line(event: &str) -> String {
    let Some((name, data)) = event.split_once("\ndata: ") else { return "alive".to_owned() };
    let data: Value = serde_json::from_str(data).unwrap();
    assert_eq!(format!("event: {}", data["type"].as_str().unwrap()), name);
    match data["type"].as_str().unwrap() {
        "message_start" => format!("start {}", data["message"]["id"]),
        "content_block_start" => format!("block {} {}", data["index"], data["content_block"]),
        "content_block_delta" => format!("delta {} {}", data["index"], data["delta"]),
        "content_block_stop" => format!("stop {}", data["index"]),
        "message_delta" => format!("end {} {}", data["delta"]["stop_reason"], data["usage"]),
        other => other.to_owned(),
    }
}

#[test]
fn golden_chunks_are_translated_to_events_and_to_a_message() {
    for (name, input, wanted) in cases(include_str!("messages_responses.txt")) {
        let chunks: Vec<_> = input.lines().collect();
        let text = translated(translation(true), &chunks);
        let lines: Vec<_> = text.split("\n\n").filter(|event| !event.is_empty()).map(line).collect();
        let lines: Vec<_> = lines.into_iter().filter(|line| line != "alive").collect();
        let (message, events) = wanted.split_last().unwrap();
        assert_eq!(lines, events, "{name}");
        let whole: Value = serde_json::from_str(&translated(translation(false), &chunks)).unwrap();
        assert_eq!((&whole["type"], &whole["role"]), (&json!("message"), &json!("assistant")));
        assert_eq!(*message, format!("message {}", whole["content"]), "{name}");
        let end = events.iter().find(|line| line.starts_with("end ")).unwrap();
        assert_eq!(*end, format!("end {} {}", whole["stop_reason"], whole["usage"]), "{name}");
    }
}

#[test]
fn the_stop_sequence_that_was_found_is_that_of_the_upstream() {
    let chunk = r#"{"id":"i","choices":[{"index":0,"delta":{},"finish_reason":"stop","stop_reason":"END"}]}"#;
    let whole: Value = serde_json::from_str(&translated(translation(false), &[chunk])).unwrap();
    assert_eq!((&whole["stop_reason"], &whole["stop_sequence"]), (&json!("stop_sequence"), &json!("END")));
    let stream = translated(translation(true), &[chunk]);
    assert!(stream.contains(r#""delta":{"stop_reason":"stop_sequence","stop_sequence":"END"}"#), "{stream}");
}

#[test]
fn arguments_that_are_no_object_are_marked() {
    let chunk = r#"{"id":"i","choices":[{"message":{"tool_calls":[{"id":"c","function":{"name":"f","arguments":"{\"a\""}}]},"finish_reason":"tool_calls"}]}"#;
    let mut out = Vec::new();
    assert!(translation(false).complete(chunk.as_bytes(), &mut out));
    let whole: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(whole["content"][0]["input"], json!({"INVALID_JSON": "{\"a\""}));
}

#[test]
fn the_newer_limit_of_the_output_is_that_of_openais_own_servers() {
    let limits = Limits { newer_limit: true, ..LIMITS };
    let request = r#"{"model":"gpt-4o","max_tokens":5,"messages":[]}"#;
    let (sent, _) =
        Translator::openai(limits).request(ClientDialect::Messages, request.as_bytes(), 7).unwrap();
    let sent: Value = serde_json::from_slice(&sent.body).unwrap();
    assert_eq!((&sent["max_completion_tokens"], sent.get("max_tokens")), (&json!(5), None));
}

#[test]
fn a_stream_of_openai_without_a_reason_of_its_end_is_not_complete() {
    let chunk = r#"{"id":"i","choices":[{"index":0,"delta":{"content":"a"}}]}"#;
    assert!(!translated(translation(true), &[chunk]).contains("message_stop"));
    assert!(
        translated(translation(true), &[chunk, "[DONE]"])
            .ends_with("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n")
    );
    assert_eq!(translated(translation(false), &[chunk]), "");
}

#[test]
fn errors_and_pieces_of_another_call_are_not_translated() {
    let calls = |index: u32, name: &str| {
        format!(
            r#"{{"choices":[{{"delta":{{"tool_calls":[{{"index":{index},"function":{{{name}"arguments":"x"}}}}]}}}}]}}"#
        )
    };
    let mut translation = translation(true);
    let mut out = Vec::new();
    assert!(translation.event(calls(0, "\"name\":\"f\",").as_bytes(), &mut out));
    assert!(translation.event(calls(1, "\"name\":\"g\",").as_bytes(), &mut out));
    // The arguments of a call end at any other output.
    assert!(translation.event(br#"{"choices":[{"delta":{"content":"a"}}]}"#, &mut out));
    assert!(!translation.event(calls(1, "").as_bytes(), &mut out));
    for other in [
        &calls(0, ""),
        r#"{"error":{"message":"x"}}"#,
        "{}",
        "[1]",
        r#"{"choices":[{"finish_reason":"error"}]}"#,
    ] {
        assert!(!translation.event(other.as_bytes(), &mut out), "{other}");
    }
}
