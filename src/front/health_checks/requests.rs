//! The smallest request of each mode of a model: [`of`].

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use serde_json::{Value, json};

use crate::{config::ModelMode, request::Operation};

/// The text of all requests.
const TEXT: &str = "test";

/// The limit of the output, in tokens: the least that OpenAI's Responses accept.
const OUTPUT: u32 = 16;

const BOUNDARY: &str = "tollgate-health-check";

/// A picture of one black pixel.
const PICTURE: &[u8] = include_bytes!("test.png");

/// Half a second of silence. OpenAI refuses less than a tenth of a second.
const SILENCE: &[u8] = include_bytes!("test.wav");

/// Returns the operation, the headers and the body for a model, without its name. With `newer_limit` the limit of a chat is
/// `max_completion_tokens`.
pub(super) fn of(mode: ModelMode, newer_limit: bool) -> (Operation, HeaderMap, Bytes) {
    let limit = if newer_limit { "max_completion_tokens" } else { "max_tokens" };
    let text = |operation, body: Value| (operation, HeaderMap::new(), body.to_string().into());
    match mode {
        ModelMode::Chat => {
            let messages = json!([{"role": "user", "content": TEXT}]);
            text(Operation::Chat, json!({"messages": messages, limit: OUTPUT}))
        }
        ModelMode::Completion => text(Operation::Completions, json!({"prompt": TEXT, "max_tokens": OUTPUT})),
        ModelMode::Embedding => text(Operation::Embeddings, json!({"input": [TEXT]})),
        ModelMode::Responses => {
            text(Operation::Responses, json!({"input": TEXT, "max_output_tokens": OUTPUT}))
        }
        ModelMode::Moderation => text(Operation::Moderations, json!({"input": TEXT})),
        ModelMode::Rerank => text(Operation::Rerank, json!({"query": TEXT, "documents": [TEXT]})),
        ModelMode::ImageGeneration => text(Operation::Images, json!({"prompt": TEXT})),
        ModelMode::AudioSpeech => text(Operation::Speech, json!({"input": TEXT, "voice": "alloy"})),
        ModelMode::ImageEdit => form(Operation::ImageEdits, ("image", "test.png", PICTURE)),
        ModelMode::AudioTranscription => form(Operation::Transcriptions, ("file", "test.wav", SILENCE)),
    }
}

/// Returns a request with a file.
fn form(operation: Operation, (name, file, content): (&str, &str, &[u8])) -> (Operation, HeaderMap, Bytes) {
    let kind = if name == "image" { "image/png" } else { "audio/wav" };
    let prompt = if name == "image" { field("prompt", TEXT) } else { String::new() };
    let disposition = format!("Content-Disposition: form-data; name=\"{name}\"; filename=\"{file}\"");
    let head = format!("{prompt}--{BOUNDARY}\r\n{disposition}\r\nContent-Type: {kind}\r\n\r\n");
    let end = format!("\r\n--{BOUNDARY}--\r\n");
    let mut headers = HeaderMap::new();
    let content_type =
        const { HeaderValue::from_static("multipart/form-data; boundary=tollgate-health-check") };
    headers.insert(header::CONTENT_TYPE, content_type);
    (operation, headers, [head.as_bytes(), content, end.as_bytes()].concat().into())
}

fn field(name: &str, value: &str) -> String {
    format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
}
