//! Golden pairs of clients that call in OpenAI's text completions: requests with the chat that is sent, chunks of a chat with
//! the chunks and the completion that the client receives.

use serde_json::{Value, json};

use super::{
    LIMITS,
    golden::{assert_requests, cases, joined},
    translated,
};
use crate::dialect::{ClientDialect, Limits, Translation, Translator};

/// Returns the translation of the response to a text completion with these options of a stream.
fn translation(stream: bool, options: &Value) -> Translation {
    let request = json!({"model": "m", "prompt": "a", "stream": stream, "stream_options": options});
    let sent =
        Translator::openai(LIMITS).request(ClientDialect::Completions, request.to_string().as_bytes(), 7);
    sent.unwrap().1
}

#[test]
fn golden_requests_of_text_completions_are_translated_or_refused() {
    let client = ClientDialect::Completions;
    assert_requests(include_str!("completions_requests.txt"), (client, Translator::openai(LIMITS)));
    let dropping = Translator::openai(Limits { drop: true, ..LIMITS });
    assert_requests(include_str!("completions_dropped.txt"), (client, dropping));
}

/// Returns an event of the client as a line of the file.
fn line(event: &str) -> String {
    let Some(data) = event.strip_prefix("data: ") else { return "alive".to_owned() };
    if data == "[DONE]" {
        return "done".to_owned();
    }
    let chunk: Value = serde_json::from_str(data).unwrap();
    assert_eq!((&chunk["object"], &chunk["created"]), (&json!("text_completion"), &json!(7)));
    let choice = &chunk["choices"][0];
    assert!(choice.is_null() || choice["index"] == 0 && choice["logprobs"].is_null(), "{chunk}");
    match (choice, &choice["finish_reason"]) {
        (Value::Null, _) => format!("usage {}", chunk["usage"]),
        (choice, Value::Null) => format!("text {}", choice["text"]),
        (choice, reason) => {
            assert_eq!(choice["text"], "");
            format!("finish {reason}")
        }
    }
}

#[test]
fn golden_chunks_are_translated_to_text_completions() {
    for (name, input, wanted) in cases(include_str!("completions_responses.txt")) {
        let chunks: Vec<_> = input.lines().collect();
        let text = translated(translation(true, &json!({"include_usage": true})), &chunks);
        let lines = text.split("\n\n").filter(|event| !event.is_empty()).map(line).collect();
        let (completion, events) = wanted.split_last().unwrap();
        assert_eq!(joined(lines), events, "{name}");
        let whole: Value =
            serde_json::from_str(&translated(translation(false, &Value::Null), &chunks)).unwrap();
        assert_eq!((&whole["object"], &whole["created"]), (&json!("text_completion"), &json!(7)));
        let choice = &whole["choices"][0];
        assert_eq!(*completion, format!("completion {}", choice["text"]), "{name}");
        assert_eq!((&choice["index"], &choice["logprobs"]), (&json!(0), &Value::Null));
        let stated = [format!("finish {}", choice["finish_reason"]), format!("usage {}", whole["usage"])];
        assert!(stated.iter().all(|line| events.contains(&&**line)), "{name}: {stated:?}");
    }
}

#[test]
fn the_usage_of_a_streamed_text_completion_is_written_where_it_is_requested() {
    let chunk = r#"{"id":"i","model":"m","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#;
    for (options, count) in [
        (json!({"include_usage": true}), 1),
        (json!({"include_usage": false}), 0),
        (json!({}), 0),
        (Value::Null, 0),
    ] {
        let stream = translated(translation(true, &options), &[chunk, "[DONE]"]);
        assert_eq!(stream.matches("\"usage\"").count(), count, "{options}: {stream}");
    }
}

#[test]
fn a_streamed_text_completion_without_a_reason_of_its_end_is_not_complete() {
    let chunk = r#"{"id":"i","choices":[{"index":0,"delta":{"content":"a"}}]}"#;
    assert!(!translated(translation(true, &Value::Null), &[chunk]).contains("[DONE]"));
    assert_eq!(translated(translation(false, &Value::Null), &[chunk]), "");
}
