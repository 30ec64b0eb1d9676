//! A Rust function as a deployment of the gateway, with the limits, the cooldown and the fallbacks of any other: a call that it
//! fails goes to the group `spare`.
//!
//! `cargo run --example in_process`, then `curl http://127.0.0.1:8000/v1/chat/completions
//! -d '{"model": "echo", "messages": [{"role": "user", "content": "hello"}]}'`, with `"stream": true` for a stream.

use std::{convert::Infallible, error::Error};

use bytes::Bytes;
use futures_util::stream;
use http::{Response, StatusCode, header};
use http_body::Frame;
use http_body_util::StreamBody;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tollgate::{
    Gateway,
    config::Config,
    stack,
    state::State,
    upstream::{TransportError, UpstreamBody, UpstreamCall},
};
use tower::service_fn;

const YAML: &str = "
model_list:
  - model_name: echo
    litellm_params: {model: openai/echo, api_base: http://in-process.invalid/v1, api_key: none}
    model_info: {id: in-process}
  - model_name: spare
    litellm_params: {model: openai/spare, mock_response: The spare model responds.}
router_settings:
  num_retries: 0
  fallbacks: [{echo: [spare]}]
";

/// Returns the gateway, which calls the function in place of the `api_base` of the deployment `in-process`.
pub fn gateway() -> Result<Gateway, Box<dyn Error + Send + Sync>> {
    let (config, warnings) =
        Config::from_yaml(YAML, "examples/in_process.rs", &|name| std::env::var(name).ok())?;
    eprint!("{warnings}");
    let state = State::new()?.with_upstream("in-process", service_fn(echo));
    Ok(stack::gateway(&config, &state, stack::Options::default())?)
}

/// The model: responds with the text of the first message. Without a text it is not available.
async fn echo(call: UpstreamCall) -> Result<Response<UpstreamBody>, TransportError> {
    let request: Value = serde_json::from_slice(&call.request.body().to_bytes()).unwrap_or_default();
    let (status, media, body) = match request.pointer("/messages/0/content").and_then(Value::as_str) {
        None | Some("") => (StatusCode::SERVICE_UNAVAILABLE, "application/json", UpstreamBody::full("{}")),
        Some(text) if call.stream => (StatusCode::OK, "text/event-stream", events(text)),
        Some(text) => (StatusCode::OK, "application/json", UpstreamBody::full(completion(text))),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(media));
    Ok(response)
}

fn completion(text: &str) -> String {
    let choice =
        json!({"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"});
    json!({"id": "1", "object": "chat.completion", "created": 0, "model": "echo", "choices": [choice]})
        .to_string()
}

/// Returns a stream of one event for each word. The gateway polls it no faster than the client reads.
fn events(text: &str) -> UpstreamBody {
    let chunk = |delta: Value, reason: Option<&str>| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": reason});
        json!({"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "echo", "choices": [choice]})
            .to_string()
    };
    let mut chunks: Vec<_> =
        text.split_inclusive(' ').map(|word| chunk(json!({"content": word}), None)).collect();
    chunks.extend([chunk(json!({}), Some("stop")), "[DONE]".to_owned()]);
    let frame = |chunk| Ok::<_, Infallible>(Frame::data(Bytes::from(format!("data: {chunk}\n\n"))));
    UpstreamBody::new(StreamBody::new(stream::iter(chunks.into_iter().map(frame))))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let application = axum::Router::new().fallback_service(gateway()?);
    axum::serve(TcpListener::bind("127.0.0.1:8000").await?, application).await?;
    Ok(())
}
