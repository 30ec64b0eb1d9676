//! Tests of whole translations: golden pairs, each with its source, and properties.

mod bedrock_tables;
mod client_tables;
mod completion_tables;
mod completions;
mod documents;
mod golden;
mod messages;
mod pairs;
mod properties;
mod response_tables;
mod responses;
mod tables;

use serde_json::{Value, json};

use super::{ClientDialect, Limits, Translation, Translator};

const LIMITS: Limits = Limits { max_tokens: None, drop: false, newer_limit: false };

/// Returns the translation of Anthropic's response to a request with these members beside the messages.
fn translation(more: &Value) -> Translation {
    chat(Translator::anthropic(LIMITS), more)
}

/// Returns the translation of Google's response to a request.
fn gemini(stream: bool) -> Translation {
    chat(Translator::gemini(LIMITS), &json!({ "stream": stream }))
}

/// Returns the translation of Ollama's response to a request.
fn ollama(stream: bool) -> Translation {
    chat(Translator::ollama(LIMITS), &json!({ "stream": stream }))
}

/// Returns the translation of Bedrock's response to a request.
fn bedrock(stream: bool) -> Translation {
    let mut translation = chat(Translator::bedrock(LIMITS), &json!({ "stream": stream }));
    translation.identify("2023-08-04");
    translation
}

/// Returns the translation of the response of OpenAI's Responses to a chat.
fn from_responses(stream: bool) -> Translation {
    chat(Translator::responses(LIMITS), &json!({ "stream": stream }))
}

/// Returns the translation of the response to a chat with these members beside the messages.
fn chat(translator: Translator, more: &Value) -> Translation {
    let mut request = json!({"model": "m", "messages": [{"role": "user", "content": "a"}]});
    for (name, value) in more.as_object().unwrap() {
        request[name] = value.clone();
    }
    translator.request(ClientDialect::Chat, request.to_string().as_bytes(), 7).unwrap().1
}

/// Returns the client's bytes for these events.
fn translated(mut translation: Translation, events: &[impl AsRef<str>]) -> String {
    let mut out = Vec::new();
    for event in events {
        assert!(translation.event(event.as_ref().as_bytes(), &mut out), "{}", event.as_ref());
    }
    translation.end(&mut out);
    String::from_utf8(out).unwrap()
}
