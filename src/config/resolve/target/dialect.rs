//! Which provider a `model` names.

use std::sync::Arc;

use crate::config::{
    Provider,
    error::Sink,
    keys, read,
    yaml::{Node, Value},
};

/// A provider, and the model's name there.
pub(super) struct Dialect {
    pub(super) provider: Provider,
    pub(super) model: Arc<str>,
}

const KNOWN: [(&str, Provider); 3] =
    [("openai", Provider::OpenAi), ("azure", Provider::Azure), ("huggingface", Provider::HuggingFace)];

impl Dialect {
    /// Where the base URL stands in the environment, first hit wins.
    pub(super) const fn base_variables(&self) -> &'static [&'static str] {
        match self.provider {
            Provider::OpenAi => &["OPENAI_BASE_URL", "OPENAI_API_BASE"],
            Provider::Azure => &["AZURE_API_BASE"],
            Provider::HuggingFace => &["HF_API_BASE", "HUGGINGFACE_API_BASE"],
        }
    }

    /// The provider's public URL, if there is one for all.
    pub(super) const fn default_base(&self) -> Option<&'static str> {
        match self.provider {
            Provider::OpenAi => Some("https://api.openai.com/v1"),
            Provider::Azure => None,
            Provider::HuggingFace => Some("https://router.huggingface.co/v1"),
        }
    }

    /// Where the key stands in the environment, first hit wins.
    pub(super) const fn key_variables(&self) -> &'static [&'static str] {
        match self.provider {
            Provider::OpenAi => &["OPENAI_API_KEY"],
            Provider::Azure => &["AZURE_OPENAI_API_KEY", "AZURE_API_KEY"],
            Provider::HuggingFace => &["HF_TOKEN", "HUGGINGFACE_API_KEY"],
        }
    }
}

/// `custom_llm_provider` wins over the prefix, the prefix over the shape of the bare name.
pub(super) fn resolve(model: &Node, custom: Option<&Node>, sink: &mut Sink<'_>) -> Option<Dialect> {
    let name = read::text(model, sink);
    if let Some(custom) = custom {
        let prefix = read::text(custom, sink)?;
        let Some(provider) = known(&prefix) else {
            unknown(&prefix, custom, sink);
            return None;
        };
        let name = name?;
        let name = name.strip_prefix(&format!("{prefix}/")).unwrap_or(&name);
        return named(provider, name, model, sink);
    }
    let name = name?;
    match name.split_once('/') {
        _ if is_openai_name(&name) => named(Provider::OpenAi, &name, model, sink),
        Some((prefix, rest)) => match known(prefix) {
            Some(provider) => named(provider, rest, model, sink),
            None => {
                unknown(prefix, model, sink);
                None
            }
        },
        None => {
            let shown = if model.hidden || model.variable.is_some() { "NAME" } else { keys::safe(&name) };
            sink.error(&model.at, "the model names no provider").help(format!(
                "write `openai/{shown}` (any OpenAI-compatible server, with its `api_base`), `azure/{shown}` or `huggingface/{shown}`"
            ));
            None
        }
    }
}

fn known(prefix: &str) -> Option<Provider> {
    KNOWN.iter().find(|(name, _)| *name == prefix).map(|(_, provider)| *provider)
}

fn named(provider: Provider, name: &str, at: &Node, sink: &mut Sink<'_>) -> Option<Dialect> {
    let name = name.trim();
    // A blank is the trace of a line whose colon is missing.
    if name.is_empty() || name.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return read::wrong(at, "a provider and a name, such as `openai/gpt-4o`", sink);
    }
    Some(Dialect { provider, model: name.into() })
}

fn unknown(prefix: &str, node: &Node, sink: &mut Sink<'_>) {
    let message = match &node.value {
        Value::Text(_) if !node.hidden && node.variable.is_none() => {
            format!("unknown provider `{}`", keys::safe(prefix))
        }
        _ => "unknown provider".to_owned(),
    };
    let near = keys::nearest(prefix, KNOWN.iter().map(|(name, _)| *name), 3);
    let near = near.map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
    let name = match &node.value {
        Value::Text(model) if !node.hidden && node.variable.is_none() => {
            model.split_once('/').map_or("NAME", |(_, name)| keys::safe(name))
        }
        _ => "NAME",
    };
    sink.error(&node.at, message).help(format!(
        "{near}known providers: openai, azure, huggingface; any OpenAI-compatible server is `openai/{name}` with its `api_base`"
    ));
}

/// OpenAI's own models may stand without a prefix.
fn is_openai_name(name: &str) -> bool {
    let families = ["gpt-", "chatgpt-", "text-embedding-", "ft:gpt-"];
    let reasoning = name.strip_prefix('o').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    reasoning || families.iter().any(|family| name.starts_with(family))
}
