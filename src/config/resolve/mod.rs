//! Resolves the sections into a [`Config`]: applies defaults, checks names, reads secrets.
//!
//! Each part reads its section and reports its own errors; no part stops another, so that all errors are found at
//! once.

mod budgets;
mod callbacks;
mod client_keys;
mod defaults;
mod deployment;
mod fallbacks;
mod id;
mod logs;
mod model_facts;
mod parameters;
mod policies;
mod replicas;
mod settings;
mod tags;
mod target;
mod tls;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    Alias, ClientKey, Config, Group, IdKey, LeftOut, Unserved,
    error::DiagnosticSink,
    keys,
    raw::{MASTER_KEY, ModelEntry, RawConfig},
    read,
    yaml::{Location, Node, Value},
};
use fallbacks::KnownNames;

/// Resolves the sections. The result may be used only if the sink has no error.
pub(super) fn resolve(mut raw: RawConfig<'_>, sink: &mut DiagnosticSink<'_>) -> Config {
    settings::warn_unknown(&raw, sink);
    let ids = id::assign(&mut raw.entries, sink);
    let limit_keys = id::limit_keys(&raw.entries, &ids);
    add_default_params(&mut raw, sink);
    let (mut groups, left_out) = deployments(&raw, ids.into_iter().zip(limit_keys), sink);
    tags::resolve(&raw, &mut groups, sink);
    warn_mixed_streams(&raw, &groups, sink);
    let mut names = KnownNames::new(&groups, &left_out);
    let mut unserved = unserved_groups(&groups, &left_out);
    let aliases = aliases(&raw, &mut names, &mut unserved, sink);
    let (mut settings, master_key) = (settings::resolve(&raw, &names, sink), master_key(&raw, sink));
    settings.id_key = IdKey::of(master_key.as_ref());
    let keys = client_keys::resolve(&raw, &names, sink);
    if master_key.is_none() {
        client_keys::check_without_master_key(&raw, &keys, sink);
    }
    let status_key = status_key(&raw, master_key.is_none() && keys.is_empty(), sink);
    let is_metered = |key: &ClientKey| key.tpm_limit.is_some() || key.budget.is_some();
    settings.budget = budgets::of_gateway(&raw, sink);
    settings.needs_usage = settings.response_cost || settings.budget.is_some() || keys.iter().any(is_metered);
    settings.has_gemini =
        groups.iter().flat_map(|group| &group.deployments).any(|d| d.target.vendor.provider.is_gemini());
    settings.replicas = replicas::resolve(&raw, sink);
    settings::accept_unsafe(&raw, sink);
    Config {
        settings,
        master_key,
        status_key,
        keys,
        groups,
        left_out,
        unserved,
        aliases,
        warnings: Vec::new(),
    }
}

/// Adds `default_litellm_params` to the parameters of each deployment, whose own take precedence.
fn add_default_params(raw: &mut RawConfig<'_>, sink: &mut DiagnosticSink<'_>) {
    let name = "default_litellm_params";
    let Some(node) = raw.router.get(name).or_else(|| raw.litellm.get(name)).cloned() else { return };
    let params = read::map(&node, sink).unwrap_or_default();
    for entry in raw.entries.iter_mut().filter(|entry| entry.params.is_map()) {
        let params = params.iter().filter(|(key, _)| key.name != "model");
        params.for_each(|param| entry.params.add_missing(param));
    }
}

