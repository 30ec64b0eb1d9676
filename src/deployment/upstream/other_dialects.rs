//! Calls in a dialect of clients that is not OpenAI's.
//!
//! They pass to a deployment that speaks it, and are translated for all others.

use std::future;

use http::StatusCode;
use serde_json::json;

use super::{Inner, UpstreamFuture, call_of, json_response};
use crate::{
    dialect::ClientDialect,
    request::{Operation, Request},
};

impl Inner {
    /// Calls the deployment in the dialect of the request.
    #[cold]
    pub(super) fn call_other(&self, request: &Request, fresh: bool) -> UpstreamFuture {
        let dialect = request.info.operation.dialect();
        let passes = self.upstreams.speak(dialect);
        if request.info.operation == Operation::CountTokens && !passes {
            return estimate(request);
        }
        let encoded = match passes {
            true if dialect == ClientDialect::Responses => self.encoder.encode_response(request),
            true => self.encoder.encode_messages(request),
            false => self.encoder.encode_untranslated(request),
        };
        self.upstreams.other(dialect).call(call_of(request, encoded, fresh))
    }
}

/// Returns the gateway's own estimate of the input, for an upstream that does not count tokens.
fn estimate(request: &Request) -> UpstreamFuture {
    let input_tokens = request.info.messages.as_ref().map_or(0, |messages| messages.input_tokens);
    let body = json!({ "input_tokens": input_tokens }).to_string();
    Box::pin(future::ready(Ok(json_response(StatusCode::OK, body))))
}
