//! Azure OpenAI, in its two forms: by dated version, where the deployment stands in the path, and `v1`, where it is
//! the body's `model` and there is no version.

use std::fmt::Write;

use http::HeaderName;

use super::openai;
use crate::{config::DEFAULT_API_VERSION, request::Route};

/// Where the key goes.
pub(super) static API_KEY: HeaderName = HeaderName::from_static("api-key");

const DEPLOYMENTS: &str = "/openai/deployments";
const V1: &str = "/openai/v1";

/// The path of the route, with the query for a dated version.
pub(super) fn path(base: &str, route: Route, model: &str, version: Option<&str>) -> String {
    let base = openai::without_route(base);
    let version = version.unwrap_or(DEFAULT_API_VERSION);
    if is_v1(base, version) {
        return format!("{}{V1}{}", resource(base), route.path());
    }
    let deployment = deployment(base, model);
    format!("{deployment}{}?api-version={}", route.path(), encoded(version))
}

/// Whether a stream may be asked for its usage: an earlier version refuses a request with `stream_options` (400).
pub(super) fn supports_include_usage(base: &str, version: Option<&str>) -> bool {
    const FIRST: &str = "2024-09-01-preview";
    let version = version.unwrap_or(DEFAULT_API_VERSION);
    is_v1(openai::without_route(base), version) || version >= FIRST
}

fn is_v1(base: &str, version: &str) -> bool {
    matches!(version, "v1" | "latest" | "preview") || base.ends_with(V1)
}

/// The base up to and with the deployment: the one that the base names, or else the model.
fn deployment(base: &str, model: &str) -> String {
    match base.split_once(DEPLOYMENTS) {
        Some((_, named)) if named.len() > 1 && named.starts_with('/') => base.to_owned(),
        Some(_) | None => format!("{}{DEPLOYMENTS}/{}", resource(base), encoded(model)),
    }
}

/// The base without what belongs to either form, so that it may be given in any of them.
fn resource(base: &str) -> &str {
    let base = base.split_once(DEPLOYMENTS).map_or(base, |(resource, _)| resource);
    let base = base.strip_suffix(V1).unwrap_or(base);
    base.strip_suffix("/openai").unwrap_or(base).trim_end_matches('/')
}

/// Percent-encoded, for one segment of a path or one value of a query: only RFC 3986's unreserved characters stay.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String never fails.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}