/// Resolves the entries. An entry with an error is left out.
fn deployments(
    raw: &RawConfig<'_>,
    ids: impl Iterator<Item = (Arc<str>, Arc<str>)>,
    sink: &mut DiagnosticSink<'_>,
) -> (Vec<Group>, Vec<LeftOut>) {
    let common = deployment::DeploymentDefaults::read(raw, sink);
    let (mut groups, mut left_out, mut indices) = (Vec::<Group>::new(), Vec::new(), BTreeMap::new());
    for (entry, (id, limit_key)) in raw.entries.iter().zip(ids) {
        let ids = (id.clone(), limit_key);
        let (deployment, error) = sink.deployment(|sink| deployment::resolve(entry, ids, &common, sink));
        if let Some(reason) = entry.error.clone().or(error) {
            let file = (entry.at.file > 0).then(|| sink.name(entry.at.file));
            left_out.push(LeftOut { group: entry.name.clone(), id, file, line: entry.at.line, reason });
            continue;
        }
        let Some(deployment) = deployment else { continue };
        let index = *indices.entry(&entry.name).or_insert(groups.len());
        match groups.get_mut(index) {
            Some(group) => group.deployments.push(deployment),
            None => groups.push(Group {
                name: deployment.group.clone(),
                deployments: vec![deployment],
                tags: None,
            }),
        }
    }
    (groups, left_out)
}

/// Warns of `stream: true` at a deployment whose group has others without it: a request is streamed or not before a
/// deployment is chosen.
fn warn_mixed_streams(raw: &RawConfig<'_>, groups: &[Group], sink: &mut DiagnosticSink<'_>) {
    let mixed = |group: &&Group| group.deployments.iter().any(|d| d.streams) && !group.streams();
    for group in groups.iter().filter(mixed) {
        let of_group = raw.entries.iter().filter(|entry| entry.name.as_ref() == Some(&group.name));
        let streams = |entry: &&ModelEntry| {
            entry.params.get("stream").is_some_and(|node| matches!(node.value, Value::Bool(true)))
        };
        let first = of_group.into_iter().find(streams).and_then(|entry| entry.params.entry("stream"));
        if let Some((key, _)) = first {
            sink.warning(&key.at, "`stream` has no effect: the group has deployments without it")
                .help("set it for every deployment of the group, or for none");
        }
    }
}

/// Returns the groups of which all deployments are left out, each with the reason of the first. Without any entry, all
/// names are unserved.
fn unserved_groups(groups: &[Group], left_out: &[LeftOut]) -> Vec<Unserved> {
    if groups.is_empty() && left_out.is_empty() {
        return vec![Unserved { name: "*".into(), reason: "the configuration has no `model_list`".into() }];
    }
    let mut seen: BTreeSet<_> = groups.iter().map(|group| &group.name).collect();
    let named = left_out.iter().filter_map(|entry| Some((entry.group.as_ref()?, &entry.reason)));
    let unserved = named.filter(|(name, _)| seen.insert(*name));
    unserved.map(|(name, reason)| Unserved { name: name.clone(), reason: reason.clone() }).collect()
}

fn aliases(
    raw: &RawConfig<'_>,
    names: &mut KnownNames,
    unserved: &mut Vec<Unserved>,
    sink: &mut DiagnosticSink<'_>,
) -> Vec<Alias> {
    let section = raw.router.get("model_group_alias").or_else(|| raw.litellm.get("model_group_alias"));
    let mut aliases = Vec::new();
    for (key, node) in section.and_then(|node| read::map(node, sink)).unwrap_or_default() {
        let name: Arc<str> = key.name.as_str().into();
        let Some((group, hidden)) = alias_target(node, names, sink) else {
            unserved.push(Unserved { name, reason: "its group is not served".into() });
            continue;
        };
        if names.is_group(&name) {
            let name = key.at.last();
            sink.harmless(&key.at, format!("`{name}` is a group and an alias: the alias takes precedence"));
        }
        aliases.push(Alias { name, group, hidden });
    }
    aliases.iter().for_each(|alias| names.add_alias(&alias.name));
    aliases
}

