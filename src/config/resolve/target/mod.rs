//! Resolves the target of a deployment: vendor, URL, credential, headers.

use std::sync::Arc;

use http::{HeaderName, HeaderValue, Uri, header::AUTHORIZATION};
use secrecy::{ExposeSecret, SecretString};

use super::deployment::DeploymentDefaults;
use crate::config::{
    BaseUrl, GoogleCredential, Pattern, Provider, Target, Vendor,
    error::DiagnosticSink,
    is_framing, keys,
    raw::{Environment, ModelEntry},
    read,
    yaml::{Location, Node, Value},
};

mod api_version;
mod aws;
mod base;
mod dialect;
mod vertex;

use dialect::Dialect;
pub(super) use vertex::VertexDefaults;

/// Resolves the target. Returns none if a part of it is invalid; the errors are in the sink.
pub(super) fn resolve(
    entry: &ModelEntry,
    mock: bool,
    common: &DeploymentDefaults<'_>,
    sink: &mut DiagnosticSink<'_>,
) -> Option<Target> {
    let env = common.env;
    let param = |name| entry.params.get(name);
    let dialect = dialect_of(entry, sink);
    let mut headers = headers(entry, sink);
    let organization = param("organization").and_then(|node| organization(node, sink));
    let (dialect, at) = (dialect?, &param("model")?.at);
    let region = aws::region(entry, &dialect, env, sink)?;
    let (base, google) = address(entry, (&dialect, region.as_deref(), &headers), (mock, common), sink);
    // A self-hosted server may need no key.
    let own = dialect.vendor.keyless
        || matches!(dialect.vendor.base, BaseUrl::Public(public) if base.as_ref().is_some_and(|base| *base != *public));
    let token = if mock { None } else { token(entry, &dialect, env, sink) };
    let is_signed = region.is_some() && !mock && !has_key(entry, &dialect, env);
    let aws = match region.filter(|_| is_signed) {
        Some(region) => aws::credentials(entry, (region, at), env, sink)?,
        None => None,
    };
    let is_vertex = matches!(dialect.vendor.provider, Provider::Vertex(_));
    let is_keyless = mock || is_vertex || is_signed || token.is_some();
    let key = if is_keyless { None } else { key(entry, &dialect, (own, env), sink) };
    let base = base?;
    let is_real = |key: &SecretString| !is_placeholder(key.expose_secret());
    if key.as_ref().is_some_and(is_real) || token.is_some() || google.is_some() {
        warn_exposed(entry, (&base, at), sink);
    }
    let Dialect { vendor, model, responses, .. } = dialect;
    let responses = responses || states_responses(entry, vendor.provider);
    // An `Authorization` header under `headers` takes precedence over the token.
    let written = headers.iter().any(|(name, _)| *name == AUTHORIZATION);
    headers.extend(token.filter(|_| !written).map(|token| (AUTHORIZATION, token)));
    let azure = vendor.provider == Provider::Azure;
    let versioned = azure || (vendor.provider == Provider::AzureAi && param("api_version").is_some());
    if let Some(group) = &entry.name {
        check_wildcard((group, &model), (vendor, at), sink);
    }
    let api_version =
        if versioned { api_version::resolve(param("api_version"), at, env, sink) } else { None };
    let organization = organization.or_else(|| organization_of(vendor, env));
    Some(Target {
        vendor,
        model,
        base,
        key,
        google,
        aws,
        api_version,
        organization,
        headers,
        responses,
        http2: false,
        tls: None,
    })
}

