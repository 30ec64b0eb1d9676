//! Resolves the vendor and the model name of a `model`.

use std::sync::Arc;

use http::Uri;

use super::aws;
use crate::config::{
    BaseUrl, Provider, VENDORS, Vendor,
    error::DiagnosticSink,
    keys, read, vendor,
    vendors::{AZURE_CLAUDE, VERTEX_CLAUDE, VERTEX_OPEN, reason_unserved, vendor_of_bare},
    yaml::{Node, Value},
};

/// A vendor, and the name of the model there.
pub(super) struct Dialect {
    pub(super) vendor: &'static Vendor,
    pub(super) model: Arc<str>,
    /// True if the name states that the server has OpenAI's Responses.
    pub(super) responses: bool,
    /// The region of AWS that the name states.
    pub(super) region: Option<String>,
}

/// Resolves `model`. `custom_llm_provider` takes precedence over the prefix, the prefix over the form of a bare name, and that
/// over a vendor whose public API is the `base`.
pub(super) fn resolve(
    model: &Node,
    (custom, base): (Option<&Node>, Option<&Node>),
    sink: &mut DiagnosticSink<'_>,
) -> Option<Dialect> {
    let name = read::text(model, sink);
    if let Some(custom) = custom {
        let prefix = read::text(custom, sink)?;
        let Some(vendor) = vendor(&prefix) else {
            unknown(&prefix, custom, sink);
            return None;
        };
        let name = name?;
        let name = name.strip_prefix(&format!("{prefix}/")).unwrap_or(&name);
        return named(vendor, name, model, sink);
    }
    let name = name?;
    if name == "*" {
        sink.warning(
            &model.at,
            "`*` names no provider: every model that is requested is called at OpenAI's API",
        )
        .help("write `openai/*`, and one deployment for each other provider, such as `anthropic/*`");
        return named(vendor("openai")?, &name, model, sink);
    }
    if let Some(vendor) = vendor_of_bare(&name) {
        return named(vendor, &name, model, sink);
    }
    if let Some((prefix, rest)) = name.split_once('/')
        && let Some(vendor) = vendor(prefix)
    {
        return named(vendor, rest, model, sink);
    }
    if let Some(vendor) = base.and_then(vendor_at) {
        return named(vendor, &name, model, sink);
    }
    match name.split_once('/') {
        Some((prefix, _)) => {
            unknown(prefix, model, sink);
            None
        }
        None => {
            let shown = if model.hidden || model.variable.is_some() { "NAME" } else { keys::redact(&name) };
            sink.error(&model.at, "the model has no provider").help(format!(
                "write `openai/{shown}` (any OpenAI-compatible server, with its `api_base`), `azure/{shown}` or `huggingface/{shown}`"
            ));
            None
        }
    }
}

/// Returns the vendor whose public API has the host of a URL. A server on this machine may be anything.
fn vendor_at(base: &Node) -> Option<&'static Vendor> {
    let Value::Text(base) = &base.value else { return None };
    let base: Uri = base.trim().parse().ok()?;
    let is_there = |host: &str| base.host().is_some_and(|at| at.eq_ignore_ascii_case(host));
    let is_public =
        |vendor: &Vendor| matches!(vendor.base, BaseUrl::Public(url) if url.starts_with("https://"));
    VENDORS.iter().find(|vendor| is_public(vendor) && vendor.public_host().is_some_and(is_there))
}

fn named(vendor: &'static Vendor, name: &str, at: &Node, sink: &mut DiagnosticSink<'_>) -> Option<Dialect> {
    let name = name.trim();
    // A blank is a sign of a next line without a colon.
    if name.is_empty() || name.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return read::invalid(at, "a provider and a name, such as `openai/gpt-4o`", sink);
    }
    if vendor.provider == Provider::Bedrock {
        return at_bedrock(vendor, name, at, sink);
    }
    let (name, responses) = without_hint(vendor, name);
    let (vendor, name) = match vendor.provider {
        Provider::AzureAi if name.starts_with("claude") => (&AZURE_CLAUDE, name),
        Provider::Vertex(_) => published((vendor, name), at, sink)?,
        _ => (vendor, name),
    };
    if !vendor.lost.is_empty() {
        let message =
            format!("`{}` is called through its OpenAI-compatible API: {}", vendor.prefix, vendor.lost);
        sink.warning(&at.at, message);
    }
    // A name with a slash is complete: a customer's own model (`accounts/..`), or an embedding model (`nomic-ai/..`).
    let prefix = if name.contains('/') { "" } else { vendor.model_prefix };
    Some(Dialect { vendor, model: format!("{prefix}{name}").into(), responses, region: None })
}

