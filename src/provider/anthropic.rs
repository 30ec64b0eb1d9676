//! Anthropic's Messages: one route for all chats, and one that counts tokens.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{self, InvalidHeaderValue},
};

use super::openai;
use crate::request::Operation;

const ROUTE: &str = "/v1/messages";
/// The end of the route that counts tokens.
const COUNT: &str = "/count_tokens";

static API_KEY: HeaderName = HeaderName::from_static("x-api-key");
static VERSION: HeaderName = HeaderName::from_static("anthropic-version");
static BETA: HeaderName = HeaderName::from_static("anthropic-beta");

/// The version of the API; there has been no newer one.
const NEWEST: HeaderValue = HeaderValue::from_static("2023-06-01");
/// The feature that accepts the tokens of a login.
const LOGIN: HeaderValue = HeaderValue::from_static("oauth-2025-04-20");
/// The beginning of the token of a login, which is no key.
const TOKEN: &str = "sk-ant-oat";

/// The parameters of a request to the route. A deployment's own parameters with other names are not sent with a request in
/// this dialect.
const PARAMETERS: [&str; 18] = [
    "cache_control",
    "container",
    "context_management",
    "fallbacks",
    "inference_geo",
    "max_tokens",
    "mcp_servers",
    "metadata",
    "output_config",
    "service_tier",
    "speed",
    "stop_sequences",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
    "top_k",
    "top_p",
];

/// Returns the path of an operation below `root`: chats have that of messages. The base may have any part of it, or that of
/// the API for OpenAI's clients.
pub(super) fn path(root: &str, base: &str, operation: Operation) -> String {
    let base = base.strip_suffix(ROUTE).unwrap_or_else(|| openai::without_route(base));
    let base = base.strip_suffix("/v1").unwrap_or(base);
    let base = base.strip_suffix(root).unwrap_or(base);
    let count = if operation == Operation::CountTokens { COUNT } else { "" };
    format!("{base}{root}{ROUTE}{count}")
}

/// Returns true for a parameter of a request in this dialect.
pub(super) fn has_parameter(name: &str) -> bool {
    PARAMETERS.contains(&name)
}

/// Adds the version and the features that a client requests. The features of the configuration stay.
pub(super) fn forward(headers: &mut HeaderMap, client: &HeaderMap) {
    if let Some(version) = client.get(&VERSION) {
        headers.insert(VERSION.clone(), version.clone());
    }
    for value in client.get_all(&BETA) {
        add_betas(headers, value.to_str().unwrap_or_default().split(',').map(str::trim));
    }
}

/// Adds features to those that are requested already.
pub(crate) fn add_betas<'b>(headers: &mut HeaderMap, betas: impl IntoIterator<Item = &'b str>) {
    for beta in betas.into_iter().filter(|beta| !beta.is_empty()) {
        let requested = headers.get(&BETA).and_then(|value| value.to_str().ok());
        let all = match requested {
            Some(requested) if requested.split(',').any(|known| known.trim() == beta) => continue,
            Some(requested) => HeaderValue::try_from(format!("{requested},{beta}")),
            None => HeaderValue::try_from(beta),
        };
        // Both parts are values of headers already.
        if let Ok(all) = all {
            headers.insert(BETA.clone(), all);
        }
    }
}

/// Returns the header of a key, or of the token of a login.
pub(super) fn credential(key: &str) -> Result<(HeaderName, HeaderValue), InvalidHeaderValue> {
    match key.starts_with(TOKEN) {
        true => Ok((header::AUTHORIZATION, openai::bearer(key)?)),
        false => Ok((API_KEY.clone(), HeaderValue::try_from(key)?)),
    }
}

/// Adds the version of the API, and the feature that the credential needs.
pub(super) fn add_headers(headers: &mut HeaderMap) {
    headers.insert(VERSION.clone(), NEWEST);
    let authorization = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
    let token = authorization.and_then(|value| value.strip_prefix(b"Bearer "));
    if token.is_some_and(|token| token.starts_with(TOKEN.as_bytes())) {
        headers.insert(BETA.clone(), LOGIN);
    }
}
