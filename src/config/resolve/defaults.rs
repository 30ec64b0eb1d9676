//! Default request parameters: every key of `litellm_params` that is not a setting.

use std::sync::Arc;

use crate::config::{
    error::DiagnosticSink,
    ignored, keys,
    read::{self, Section},
    yaml::{Key, Node, Value},
};

/// The name of a parameter, and its value as JSON text.
type Parameter = (Arc<str>, Arc<str>);

/// Returns the parameters that are added to requests. Settings of tollgate and of LiteLLM are not among them. A
/// parameter in `extra_body` replaces one of the same name, as in OpenAI's client: both would be sent otherwise.
pub(super) fn resolve(params: &Section, sink: &mut DiagnosticSink<'_>) -> Vec<Parameter> {
    let (mut parameters, mut extra) = (Vec::<Parameter>::new(), Vec::<Parameter>::new());
    for (key, node) in params.entries() {
        if key.name == "extra_body" {
            let body = if node.is_null() { None } else { read::map(node, sink) };
            let body = body.unwrap_or_default();
            extra.extend(body.iter().filter_map(|(key, node)| parameter(key, node, sink)));
        } else if is_parameter((key, node), sink) {
            parameters.extend(parameter(key, node, sink));
        }
    }
    parameters.retain(|(name, _)| extra.iter().all(|(other, _)| other != name));
    parameters.extend(extra);
    parameters
}

/// Parameters that change the form of the response; only the client may set them.
const CLIENT_ONLY: [&str; 2] = ["stream", "stream_options"];

/// Returns the parameter, unless it is null, reserved for the client, a credential, or contains an unset variable.
pub(super) fn parameter(key: &Key, node: &Node, sink: &mut DiagnosticSink<'_>) -> Option<Parameter> {
    if node.is_null() {
        return None;
    }
    if CLIENT_ONLY.contains(&&*key.name) {
        let name = key.at.last();
        sink.warning(&key.at, format!("`{name}` is ignored: only the client may set it"));
        return None;
    }
    if withheld(key, sink) {
        return None;
    }
    if let Some(unset) = unset(node) {
        return read::invalid(unset, "set", sink);
    }
    Some((key.name.as_str().into(), node.json_text().into()))
}

/// Returns true, with a warning, if the key is the name of a credential or looks like a credential itself.
fn withheld(key: &Key, sink: &mut DiagnosticSink<'_>) -> bool {
    let name = key.at.last();
    let is_hidden = name != key.name;
    if is_hidden || keys::is_credential(name) {
        sink.warning(
            &key.at,
            format!("unknown key `{name}`; it is not sent upstream, because it looks like a credential"),
        )
        .help("a credential is `api_key`, or a header below `headers`");
    }
    is_hidden || keys::is_credential(name)
}

fn unset(node: &Node) -> Option<&Node> {
    match &node.value {
        Value::Unset => Some(node),
        Value::List(items) => items.iter().find_map(unset),
        Value::Map(entries) => entries.iter().find_map(|(_, node)| unset(node)),
        _ => None,
    }
}

/// Settings that contain a credential.
const SECRET: [&str; 6] =
    ["api_key", "aws_secret_access_key", "aws_session_token", "azure_ad_token", "headers", "extra_headers"];

/// Returns the deployment setting that the key is probably a misspelling of.
fn likely_setting(name: &str) -> Option<&'static str> {
    let own = keys::OWN_KEYS.iter().filter(|o| o.deployment).map(|o| o.name);
    keys::nearest(name, keys::PARAMS.iter().copied().chain(own), 2)
}

/// Returns true if the key is a setting with a credential, or a likely misspelling of one.
pub(super) fn resembles_secret(name: &str) -> bool {
    likely_setting(name).is_some_and(|near| SECRET.contains(&near))
}

/// Warns of a setting that does not belong to a deployment or is not supported, and returns true for one.
fn warned((key, node): (&Key, &Node), sink: &mut DiagnosticSink<'_>) -> bool {
    let name = key.at.last();
    if keys::own_key(name).is_some() || keys::SETTINGS.contains(&name) {
        sink.warning(&key.at, format!("`{name}` cannot be set for one deployment"))
            .help(format!("write `{name}` below `router_settings`"));
        return true;
    }
    if keys::is_model_info(name) {
        sink.harmless(&key.at, format!("`{name}` belongs in `model_info`; it is not sent upstream"))
            .help(format!("write `{name}` below `model_info`"));
        return true;
    }
    if let Some(meant) = keys::correction(name) {
        sink.warning(&key.at, format!("unknown key `{name}`; it is not sent upstream"))
            .help(format!("did you mean `{meant}`?"));
        return true;
    }
    if let Some(grade) = keys::param_grade(name) {
        ignored::warn((key, node), grade, sink);
        return true;
    }
    false
}

/// Returns true if the key is sent upstream. Warns if it is not, and if it is probably misspelled.
fn is_parameter((key, node): (&Key, &Node), sink: &mut DiagnosticSink<'_>) -> bool {
    let name = key.at.last();
    if keys::PARAMS.contains(&name) || keys::own_key(name).is_some_and(|o| o.deployment) {
        return false;
    }
    if keys::is_openai(name) {
        return true;
    }
    if warned((key, node), sink) {
        return false;
    }
    match likely_setting(name) {
        // The value may be a credential, which must not end up in the request log of a provider.
        Some(near) if SECRET.contains(&near) => {
            sink.warning(&key.at, format!("unknown key `{name}`; it is not sent upstream"))
                .help(format!("did you mean `{near}`?"));
            false
        }
        Some(near) => {
            sink.warning(
                &key.at,
                format!("`{name}` is not a setting; it is sent upstream with each request"),
            )
            .help(format!("did you mean `{near}`?"));
            true
        }
        None => {
            // Other servers have `top_k` and `min_tokens`: only a longer word with one wrong letter counts as
            // misspelled.
            let near = keys::nearest(name, keys::OPENAI.iter().copied(), 1);
            if let Some(near) = near.filter(|near| near.len() > 5) {
                sink.warning(&key.at, format!("`{name}` is not an OpenAI parameter; it is sent upstream"))
                    .help(format!("did you mean `{near}`?"));
            }
            true
        }
    }
}
