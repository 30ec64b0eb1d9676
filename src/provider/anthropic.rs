//! Anthropic's Messages: one route for every operation.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{self, InvalidHeaderValue},
};

use super::openai;

const ROUTE: &str = "/v1/messages";

static API_KEY: HeaderName = HeaderName::from_static("x-api-key");
static VERSION: HeaderName = HeaderName::from_static("anthropic-version");
static BETA: HeaderName = HeaderName::from_static("anthropic-beta");

/// The version of the API; there has been no newer one.
const NEWEST: HeaderValue = HeaderValue::from_static("2023-06-01");
/// The feature that accepts the tokens of a login.
const LOGIN: HeaderValue = HeaderValue::from_static("oauth-2025-04-20");
/// The beginning of the token of a login, which is no key.
const TOKEN: &str = "sk-ant-oat";

/// Returns the path of the route below `root`. The base may have any part of it, or that of the API for OpenAI's clients.
pub(super) fn path(root: &str, base: &str) -> String {
    let base = base.strip_suffix(ROUTE).unwrap_or_else(|| openai::without_route(base));
    let base = base.strip_suffix("/v1").unwrap_or(base);
    let base = base.strip_suffix(root).unwrap_or(base);
    format!("{base}{root}{ROUTE}")
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
