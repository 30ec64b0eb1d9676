//! Resolves the fallback lists, and checks the names in them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::defaults;
use crate::config::{
    FallbackTarget, Fallbacks, Group, LeftOut, Pattern,
    error::DiagnosticSink,
    keys,
    raw::RawConfig,
    read,
    yaml::{Key, Location, Node, Value},
};

/// All names of the file: groups, aliases and ids of deployments.
pub(super) struct KnownNames {
    names: BTreeMap<Arc<str>, NameKind>,
    patterns: Vec<(Pattern, NameKind)>,
    /// True if the file names a group, which may be left out.
    any_group: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum NameKind {
    Group,
    Alias,
    Deployment,
    /// A group or a deployment that is left out.
    Unserved,
}

impl KnownNames {
    pub(super) fn new(groups: &[Group], left_out: &[LeftOut]) -> Self {
        let mut names = BTreeMap::new();
        for entry in left_out {
            let unserved = entry.group.iter().chain([&entry.id]);
            names.extend(unserved.map(|name| (name.clone(), NameKind::Unserved)));
        }
        let ids = groups.iter().flat_map(|group| &group.deployments).map(|d| d.id.clone());
        names.extend(ids.map(|id| (id, NameKind::Deployment)));
        // A group takes precedence over a deployment with this id.
        names.extend(groups.iter().map(|group| (group.name.clone(), NameKind::Group)));
        let patterns = names.iter().filter_map(|(name, kind)| Some((Pattern::parse(name)?, *kind))).collect();
        let any_group = !groups.is_empty() || left_out.iter().any(|entry| entry.group.is_some());
        Self { names, patterns, any_group }
    }

    pub(super) fn add_alias(&mut self, name: &Arc<str>) {
        let kind = self.names.entry(name.clone()).or_insert(NameKind::Alias);
        if *kind == NameKind::Unserved {
            *kind = NameKind::Alias;
        }
        self.patterns.extend(Pattern::parse(name).map(|pattern| (pattern, NameKind::Alias)));
    }

    pub(super) fn is_group(&self, name: &str) -> bool {
        self.names.get(name) == Some(&NameKind::Group)
    }

    /// Returns true if the name, or a name that the pattern matches, is in the file, or may be one of a pattern's.
    pub(super) fn is_covered(&self, name: &str) -> bool {
        let covers = |pattern: Pattern| self.names.keys().any(|known| pattern.capture(known).is_some());
        self.names.contains_key(name)
            || self.matches(name, |_| true)
            || Pattern::parse(name).is_some_and(covers)
    }

    /// Returns the name of the group at `node`.
    pub(super) fn group(&self, node: &Node, sink: &mut DiagnosticSink<'_>) -> Option<Arc<str>> {
        let name = read::text(node, sink)?;
        if Pattern::parse(&name).is_some() {
            return read::invalid(node, "the name of one group, not a pattern", sink);
        }
        self.check((&name, |kind| kind == NameKind::Group), &node.at, sink)
    }

    /// Returns the name if a group, an alias, a deployment or a pattern has it.
    pub(super) fn known(&self, name: &str, at: &Location, sink: &mut DiagnosticSink<'_>) -> Option<Arc<str>> {
        let served = |kind| kind != NameKind::Unserved;
        if !self.names.contains_key(name) && self.matches(name, served) {
            return Some(name.into());
        }
        self.check((name, served), at, sink)
    }

    /// Returns true if a pattern of such a kind matches the name.
    fn matches(&self, name: &str, kind: fn(NameKind) -> bool) -> bool {
        self.patterns.iter().any(|(pattern, of)| kind(*of) && pattern.capture(name).is_some())
    }

    fn check(
        &self,
        (name, allow): (&str, fn(NameKind) -> bool),
        at: &Location,
        sink: &mut DiagnosticSink<'_>,
    ) -> Option<Arc<str>> {
        if let Some((known, _)) = self.names.get_key_value(name).filter(|(_, kind)| allow(**kind)) {
            return Some(known.clone());
        }
        let shown = keys::shown_key(name, keys::Visibility::All);
        let unserved = |kind| kind == NameKind::Unserved;
        if self.names.get(name).map_or_else(|| self.matches(name, unserved), |kind| unserved(*kind)) {
            let message = format!("`{shown}` is skipped here: none of its deployments can be served");
            sink.warning(at, message);
            return None;
        }
        if !self.any_group {
            // No group has a name; the reason is already in the sink.
            return None;
        }
        let advice = sink.suggest(|| Some(self.advice(name, allow)));
        sink.warning(at, format!("there is no group `{shown}`: it is skipped here")).help = advice;
        None
    }