/// Returns a model of Bedrock. All that has chats is called by Converse, whatever route its name states.
fn at_bedrock(
    vendor: &'static Vendor,
    name: &str,
    at: &Node,
    sink: &mut DiagnosticSink<'_>,
) -> Option<Dialect> {
    let name = aws::Name::of(name);
    if let Some(reason) = name.unserved() {
        sink.error(&at.at, reason)
            .help("a proxy in front of it that speaks OpenAI's API is `openai/NAME` with its `api_base`");
        return None;
    }
    if name.route == Some("invoke") {
        sink.harmless(&at.at, "`invoke/` is called by Converse, which has the same models".to_owned());
    }
    let region = name.region.map(str::to_owned);
    Some(Dialect { vendor, model: name.id.into(), responses: false, region })
}

/// Returns the vendor of a model at Vertex AI by its publisher, and the name of the model there.
fn published<'n>(
    (google, name): (&'static Vendor, &'n str),
    at: &Node,
    sink: &mut DiagnosticSink<'_>,
) -> Option<(&'static Vendor, &'n str)> {
    let is_number = |name: &str| name.bytes().all(|byte| byte.is_ascii_digit());
    let (publisher, rest) = name.split_once('/').unwrap_or(("", name));
    let reason = match publisher {
        "" if name.starts_with("gemini-embedding") => "its embeddings have an API of their own",
        "" if name.starts_with("gemini") || is_number(name) => return Some((google, name)),
        "" if name.starts_with("claude") => return Some((&VERTEX_CLAUDE, name)),
        "" if name.contains("embedding") => "its embeddings have an API of their own",
        "" => "it is none of Gemini's, none of Claude's, and has no publisher before it",
        "gemini" => return Some((google, rest)),
        "openapi" => return Some((&VERTEX_OPEN, rest)),
        "mistralai" => "the publisher has an API of its own",
        "openai" if is_number(rest) => "an endpoint of one's own is not called in OpenAI's dialect",
        _ => return Some((&VERTEX_OPEN, name)),
    };
    sink.error(&at.at, format!("the model is not served at Vertex AI: {reason}")).help(
        "such as `vertex_ai/gemini-2.5-pro`, `vertex_ai/claude-sonnet-4-5` or `vertex_ai/meta/llama-3.3-70b-instruct-maas`",
    );
    None
}

/// LiteLLM's hints between a provider and a name. They choose the class that translates parameters, or the operation that
/// is called, and are never a part of the name.
const HINTS: [&str; 3] = ["o_series", "gpt5_series", "responses"];

/// Returns the name without LiteLLM's hints, and true if one states that the server has OpenAI's Responses.
fn without_hint<'n>(vendor: &Vendor, name: &'n str) -> (&'n str, bool) {
    let hint =
        |name: &'n str| name.split_once('/').filter(|(hint, rest)| HINTS.contains(hint) && !rest.is_empty());
    let (mut rest, mut responses) = (name, false);
    while let Some((word, after)) = hint(rest).filter(|_| ["openai", "azure"].contains(&vendor.prefix)) {
        responses |= word == "responses";
        rest = after;
    }
    (rest, responses)
}

fn unknown(prefix: &str, node: &Node, sink: &mut DiagnosticSink<'_>) {
    let shown = match &node.value {
        Value::Text(text) if !node.hidden && node.variable.is_none() => Some(text),
        _ => None,
    };
    if let Some(reason) = reason_unserved(prefix) {
        sink.error(&node.at, format!("the provider `{prefix}` is not served: {reason}"))
            .help("a proxy in front of it that speaks OpenAI's API is `openai/NAME` with its `api_base`");
        return;
    }
    let message = match shown {
        Some(_) => format!("unknown provider `{}`", keys::redact(prefix)),
        None => "unknown provider".to_owned(),
    };
    let near = sink.suggest(|| Some(nearest_names(prefix))).unwrap_or_default();
    let name = shown.and_then(|model| model.split_once('/')).map_or("NAME", |(_, name)| keys::redact(name));
    sink.error(&node.at, message)
        .help(format!("{near}any OpenAI-compatible server is `openai/{name}` with its `api_base`"));
}

/// Returns a question with the names that are most similar to `prefix`, at most three, or an empty text.
fn nearest_names(prefix: &str) -> String {
    let mut rest: Vec<_> = VENDORS.iter().map(|vendor| vendor.prefix).collect();
    let mut near = Vec::new();
    while let Some(name) = keys::nearest(prefix, rest.iter().copied(), 3).filter(|_| near.len() < 3) {
        near.push(format!("`{name}`"));
        rest.retain(|other| *other != name);
    }
    if near.is_empty() { String::new() } else { format!("did you mean {}? ", near.join(", ")) }
}
