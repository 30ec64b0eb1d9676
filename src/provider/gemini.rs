//! Google's Gemini API: chats at a method of the model, embeddings at the part of the API for OpenAI's clients.

use http::{HeaderMap, HeaderName, header};

use super::openai;
use crate::request::Operation;

/// The part of the API for OpenAI's clients.
const COMPATIBLE: &str = "/v1beta/openai";

/// The header of the key.
pub(super) static API_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");

/// Returns the path of the models, below which each has its methods; that of embeddings is in OpenAI's dialect. An empty
/// base, and one of either part, is that of the newest version.
pub(super) fn path(base: &str, operation: Operation) -> String {
    let base = openai::without_route(base);
    match operation {
        Operation::Embeddings => openai::below(COMPATIBLE, base, operation),
        _ => match base {
            "" | "/v1" | "/v1beta" | COMPATIBLE => "/v1beta/models".to_owned(),
            _ => format!("{base}/models"),
        },
    }
}

/// Makes the credential that of the part of the API for OpenAI's clients.
pub(crate) fn use_bearer(headers: &mut HeaderMap) {
    let key = headers.remove(&API_KEY);
    let bearer = key.as_ref().and_then(|key| key.to_str().ok()).map(openai::bearer);
    if let Some(Ok(mut bearer)) = bearer {
        bearer.set_sensitive(true);
        headers.entry(header::AUTHORIZATION).or_insert(bearer);
    }
}
