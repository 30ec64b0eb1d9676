//! Ollama: chats at its own API, text completions and embeddings at the part of it for OpenAI's clients.

use super::openai;
use crate::request::Operation;

/// Returns the path of a route. The base may be that of either part, or one of their routes.
pub(super) fn path(base: &str, operation: Operation) -> String {
    let base = openai::without_route(base);
    let parts = ["/api/chat", "/api/generate", "/api", "/v1"];
    let root = parts.iter().find_map(|part| base.strip_suffix(part)).unwrap_or(base);
    match operation {
        Operation::Completions | Operation::Embeddings => openai::versioned(root, operation),
        _ => format!("{root}/api/chat"),
    }
}
