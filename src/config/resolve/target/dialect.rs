//! Resolves the vendor and the model name of a `model`.

use std::sync::Arc;

use crate::config::{
    VENDORS, Vendor,
    error::DiagnosticSink,
    keys, read, vendor,
    yaml::{Node, Value},
};

/// A vendor, and the name of the model there.
pub(super) struct Dialect {
    pub(super) vendor: &'static Vendor,
    pub(super) model: Arc<str>,
}

/// Resolves `model`. `custom_llm_provider` takes precedence over the prefix, and the prefix over the form of a bare
/// name.
pub(super) fn resolve(model: &Node, custom: Option<&Node>, sink: &mut DiagnosticSink<'_>) -> Option<Dialect> {
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
    match name.split_once('/') {
        _ if is_openai_name(&name) => named(vendor("openai")?, &name, model, sink),
        Some((prefix, rest)) => match vendor(prefix) {
            Some(vendor) => named(vendor, rest, model, sink),
            None => {
                unknown(prefix, model, sink);
                None
            }
        },
        None => {
            let shown = if model.hidden || model.variable.is_some() { "NAME" } else { keys::redact(&name) };
            sink.error(&model.at, "the model has no provider").help(format!(
                "write `openai/{shown}` (any OpenAI-compatible server, with its `api_base`), `azure/{shown}` or `huggingface/{shown}`"
            ));
            None
        }
    }
}

fn named(vendor: &'static Vendor, name: &str, at: &Node, sink: &mut DiagnosticSink<'_>) -> Option<Dialect> {
    let name = name.trim();
    // A blank is a sign of a next line without a colon.
    if name.is_empty() || name.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return read::invalid(at, "a provider and a name, such as `openai/gpt-4o`", sink);
    }
    let name = without_hint(vendor, name, at, sink);
    // A name with a slash is complete: a customer's own model (`accounts/..`), or an embedding model (`nomic-ai/..`).
    let prefix = if name.contains('/') { "" } else { vendor.model_prefix };
    Some(Dialect { vendor, model: format!("{prefix}{name}").into() })
}

/// LiteLLM's hints between a provider and a name. They choose the class that translates parameters, or the operation that
/// is called, and are never a part of the name.
const HINTS: [&str; 3] = ["o_series", "gpt5_series", "responses"];

/// Returns the name without LiteLLM's hints. Warns of a hint that asks for an operation that is not called.
fn without_hint<'n>(vendor: &Vendor, name: &'n str, at: &Node, sink: &mut DiagnosticSink<'_>) -> &'n str {
    let hint =
        |name: &'n str| name.split_once('/').filter(|(hint, rest)| HINTS.contains(hint) && !rest.is_empty());
    let mut rest = name;
    while let Some((word, after)) = hint(rest).filter(|_| ["openai", "azure"].contains(&vendor.prefix)) {
        if word == "responses" {
            sink.warning(&at.at, "the hint `responses/` has no effect: chat completions are called")
                .help("remove it from the model's name");
        }
        rest = after;
    }
    rest
}

fn unknown(prefix: &str, node: &Node, sink: &mut DiagnosticSink<'_>) {
    let message = match &node.value {
        Value::Text(_) if !node.hidden && node.variable.is_none() => {
            format!("unknown provider `{}`", keys::redact(prefix))
        }
        _ => "unknown provider".to_owned(),
    };
    let near = sink.suggest(|| keys::nearest(prefix, VENDORS.iter().map(|vendor| vendor.prefix), 3));
    let near = near.map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
    let name = match &node.value {
        Value::Text(model) if !node.hidden && node.variable.is_none() => {
            model.split_once('/').map_or("NAME", |(_, name)| keys::redact(name))
        }
        _ => "NAME",
    };
    let known: Vec<_> = VENDORS.iter().map(|vendor| vendor.prefix).collect();
    let known = known.join(", ");
    sink.error(&node.at, message).help(format!(
        "{near}known providers: {known}; any other OpenAI-compatible server is `openai/{name}` with its `api_base`"
    ));
}

/// Returns true for the names of OpenAI's own models, which need no prefix.
fn is_openai_name(name: &str) -> bool {
    let families = ["gpt-", "chatgpt-", "text-embedding-", "ft:gpt-"];
    let reasoning = name.strip_prefix('o').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    reasoning || families.iter().any(|family| name.starts_with(family))
}
