//! The upstream of `mock_response`, which needs no network: [`MockUpstream`].
//!
//! A mock lets an operator try a configuration without a key. It responds in OpenAI's dialect and streams when the
//! request asks for a stream. A text that names one of LiteLLM's exceptions (`litellm.RateLimitError`) makes it fail
//! with that error.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use super::upstream::{Upstream, UpstreamCall, UpstreamFuture};
use crate::{
    body::{ScriptStep, UpstreamBody},
    classify::{self, OutcomeKind},
    config,
    error::ErrorObject,
    request::Operation,
};

/// An [`Upstream`] that responds with the text of the configuration.
#[derive(Debug)]
pub(crate) struct MockUpstream {
    text: Arc<str>,
    model: Arc<str>,
    delay: Duration,
    failure: Option<OutcomeKind>,
}

impl MockUpstream {
    /// Creates the mock of a deployment; `model` is the name of its upstream model.
    pub(crate) fn new(mock: &config::MockResponse, model: Arc<str>) -> Self {
        let failure = mock.text.strip_prefix("litellm.").and_then(OutcomeKind::from_exception);
        Self { text: Arc::clone(&mock.text), model, delay: mock.delay, failure }
    }

    fn response(&self, operation: Operation, stream: bool) -> Response<UpstreamBody> {
        match self.failure {
            Some(kind) => self.error_response(kind),
            None if operation.is_passed() => self.passed(operation),
            None if stream && operation != Operation::Embeddings => self.stream_response(operation),
            None => respond(
                StatusCode::OK,
                "application/json",
                vec![self.completion(operation).to_string().into()],
            ),
        }
    }

    /// Returns the response of an operation that is not about text of a model: a transcription, or a refusal, since the others
    /// cannot be made of a text.
    fn passed(&self, operation: Operation) -> Response<UpstreamBody> {
        if matches!(operation, Operation::Transcriptions | Operation::Translations) {
            let text = json!({"text": &*self.text}).to_string();
            return respond(StatusCode::OK, "application/json", vec![text.into()]);
        }
        let what = operation.as_str();
        let message = format!("A deployment with `mock_response` has no {what}: call one with an upstream.");
        let error = ErrorObject::new(message, "invalid_request_error", "operation_not_supported");
        respond(StatusCode::BAD_REQUEST, "application/json", vec![error.body().into()])
    }

    fn error_response(&self, kind: OutcomeKind) -> Response<UpstreamBody> {
        let status = classify::status_of(kind);
        let message = format!("This deployment is a mock that fails: {}.", self.text);
        let error = ErrorObject::new(message, classify::openai_type(kind), status.as_str());
        respond(status, "application/json", vec![error.body().into()])
    }

    fn completion(&self, operation: Operation) -> Value {
        let tokens = self.text.split_whitespace().count();
        let usage = json!({"prompt_tokens": 10, "completion_tokens": tokens, "total_tokens": 10 + tokens});
        let choice = match operation {
            Operation::Completions => json!({"text": &*self.text}),
            Operation::Embeddings => return self.embeddings(),
            // The others are translated to chats.
            _ => json!({"message": {"role": "assistant", "content": &*self.text}}),
        };
        let mut completion = self.with_choice(object(operation, false), choice, Some("stop"));
        completion["usage"] = usage;
        completion
    }

    /// Returns a completion or a chunk with one choice.
    fn with_choice(&self, object: &str, mut choice: Value, finish: Option<&str>) -> Value {
        choice["index"] = 0.into();
        choice["finish_reason"] = finish.into();
        json!({"id": "mock", "object": object, "created": 0, "model": &*self.model, "choices": [choice]})
    }

    /// Returns a stream with one event per word.
    fn stream_response(&self, operation: Operation) -> Response<UpstreamBody> {
        let chunk = |choice, finish| {
            let chunk = self.with_choice(object(operation, true), choice, finish);
            Bytes::from(format!("data: {chunk}\n\n"))
        };
        let is_chat = operation == Operation::Chat;
        let word = |text| if is_chat { json!({"delta": {"content": text}}) } else { json!({"text": text}) };
        let opening = is_chat.then(|| chunk(json!({"delta": {"role": "assistant", "content": ""}}), None));
        let words = self.text.split_inclusive(' ').map(|text| chunk(word(text), None));
        let end = chunk(if is_chat { json!({"delta": {}}) } else { word("") }, Some("stop"));
        let events = opening.into_iter().chain(words).chain([end, Bytes::from_static(b"data: [DONE]\n\n")]);
        respond(StatusCode::OK, "text/event-stream", events.collect())
    }

    /// Returns one vector, which depends on the text alone.
    fn embeddings(&self) -> Value {
        let digest = ring::digest::digest(&ring::digest::SHA256, self.text.as_bytes());
        let vector: Vec<f64> = digest.as_ref()[..8].iter().map(|byte| f64::from(*byte) / 255.0).collect();
        json!({
            "object": "list", "model": &*self.model,
            "data": [{"object": "embedding", "index": 0, "embedding": vector}],
            "usage": {"prompt_tokens": 10, "total_tokens": 10},
        })
    }
}

const fn object(operation: Operation, stream: bool) -> &'static str {
    match operation {
        Operation::Completions | Operation::Embeddings => "text_completion",
        _ if stream => "chat.completion.chunk",
        _ => "chat.completion",
    }
}

fn respond(status: StatusCode, media: &'static str, frames: Vec<Bytes>) -> Response<UpstreamBody> {
    let mut response = Response::new(UpstreamBody::scripted(frames.into_iter().map(ScriptStep::Data)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    response
}

impl Upstream for MockUpstream {
    fn call(&self, call: UpstreamCall) -> UpstreamFuture {
        let (response, delay) = (self.response(call.operation, call.stream), self.delay);
        Box::pin(async move {
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            Ok(response)
        })
    }

    fn speaks_openai(&self) -> bool {
        true
    }
}