    /// Returns advice for a name that is not known.
    fn advice(&self, name: &str, allow: fn(NameKind) -> bool) -> String {
        // Ids are not suggested: most are hashes.
        let names = self
            .names
            .iter()
            .filter(|(_, kind)| matches!(kind, NameKind::Group | NameKind::Alias) && allow(**kind));
        let names: Vec<_> = names.map(|(name, _)| &**name).collect();
        match keys::nearest(name, names.iter().copied(), 4) {
            Some(near) => format!("did you mean `{near}`?"),
            None if names.is_empty() => "no group can be served".to_owned(),
            None => format!("the groups are {}", first_few(&names)),
        }
    }
}

fn first_few(names: &[&str]) -> String {
    let few: Vec<_> = names.iter().take(8).map(|name| format!("`{}`", keys::redact(name))).collect();
    let more = if names.len() > few.len() { ", ..." } else { "" };
    format!("{}{more}", few.join(", "))
}

/// Resolves `fallbacks`, with `default_fallbacks` added to the `*` entry.
pub(super) fn ordinary(raw: &RawConfig<'_>, names: &KnownNames, sink: &mut DiagnosticSink<'_>) -> Fallbacks {
    let mut fallbacks = by_key("fallbacks", raw, names, sink).unwrap_or_default();
    add_of_deployments(&mut fallbacks, raw, names, sink);
    let more = raw.read("default_fallbacks", sink, |node, sink| Some(targets(node, names, sink)));
    for target in more.unwrap_or_default() {
        if !fallbacks.default.contains(&target) {
            fallbacks.default.push(target);
        }
    }
    fallbacks
}

/// Adds the `fallbacks` in the parameters of deployments, for each group that has no list in the settings.
fn add_of_deployments(
    fallbacks: &mut Fallbacks,
    raw: &RawConfig<'_>,
    names: &KnownNames,
    sink: &mut DiagnosticSink<'_>,
) {
    let written: BTreeSet<_> = fallbacks.by_group.iter().map(|(group, _)| group.clone()).collect();
    let mut lists = BTreeMap::<Arc<str>, Vec<FallbackTarget>>::new();
    for entry in &raw.entries {
        let (Some(name), Some(node)) = (&entry.name, entry.params.get("fallbacks")) else { continue };
        if names.is_group(name) && !written.contains(name) {
            let list = lists.entry(name.clone()).or_default();
            for target in targets(node, names, sink) {
                if !list.contains(&target) {
                    list.push(target);
                }
            }
        }
    }
    fallbacks.by_group.extend(lists);
}

/// Resolves the list at the key `name`: that of `router_settings` if it has an entry, else that of
/// `litellm_settings`. The two are never merged.
pub(super) fn by_key(
    name: &str,
    raw: &RawConfig<'_>,
    names: &KnownNames,
    sink: &mut DiagnosticSink<'_>,
) -> Option<Fallbacks> {
    let mut read = |node: Option<&Node>| node.map(|node| list(node, names, sink));
    let (router, litellm) = (read(raw.router.get(name)), read(raw.litellm.get(name)));
    let has_lists = |list: &Fallbacks| !list.by_group.is_empty() || !list.default.is_empty();
    match router {
        Some(list) if has_lists(&list) || litellm.is_none() => Some(list),
        _ => litellm,
    }
}

fn list(node: &Node, names: &KnownNames, sink: &mut DiagnosticSink<'_>) -> Fallbacks {
    let mut fallbacks = Fallbacks::default();
    for item in read::list(node, sink).unwrap_or_default() {
        let Value::Map(entries) = &item.value else {
            let found = item.describe();
            sink.error(
                &item.at,
                format!("a fallback must be a map from a group to a list of groups, found {found}"),
            )
            .help("write `- GROUP: [OTHER]`, or `default_fallbacks` for every group");
            continue;
        };
        let is_list = |node: &Node| matches!(node.value, Value::List(_));
        if entries.iter().any(|(key, node)| key.name == "model" && !is_list(node)) {
            sink.error(&item.at, "a fallback is a map from a group to a list of groups")
                .help("write `- GROUP: [OTHER]`; `model` is a key of a target in such a list");
            continue;
        }
        entries.iter().for_each(|entry| add(&mut fallbacks, entry, names, sink));
    }
    fallbacks
}

fn add(
    fallbacks: &mut Fallbacks,
    (key, node): &(Key, Node),
    names: &KnownNames,
    sink: &mut DiagnosticSink<'_>,
) {
    let targets = targets(node, names, sink);
    if key.name == "*" {
        fallbacks.default.extend(targets);
        return;
    }
    let Some(group) = names.known(&key.name, &key.at, sink) else { return };
    if fallbacks.by_group.iter().any(|(other, _)| *other == group) {
        let name = keys::redact(&group);
        sink.warning(&key.at, format!("`{name}` already has a list; this one is ignored"))
            .help("merge the two lists");
    } else {
        fallbacks.by_group.push((group, targets));
    }
}

fn targets(node: &Node, names: &KnownNames, sink: &mut DiagnosticSink<'_>) -> Vec<FallbackTarget> {
    let items = read::list(node, sink).unwrap_or_default();
    items.iter().filter_map(|item| target(item, names, sink)).collect()
}

fn target(node: &Node, names: &KnownNames, sink: &mut DiagnosticSink<'_>) -> Option<FallbackTarget> {
    let Value::Map(entries) = &node.value else {
        let model = names.known(&read::text(node, sink)?, &node.at, sink)?;
        return Some(FallbackTarget { model, parameters: Vec::new() });
    };
    let Some((_, model)) = entries.iter().find(|(key, _)| key.name == "model") else {
        sink.error(&node.at, "the fallback has no `model`").help("write `{model: GROUP, temperature: 0}`");
        return None;
    };
    let mut parameters = Vec::new();
    for (key, value) in entries.iter().filter(|(key, _)| key.name != "model") {
        let name = &*key.name;
        let setting =
            keys::PARAMS.contains(&name) || keys::SETTINGS.contains(&name) || keys::own_key(name).is_some();
        let setting = setting || keys::is_litellm_param(name) || defaults::resembles_secret(name);
        if setting && !keys::is_openai(name) {
            let name = key.at.last();
            sink.warning(&key.at, format!("`{name}` cannot be changed by a fallback; it is ignored"));
        } else {
            parameters.extend(defaults::parameter(key, value, sink));
        }
    }
    let model = names.known(&read::text(model, sink)?, &model.at, sink)?;
    Some(FallbackTarget { model, parameters })
}
