//! OpenAI and compatible servers: the path of the base URL, followed by the route.

use http::{HeaderValue, header::InvalidHeaderValue};

use crate::request::Operation;

/// The parameters that OpenAI's Responses and chat completions have both, and those that only the first have.
pub(super) const RESPONSE_PARAMETERS: [&str; 20] = [
    "background",
    "include",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "parallel_tool_calls",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "temperature",
    "text",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
    "context_management",
];

/// Returns the path of a route. `/v1` is not added: some servers have a base such as `/openai` or `/api/v3`.
pub(super) fn path(base: &str, operation: Operation) -> String {
    format!("{}{}", without_route(base), operation.path())
}

/// Returns the path of a route below `/v1`, which is added if the base lacks it.
pub(super) fn versioned(base: &str, operation: Operation) -> String {
    let base = without_route(base);
    let root = base.strip_suffix("/v1").unwrap_or(base);
    format!("{root}/v1{}", operation.path())
}

/// Returns the path of a route below `root`, which replaces an empty path and those of the vendor's native API. Reranking is
/// a part of Cohere's native API, the only one with such a root.
pub(super) fn below(root: &str, base: &str, operation: Operation) -> String {
    const NATIVE: [&str; 5] = ["", "/v1", "/v1beta", "/v2", "/v2/chat"];
    let base = without_route(base);
    let is_known = base == root || NATIVE.contains(&base);
    if is_known && operation == Operation::Rerank {
        return format!("/v2{}", operation.path());
    }
    format!("{}{}", if is_known { root } else { base }, operation.path())
}

/// Returns the base without a route at its end. Users often configure the full URL of one route; the other routes
/// have the same base.
pub(super) fn without_route(base: &str) -> &str {
    // `/completions` is a suffix of `/chat/completions`, so it comes last.
    let others = [Operation::Chat, Operation::Embeddings, Operation::Completions, Operation::Responses];
    let passed = Operation::ALL.into_iter().filter(|operation| operation.is_passed());
    others
        .into_iter()
        .chain(passed)
        .find_map(|operation| base.strip_suffix(operation.path()))
        .unwrap_or(base)
        .trim_end_matches('/')
}

pub(super) fn bearer(key: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    HeaderValue::try_from(format!("Bearer {key}"))
}