fn alias_target(node: &Node, names: &KnownNames, sink: &mut DiagnosticSink<'_>) -> Option<(Arc<str>, bool)> {
    let entries = match &node.value {
        Value::Map(entries) => entries,
        Value::List(_) => {
            let message = format!("`{}` is an alias of several groups: it is left out", node.at.last());
            sink.warning(&node.at, message)
                .help("an alias leads to one group: write the deployments below one `model_name`");
            return None;
        }
        _ => return Some((names.group(node, sink)?, false)),
    };
    let hidden = entries.iter().find(|(key, _)| key.name == "hidden").filter(|(_, node)| !node.is_null());
    let hidden = hidden.is_some_and(|(_, node)| read::boolean(node, sink).unwrap_or_default());
    match entries.iter().find(|(key, _)| key.name == "model") {
        Some((_, target)) => Some((names.group(target, sink)?, hidden)),
        None => {
            sink.error(&node.at, "the alias has no `model`").help("write `{model: GROUP, hidden: true}`");
            None
        }
    }
}

/// Returns the configured key, else LiteLLM's environment variable. An empty key is an error in either place: the
/// operator intended to require a key. `null` is a decision for none.
fn master_key(raw: &RawConfig<'_>, sink: &mut DiagnosticSink<'_>) -> Option<secrecy::SecretString> {
    let Some((key, node)) = raw.general.entry("master_key") else { return environment_key(raw, sink) };
    if node.is_null() && sink.written(&node.at).is_empty() {
        sink.error(&key.at, "`master_key` is empty")
            .help("write the key, or `null` to let every client call");
        return None;
    }
    if node.is_null() {
        let variable = environment_key(raw, sink);
        if variable.is_none() && raw.general.get("keys").is_none() {
            sink.harmless(&node.at, "`master_key` is null: every client may call");
        }
        return variable;
    }
    let text = read::text(node, sink)?;
    warn_well_known(&text, &node.at, "`master_key`", sink);
    Some(text.into())
}

/// Returns the key of the environment.
fn environment_key(raw: &RawConfig<'_>, sink: &mut DiagnosticSink<'_>) -> Option<secrecy::SecretString> {
    let key = raw.env.get(MASTER_KEY);
    match key.as_deref() {
        Some(text) => warn_well_known(text, &raw.at, "`LITELLM_MASTER_KEY`", sink),
        None if raw.env.is_blank(MASTER_KEY) => {
            sink.error(&raw.at, "the environment variable `LITELLM_MASTER_KEY` is empty")
                .help("set it to the key, or unset it to let every client call");
        }
        None if raw.general.get("keys").is_none() => check_other_auth(raw, sink),
        None => {}
    }
    key.map(Into::into)
}

/// Returns the read-only key. `is_open` is true if every client may call.
fn status_key(
    raw: &RawConfig<'_>,
    is_open: bool,
    sink: &mut DiagnosticSink<'_>,
) -> Option<secrecy::SecretString> {
    let (key, node) = raw.general.entry("status_key").filter(|(_, node)| !node.is_null())?;
    let text = read::text(node, sink)?;
    if is_open {
        sink.warning(&key.at, "`status_key` protects nothing: without a `master_key` every client may read")
            .help("set a `master_key`, or remove the line");
    }
    warn_well_known(&text, &node.at, "`status_key`", sink);
    Some(text.into())
}

fn warn_well_known(key: &str, at: &Location, what: &str, sink: &mut DiagnosticSink<'_>) {
    if key == "sk-1234" {
        sink.warning(at, format!("{what} is the well-known key of LiteLLM's examples"))
            .help("choose another key");
    }
}

/// Reports an authentication method of LiteLLM's that is not supported, if there is no master key: without it every
/// client could call.
fn check_other_auth(raw: &RawConfig<'_>, sink: &mut DiagnosticSink<'_>) {
    for (key, node) in raw.general.entries() {
        let name = key.at.last();
        let closed = !node.is_null() && !matches!(node.value, Value::Unset | Value::Bool(false));
        if closed && keys::OTHER_AUTH.contains(&name) {
            sink.error(&key.at, format!("`{name}` is not supported, and without it every client may call"))
                .help("set a `master_key`, or remove the line to let every client call");
        }
    }
}
