//! Azure OpenAI, in its two forms: with a dated version, the deployment is part of the path; with `v1`, it is the
//! body's `model`, and there is no version but `preview`, which unlocks what is not final.

use std::fmt::Write;

use http::HeaderName;

use super::openai;
use crate::{config::DEFAULT_API_VERSION, request::Operation};

/// The header for the key.
pub(super) static API_KEY: HeaderName = HeaderName::from_static("api-key");

const DEPLOYMENTS: &str = "/openai/deployments";
const V1: &str = "/openai/v1";
const PREVIEW: &str = "preview";

/// Returns the path of the route, with `api-version` for a dated version.
pub(super) fn path(base: &str, operation: Operation, model: &str, version: Option<&str>) -> String {
    let base = openai::without_route(base);
    let version = version.unwrap_or(DEFAULT_API_VERSION);
    if is_v1(base, version) {
        let query = if version == PREVIEW { "?api-version=preview" } else { "" };
        return format!("{}{V1}{}{query}", resource(base), operation.path());
    }
    if operation == Operation::Responses {
        return format!("{}/openai{}?api-version={}", resource(base), operation.path(), encoded(version));
    }
    let deployment = deployment(base, model);
    format!("{deployment}{}?api-version={}", operation.path(), encoded(version))
}

/// Returns the path of the route at a model of another vendor. A resource of Foundry has all its models below `/models`, but
/// for those that rerank.
pub(super) fn models_path(
    (foundry, base): (bool, &str),
    operation: Operation,
    version: Option<&str>,
) -> String {
    let base = openai::without_route(base);
    let is_versioned = ["/v1", "/v2"].iter().any(|version| base.ends_with(version));
    let models = match operation {
        Operation::Rerank if is_versioned => "",
        Operation::Rerank => "/v1",
        _ if foundry && base.is_empty() => "/models",
        _ => "",
    };
    let query = version.map(|version| format!("?api-version={}", encoded(version))).unwrap_or_default();
    format!("{base}{models}{}{query}", operation.path())
}

/// Returns true if a stream supports `stream_options`: older versions refuse it with a 400.
pub(super) fn supports_include_usage(base: &str, version: Option<&str>) -> bool {
    const FIRST: &str = "2024-09-01-preview";
    let version = version.unwrap_or(DEFAULT_API_VERSION);
    is_v1(openai::without_route(base), version) || version >= FIRST
}

/// Returns true if the version has OpenAI's Responses. They have the name of the deployment in the body, which may differ from
/// one in the base.
pub(super) fn has_responses(base: &str, version: Option<&str>) -> bool {
    const FIRST: &str = "2025-03-01-preview";
    let version = version.unwrap_or(DEFAULT_API_VERSION);
    let names_deployment = base.contains(DEPLOYMENTS);
    !names_deployment && (is_v1(openai::without_route(base), version) || version >= FIRST)
}

fn is_v1(base: &str, version: &str) -> bool {
    matches!(version, "v1" | "latest" | PREVIEW) || base.ends_with(V1)
}

/// Returns the path of the deployment: the one in the base, or else the one named by the model.
fn deployment(base: &str, model: &str) -> String {
    match base.split_once(DEPLOYMENTS) {
        Some((_, named)) if named.len() > 1 && named.starts_with('/') => base.to_owned(),
        Some(_) | None => format!("{}{DEPLOYMENTS}/{}", resource(base), encoded(model)),
    }
}

/// Returns the base without the parts of either form, so that it may be configured in any of them.
fn resource(base: &str) -> &str {
    let base = base.split_once(DEPLOYMENTS).map_or(base, |(resource, _)| resource);
    let base = base.strip_suffix(V1).unwrap_or(base);
    base.strip_suffix("/openai").unwrap_or(base).trim_end_matches('/')
}

/// Percent-encodes a path segment or a query value: all but the unreserved characters of RFC 3986.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a `String` cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}