/// Resolves the base URL, and the credential at Vertex AI.
fn address(
    entry: &ModelEntry,
    (dialect, region, headers): (&Dialect, Option<&str>, &[(HeaderName, HeaderValue)]),
    (mock, common): (bool, &DeploymentDefaults<'_>),
    sink: &mut DiagnosticSink<'_>,
) -> (Option<Uri>, Option<Arc<GoogleCredential>>) {
    let is_vertex = matches!(dialect.vendor.provider, Provider::Vertex(_));
    if is_vertex && !mock {
        let (base, google) = vertex::resolve(entry, headers, (&common.vertex, common.env), sink).unzip();
        return (base, google.flatten());
    }
    if !is_vertex {
        warn_unused(entry, &keys::VERTEX, "vertex_ai/", sink);
    }
    (base::resolve(entry, (dialect, region), (mock, common.env), sink), None)
}

/// Resolves the vendor, and the name of the model there.
fn dialect_of(entry: &ModelEntry, sink: &mut DiagnosticSink<'_>) -> Option<Dialect> {
    let Some(model) = entry.params.get("model") else {
        let at = entry.params.entries().next().map_or(&entry.at, |(key, _)| &key.at);
        sink.error(at, "`litellm_params` has no `model`").help("write `model: PROVIDER/NAME`");
        return None;
    };
    let param = |name| entry.params.get(name);
    dialect::resolve(model, (param("custom_llm_provider"), param("api_base").or(param("base_url"))), sink)
}

/// Warns of a key that crosses a public network unencrypted.
fn warn_exposed(entry: &ModelEntry, (base, at): (&Uri, &Location), sink: &mut DiagnosticSink<'_>) {
    if base::is_exposed(base) {
        let at = entry.params.get("api_base").or(entry.params.get("base_url")).map_or(at, |node| &node.at);
        let host = base.host().unwrap_or_default();
        sink.warning(at, format!("the key is sent to {host} over plain http")).help("write `https://`");
    }
}

/// Warns of the settings of one provider at a deployment of another.
fn warn_unused(entry: &ModelEntry, names: &[&str], prefix: &str, sink: &mut DiagnosticSink<'_>) {
    let written = names.iter().filter_map(|name| entry.params.entry(name));
    for (key, _) in written.filter(|(_, node)| !node.is_null()) {
        let name = key.at.last();
        sink.harmless(&key.at, format!("`{name}` is not used: only `{prefix}` deployments have it"));
    }
}

/// Returns true if the `mode` of a deployment states that its server has OpenAI's Responses.
fn states_responses(entry: &ModelEntry, provider: Provider) -> bool {
    let mode = entry.info.get("mode").map(|node| &node.value);
    let has_route = matches!(provider, Provider::OpenAi | Provider::Versioned | Provider::Azure);
    has_route && matches!(mode, Some(Value::Text(mode)) if mode == "responses")
}

/// Returns true if there is a key, in the file or in the environment.
fn has_key(entry: &ModelEntry, dialect: &Dialect, env: &Environment<'_>) -> bool {
    entry.params.get("api_key").is_some_and(is_set) || env.first(dialect.vendor.key_variables).is_some()
}

/// Returns true for a text that stands in for a key where a server needs none.
fn is_placeholder(key: &str) -> bool {
    const WORDS: [&str; 9] = ["", "dummy", "empty", "fake", "fake-key", "none", "not-needed", "sk-1234", "x"];
    WORDS.contains(&&*key.to_lowercase())
}

/// Checks a `*` in the model's name, which is replaced by the part of the requested name that the group's `*`
/// matches.
fn check_wildcard(
    (group, model): (&str, &str),
    (vendor, at): (&Vendor, &Location),
    sink: &mut DiagnosticSink<'_>,
) {
    if !model.contains('*') {
        return;
    }
    if Pattern::parse(group).is_none() || Pattern::parse(model).is_none() {
        sink.error(at, "the `*` of this model has no match in `model_name`")
            .help("write one `*` here and one in `model_name`, or the name of one model");
    } else if matches!(vendor.provider, Provider::Azure | Provider::HuggingFace) {
        sink.error(at, "a `*` is not supported for a provider that has the model in its URL")
            .help("write one deployment for each model");
    }
}

/// Returns Azure's alternative credential, a Microsoft Entra ID token, if there is no key. Warns of a configured
/// token that is not used.
fn token(
    entry: &ModelEntry,
    dialect: &Dialect,
    env: &Environment<'_>,
    sink: &mut DiagnosticSink<'_>,
) -> Option<HeaderValue> {
    let key =
        entry.params.get("api_key").filter(|node| !matches!(node.value, Value::Unset) && !is_blank(node));
    let azure = dialect.vendor.provider == Provider::Azure;
    if !azure || key.is_some() || env.first(dialect.vendor.key_variables).is_some() {
        if let Some((key, _)) = entry.params.entry("azure_ad_token").filter(|(_, node)| !node.is_null()) {
            let why = if azure { "the key takes precedence" } else { "only `azure/` deployments use it" };
            sink.harmless(&key.at, format!("`azure_ad_token` is not used: {why}"));
        }
        return None;
    }
    let token = match entry.params.get("azure_ad_token") {
        Some(node) => read::text(node, sink)?,
        None => env.get("AZURE_AD_TOKEN")?,
    };
    match HeaderValue::try_from(format!("Bearer {}", token.trim())) {
        Ok(mut value) => {
            value.set_sensitive(true);
            Some(value)
        }
        Err(_) => {
            sink.error(&entry.at, "the `azure_ad_token` cannot be sent in a header");
            None
        }
    }
}

/// Returns the key. A missing key is an error if the file names an unset variable and the server is the vendor's public
/// one. Otherwise it is a warning, if the file or the vendor suggests that a key is needed.
fn key(
    entry: &ModelEntry,
    dialect: &Dialect,
    (own_server, env): (bool, &Environment<'_>),
    sink: &mut DiagnosticSink<'_>,
) -> Option<SecretString> {
    let written = entry.params.entry("api_key");
    let variables = dialect.vendor.key_variables;
    let name = variables.first().copied().unwrap_or_default();
    let at = written.map_or(&entry.at, |(key, _)| &key.at);
    match written.map(|(_, node)| node) {
        Some(node) if matches!(node.value, Value::Unset) && !own_server => {
            return read::invalid(node, "a string", sink);
        }
        Some(node) if is_set(node) && !matches!(node.value, Value::Unset) => return written_key(node, sink),
        _ => {}
    }
    if let Some(key) = env.first(variables) {
        if HeaderValue::from_str(&key).is_err() {
            sink.error(at, format!("the key in the environment ({name}) cannot be sent in a header"));
        }
        return Some(key.into());
    }
    if written.is_some() || !own_server {
        let group = keys::redact(entry.name.as_deref().unwrap_or_default());
        sink.warning(at, format!("no key for a deployment of `{group}`: it is called without a credential"))
            .help(match written.and_then(|(_, node)| node.variable.as_deref()) {
                Some(variable) => format!("`{variable}` is not set in the environment"),
                None => format!("set `{name}`, or write `api_key: os.environ/{name}`"),
            });
    }
    None
}

/// Returns true for a value. As in LiteLLM an empty text is none.
fn is_set(node: &Node) -> bool {
    !node.is_null() && !is_blank(node)
}

fn is_blank(node: &Node) -> bool {
    matches!(&node.value, Value::Text(t) if t.trim().is_empty())
}

fn written_key(node: &Node, sink: &mut DiagnosticSink<'_>) -> Option<SecretString> {
    let key = read::text(node, sink)?;
    if HeaderValue::from_str(&key).is_err() {
        sink.error(&node.at, "the key cannot be sent in a header")
            .help("it contains a line break or another control character");
    }
    if key.starts_with('<') && key.ends_with('>') {
        sink.warning(&node.at, "the key looks like a placeholder")
            .help("write the real key, or `os.environ/NAME`");
    }
    Some(key.into())
}

/// Returns the organization of the environment, which is that of OpenAI's own prefix.
fn organization_of(vendor: &Vendor, env: &Environment<'_>) -> Option<HeaderValue> {
    let name = env.get("OPENAI_ORGANIZATION").filter(|_| vendor.prefix == "openai")?;
    HeaderValue::from_str(&name).ok()
}

fn organization(node: &Node, sink: &mut DiagnosticSink<'_>) -> Option<HeaderValue> {
    let text = read::text(node, sink)?;
    HeaderValue::from_str(&text).ok().or_else(|| read::invalid(node, "a string that fits in a header", sink))
}

/// Returns `headers` and `extra_headers`; the latter take precedence.
fn headers(entry: &ModelEntry, sink: &mut DiagnosticSink<'_>) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers: Vec<(HeaderName, HeaderValue)> = Vec::new();
    for node in ["headers", "extra_headers"].into_iter().filter_map(|name| entry.params.get(name)) {
        for (key, value) in read::map(node, sink).unwrap_or_default() {
            let Some(name) = header_name(&key.name, &key.at, sink) else { continue };
            let Some(value) = header_value(value, sink) else { continue };
            headers.retain(|(other, _)| *other != name);
            headers.push((name, value));
        }
    }
    headers
}

fn header_name(text: &str, at: &Location, sink: &mut DiagnosticSink<'_>) -> Option<HeaderName> {
    match HeaderName::from_bytes(text.as_bytes()) {
        Ok(name) if is_framing(&name) => {
            sink.error(at, format!("the header `{name}` is set by the gateway")).help("remove the line");
            None
        }
        Ok(name) => Some(name),
        Err(_) => {
            sink.error(at, format!("`{}` is not a header name", at.last()))
                .help("use letters, digits and hyphens");
            None
        }
    }
}

fn header_value(node: &Node, sink: &mut DiagnosticSink<'_>) -> Option<HeaderValue> {
    let text = match &node.value {
        Value::Number(n) => n.to_string(),
        Value::Bool(b) => b.to_string(),
        _ => read::text(node, sink)?,
    };
    let mut value = HeaderValue::from_str(&text)
        .ok()
        .or_else(|| read::invalid(node, "a string that fits in a header", sink))?;
    value.set_sensitive(true);
    Some(value)
}
