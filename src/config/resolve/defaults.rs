//! Default request parameters: every key of `litellm_params` that is no setting.

use std::sync::Arc;

use crate::config::{
    error::Sink,
    keys,
    read::{self, Section},
    yaml::{Key, Node, Value},
};

/// Name, and value as JSON text.
type Parameter = (Arc<str>, Arc<str>);

/// The parameters that are added to requests. Settings, ours and LiteLLM's, are not among them. What stands in
/// `extra_body` wins, as in OpenAI's client: a key that is written twice would be sent twice.
pub(super) fn resolve(params: &Section, sink: &mut Sink<'_>) -> Vec<Parameter> {
    let (mut parameters, mut extra) = (Vec::<Parameter>::new(), Vec::<Parameter>::new());
    for (key, node) in params.entries() {
        if key.name == "extra_body" {
            let body = if node.is_null() { None } else { read::map(node, sink) };
            let body = body.unwrap_or_default();
            extra.extend(body.iter().filter_map(|(key, node)| parameter(key, node, sink)));
        } else if is_parameter(key, sink) {
            parameters.extend(parameter(key, node, sink));
        }
    }
    parameters.retain(|(name, _)| extra.iter().all(|(other, _)| other != name));
    parameters.extend(extra);
    parameters
}

/// What would make the answer another than the one that the client waits for.
const FIXED: [&str; 2] = ["stream", "stream_options"];

/// The parameter, unless it is null, the client's alone, or needs a variable that is not set.
pub(super) fn parameter(key: &Key, node: &Node, sink: &mut Sink<'_>) -> Option<Parameter> {
    if node.is_null() {
        return None;
    }
    if FIXED.contains(&&*key.name) {
        let name = key.at.last();
        sink.warning(&key.at, format!("`{name}` is not used: only the client knows what it waits for"));
        return None;
    }
    if let Some(unset) = unset(node) {
        return read::wrong(unset, "set", sink);
    }
    Some((key.name.as_str().into(), node.json_text().into()))
}

fn unset(node: &Node) -> Option<&Node> {
    match &node.value {
        Value::Unset => Some(node),
        Value::List(items) => items.iter().find_map(unset),
        Value::Map(entries) => entries.iter().find_map(|(_, node)| unset(node)),
        _ => None,
    }
}

/// Settings with a credential in them.
const SECRET: [&str; 4] = ["api_key", "azure_ad_token", "headers", "extra_headers"];

/// The setting of a deployment that was probably meant.
fn slip(name: &str) -> Option<&'static str> {
    let ours = keys::OURS.iter().filter(|o| o.deployment).map(|o| o.name);
    keys::nearest(name, keys::PARAMS.iter().copied().chain(ours), 2)
}

/// Whether the key is, or is nearly, one with a credential in it.
pub(super) fn is_nearly_secret(name: &str) -> bool {
    slip(name).is_some_and(|near| SECRET.contains(&near))
}

/// Whether the key goes upstream; says why not, and whether it looks like a slip.
fn is_parameter(key: &Key, sink: &mut Sink<'_>) -> bool {
    let name = key.at.last();
    let ours = keys::ours(name);
    if keys::PARAMS.contains(&name) || ours.is_some_and(|o| o.deployment) {
        return false;
    }
    if keys::is_openai(name) {
        return true;
    }
    if ours.is_some() || keys::SETTINGS.contains(&name) {
        sink.warning(&key.at, format!("`{name}` means nothing for one deployment"))
            .help(format!("write `{name}` below `router_settings`"));
        return false;
    }
    if keys::is_litellm_param(name) {
        let entry = sink.warning(&key.at, format!("`{name}` is not served yet; it is not sent upstream"));
        if name == "max_retries" {
            entry.help("`num_retries` says how often a failed call is made again");
        }
        return false;
    }
    match slip(name) {
        // It may well hold a credential: that must not end in somebody's request log.
        Some(near) if SECRET.contains(&near) => {
            sink.warning(&key.at, format!("unknown key `{name}`; it is not sent upstream"))
                .help(format!("did you mean `{near}`?"));
            false
        }
        Some(near) => {
            sink.warning(&key.at, format!("`{name}` is no setting; it is sent upstream with each request"))
                .help(format!("did you mean `{near}`?"));
            true
        }
        None => {
            // Other servers have `top_k` and `min_tokens`: only what is one letter off a longer word is a slip.
            let near = keys::nearest(name, keys::OPENAI.iter().copied(), 1);
            if let Some(near) = near.filter(|near| near.len() > 5) {
                sink.warning(&key.at, format!("`{name}` is no parameter of OpenAI's; it is sent upstream"))
                    .help(format!("did you mean `{near}`?"));
            }
            true
        }
    }
}
