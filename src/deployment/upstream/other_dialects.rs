//! Calls in a dialect of clients that is not OpenAI's, and of operations that are never translated.
//!
//! The former pass to a deployment that speaks the dialect, and are translated for all others. The latter pass to a
//! deployment that has the operation, and are refused for all others.

use std::future;

use http::StatusCode;
use serde_json::json;

use super::{Inner, UpstreamFuture, call_of, json_response};
use crate::{
    dialect::ClientDialect,
    error::{ErrorObject, PreCallError},
    request::{Operation, Request},
};

impl Inner {
    /// Calls the deployment in the dialect of the request.
    #[cold]
    pub(super) fn call_other(&self, request: &Request, usage: bool, fresh: bool) -> UpstreamFuture {
        let operation = request.info.operation;
        if operation.is_passed() {
            return self.call_passed(request, fresh);
        }
        let dialect = operation.dialect();
        if dialect == ClientDialect::Completions {
            return self.call_completion(request, usage, fresh);
        }
        let passes = self.upstreams.speak(dialect);
        if operation == Operation::CountTokens && !passes {
            return estimate(request);
        }
        let encoded = match passes {
            true if dialect == ClientDialect::Responses => {
                let stored = self.encoder.encode_stored(request);
                stored.unwrap_or_else(|| self.encoder.encode_response(request))
            }
            true => self.encoder.encode_messages(request),
            false => self.encoder.encode_untranslated(request),
        };
        self.upstreams.other(dialect).call(call_of(request, encoded, fresh))
    }

    /// Calls the deployment with a text completion. A chat in its place has the text of a broken stream as a message.
    fn call_completion(&self, request: &Request, usage: bool, fresh: bool) -> UpstreamFuture {
        let (dialect, mut request) = (ClientDialect::Completions, request.clone());
        if request.prefix.is_some() && !self.upstreams.speak(dialect) {
            request.change().prefix_apart = true;
        }
        self.call_openai(self.upstreams.other(dialect), &request, (usage, fresh))
    }

    fn call_passed(&self, request: &Request, fresh: bool) -> UpstreamFuture {
        let operation = request.info.operation;
        if !self.encoder.has(operation) {
            let error = PreCallError::Operation(operation);
            let (code, param) = error.code_and_param();
            let object = ErrorObject::new(error.to_string(), "invalid_request_error", code).with_param(param);
            return Box::pin(future::ready(Ok(json_response(StatusCode::BAD_REQUEST, object.body()))));
        }
        let encoded = self.encoder.encode_passed(request);
        self.upstreams.openai.call(call_of(request, encoded, fresh))
    }
}

/// Returns the gateway's own estimate of the input, for an upstream that does not count tokens.
fn estimate(request: &Request) -> UpstreamFuture {
    let input_tokens = request.info.messages.as_ref().map_or(0, |messages| messages.input_tokens);
    let body = json!({ "input_tokens": input_tokens }).to_string();
    Box::pin(future::ready(Ok(json_response(StatusCode::OK, body))))
}
