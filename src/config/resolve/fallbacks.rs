//! Resolves the fallback lists, and checks the names in them.

use std::{collections::BTreeMap, sync::Arc};

use super::{defaults, settings::Both};
use crate::config::{
    Alternative, Fallbacks, Pattern,
    error::Sink,
    keys, read,
    yaml::{At, Key, Node, Value},
};

/// All names that can be called: groups, aliases and ids of deployments.
pub(super) struct Names(BTreeMap<Arc<str>, Kind>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Group,
    Alias,
    Deployment,
}

impl Names {
    pub(super) fn new<'n>(groups: impl Iterator<Item = &'n Arc<str>>, ids: &[Arc<str>]) -> Self {
        let ids = ids.iter().map(|id| (id.clone(), Kind::Deployment));
        // A group takes precedence over a deployment whose id is the same.
        Self(ids.chain(groups.map(|name| (name.clone(), Kind::Group))).collect())
    }

    pub(super) fn add_alias(&mut self, name: &Arc<str>) {
        self.0.entry(name.clone()).or_insert(Kind::Alias);
    }

    pub(super) fn is_group(&self, name: &str) -> bool {
        self.0.get(name) == Some(&Kind::Group)
    }

    /// Returns the name of the group at `node`.
    pub(super) fn group(&self, node: &Node, sink: &mut Sink<'_>) -> Option<Arc<str>> {
        let name = read::text(node, sink)?;
        if Pattern::of(&name).is_some() {
            return read::wrong(node, "the name of one group, not a pattern", sink);
        }
        self.check((&name, |kind| kind == Kind::Group), &node.at, sink)
    }

    /// Returns the name if a group, an alias, a deployment or a pattern has it.
    pub(super) fn known(&self, name: &str, at: &At, sink: &mut Sink<'_>) -> Option<Arc<str>> {
        let mut patterns = self.0.keys().filter_map(|name| Pattern::of(name));
        if !self.0.contains_key(name) && patterns.any(|pattern| pattern.capture(name).is_some()) {
            return Some(name.into());
        }
        self.check((name, |_| true), at, sink)
    }

    fn check(
        &self,
        (name, allow): (&str, fn(Kind) -> bool),
        at: &At,
        sink: &mut Sink<'_>,
    ) -> Option<Arc<str>> {
        if let Some((known, _)) = self.0.get_key_value(name).filter(|(_, kind)| allow(**kind)) {
            return Some(known.clone());
        }
        if self.0.is_empty() {
            // No group is valid; the reason is already in the sink.
            return None;
        }
        let entry = sink.error(at, format!("there is no group `{}`", keys::safe(name)));
        // Ids are not suggested: most are hashes.
        let names = self.0.iter().filter(|(_, kind)| **kind != Kind::Deployment && allow(**kind));
        let names: Vec<_> = names.map(|(name, _)| &**name).collect();
        match keys::nearest(name, names.iter().copied(), 4) {
            Some(near) => entry.help(format!("did you mean `{near}`?")),
            None => entry.help(format!("the groups are {}", first_few(&names))),
        }
        None
    }
}

fn first_few(names: &[&str]) -> String {
    let few: Vec<_> = names.iter().take(8).map(|name| format!("`{}`", keys::safe(name))).collect();
    let more = if names.len() > few.len() { ", ..." } else { "" };
    format!("{}{more}", few.join(", "))
}

/// Resolves `fallbacks`, with `default_fallbacks` added to the `*` entry.
pub(super) fn general(both: &Both<'_>, names: &Names, sink: &mut Sink<'_>) -> Fallbacks {
    let mut fallbacks = special("fallbacks", both, names, sink).unwrap_or_default();
    let more = both.read("default_fallbacks", sink, |node, sink| Some(alternatives(node, names, sink)));
    for alternative in more.unwrap_or_default() {
        if !fallbacks.default.contains(&alternative) {
            fallbacks.default.push(alternative);
        }
    }
    fallbacks
}

/// Resolves the list at the key `name`: that of `router_settings` if it has an entry, else that of
/// `litellm_settings`. The two are never merged.
pub(super) fn special(name: &str, both: &Both<'_>, names: &Names, sink: &mut Sink<'_>) -> Option<Fallbacks> {
    let mut read = |node: Option<&Node>| node.map(|node| list(node, names, sink));
    let (router, litellm) = (read(both.router.get(name)), read(both.litellm.get(name)));
    let says = |list: &Fallbacks| !list.by_group.is_empty() || !list.default.is_empty();
    match router {
        Some(list) if says(&list) || litellm.is_none() => Some(list),
        _ => litellm,
    }
}

fn list(node: &Node, names: &Names, sink: &mut Sink<'_>) -> Fallbacks {
    let mut fallbacks = Fallbacks::default();
    for item in read::list(node, sink).unwrap_or_default() {
        let Value::Map(entries) = &item.value else {
            let found = item.found();
            sink.error(
                &item.at,
                format!("a fallback must be a map from a group to a list of groups, found {found}"),
            )
            .help("write `- GROUP: [OTHER]`, or `default_fallbacks` for every group");
            continue;
        };
        entries.iter().for_each(|entry| add(&mut fallbacks, entry, names, sink));
    }
    fallbacks
}

fn add(fallbacks: &mut Fallbacks, (key, node): &(Key, Node), names: &Names, sink: &mut Sink<'_>) {
    let alternatives = alternatives(node, names, sink);
    if key.name == "*" {
        fallbacks.default.extend(alternatives);
        return;
    }
    let Some(group) = names.known(&key.name, &key.at, sink) else { return };
    if fallbacks.by_group.iter().any(|(other, _)| *other == group) {
        let name = keys::safe(&group);
        sink.warning(&key.at, format!("`{name}` already has a list; this one is ignored"))
            .help("merge the two lists");
    } else {
        fallbacks.by_group.push((group, alternatives));
    }
}

fn alternatives(node: &Node, names: &Names, sink: &mut Sink<'_>) -> Vec<Alternative> {
    let items = read::list(node, sink).unwrap_or_default();
    items.iter().filter_map(|item| alternative(item, names, sink)).collect()
}

fn alternative(node: &Node, names: &Names, sink: &mut Sink<'_>) -> Option<Alternative> {
    let Value::Map(entries) = &node.value else {
        let model = names.known(&read::text(node, sink)?, &node.at, sink)?;
        return Some(Alternative { model, parameters: Vec::new() });
    };
    let Some((_, model)) = entries.iter().find(|(key, _)| key.name == "model") else {
        sink.error(&node.at, "the fallback has no `model`").help("write `{model: GROUP, temperature: 0}`");
        return None;
    };
    let mut parameters = Vec::new();
    for (key, value) in entries.iter().filter(|(key, _)| key.name != "model") {
        let name = &*key.name;
        let setting =
            keys::PARAMS.contains(&name) || keys::SETTINGS.contains(&name) || keys::ours(name).is_some();
        let setting = setting || keys::is_litellm_param(name) || defaults::is_nearly_secret(name);
        if setting && !keys::is_openai(name) {
            let name = keys::safe(name);
            sink.warning(&key.at, format!("`{name}` cannot be changed by a fallback; it is ignored"));
        } else {
            parameters.extend(defaults::parameter(key, value, sink));
        }
    }
    let model = names.known(&read::text(model, sink)?, &model.at, sink)?;
    Some(Alternative { model, parameters })
}
