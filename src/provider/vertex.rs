//! Vertex AI: models below a location of a project, by their publisher.

use crate::config::Publisher;

/// Returns the path of the models of a publisher, below which each has its methods; of open models, that of chats in OpenAI's
/// dialect. A model that a customer has tuned is a number, and an endpoint.
pub(super) fn path(base: &str, publisher: Publisher, model: &str) -> String {
    let below = match publisher {
        Publisher::Google if model.bytes().all(|byte| byte.is_ascii_digit()) => "endpoints",
        Publisher::Google => "publishers/google/models",
        Publisher::Anthropic => "publishers/anthropic/models",
        Publisher::Open => "endpoints/openapi/chat/completions",
    };
    format!("{base}/{below}")
}
