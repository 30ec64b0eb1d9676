//! The sections of the file, with environment variables expanded, before defaults and name checks.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Grade,
    credentials::Credentials,
    error::DiagnosticSink,
    ignored, include, key_file, keys,
    model_table::ModelTable,
    organizations,
    read::{self, Section},
    yaml::{Key, Location, Node, Value},
};

/// LiteLLM's variable for the key that clients present.
pub(super) const MASTER_KEY: &str = "LITELLM_MASTER_KEY";

/// The sections of the file.
#[derive(Debug)]
pub(super) struct RawConfig<'e> {
    /// The start of the file: the location of settings that come from the environment alone.
    pub(super) at: Location,
    pub(super) entries: Vec<ModelEntry>,
    pub(super) litellm: Section,
    pub(super) router: Section,
    pub(super) general: Section,
    pub(super) models: ModelTable,
    pub(super) env: Environment<'e>,
}

impl RawConfig<'_> {
    /// Reads a setting; `router_settings` takes precedence. Both sections are read, so that errors in either are
    /// reported.
    pub(super) fn read<T>(
        &self,
        name: &str,
        sink: &mut DiagnosticSink<'_>,
        read: impl Fn(&Node, &mut DiagnosticSink<'_>) -> Option<T>,
    ) -> Option<T> {
        let router = self.router.get(name).and_then(|node| read(node, sink));
        let litellm = self.litellm.get(name).and_then(|node| read(node, sink));
        router.or(litellm)
    }
}

/// An entry of `model_list`.
#[derive(Clone, Debug)]
pub(super) struct ModelEntry {
    pub(super) at: Location,
    /// The name of the group, unless it is missing or invalid.
    pub(super) name: Option<Arc<str>>,
    pub(super) top: Section,
    pub(super) params: Section,
    pub(super) info: Section,
    /// The first error of the entry. It leaves the deployment out.
    pub(super) error: Option<Arc<str>>,
}

/// The environment variables for `os.environ/NAME` and for the defaults of the providers.
pub(super) struct Environment<'e> {
    section: BTreeMap<String, String>,
    outer: &'e dyn Fn(&str) -> Option<String>,
}

impl Environment<'_> {
    /// Returns the variable, from `environment_variables` first, because LiteLLM writes those over the environment of
    /// the process. Surrounding blanks are removed (a key that was read out of a file ends in a line break), and an
    /// empty variable counts as unset.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        let value = self.section.get(name).cloned().or_else(|| (self.outer)(name))?;
        Some(value.trim().to_owned()).filter(|v| !v.is_empty())
    }

    /// Returns true if the process has the variable without a value: a secret that was not mounted, most likely.
    pub(super) fn is_blank(&self, name: &str) -> bool {
        !self.section.contains_key(name) && (self.outer)(name).is_some_and(|value| value.trim().is_empty())
    }

    /// Returns the first of the variables that is set.
    pub(super) fn first(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| self.get(name))
    }

    /// Replaces each `os.environ/NAME` in `node` by the value of the variable.
    pub(super) fn expand(&self, node: &mut Node) {
        match &mut node.value {
            Value::List(items) => items.iter_mut().for_each(|item| self.expand(item)),
            Value::Map(entries) => entries.iter_mut().for_each(|(_, item)| self.expand(item)),
            Value::Text(text) => {
                let Some(name) = text.strip_prefix("os.environ/").map(Arc::from) else { return };
                node.value = match self.get(&name) {
                    None => Value::Unset,
                    Some(v) if v.eq_ignore_ascii_case("true") => Value::Bool(true),
                    Some(v) if v.eq_ignore_ascii_case("false") => Value::Bool(false),
                    Some(v) => Value::Text(v),
                };
                node.variable = Some(name);
            }
            Value::Null | Value::Unset | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

impl std::fmt::Debug for Environment<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Environment").field("names", &self.section.keys()).finish_non_exhaustive()
    }
}

/// Splits the tree into sections.
pub(super) fn read<'e>(
    root: Node,
    outer: &'e dyn Fn(&str) -> Option<String>,
    sink: &mut DiagnosticSink<'_>,
) -> Option<RawConfig<'e>> {
    let at = root.at.clone();
    if root.is_null() {
        sink.error(&at, "the configuration is empty")
            .help("it needs a `model_list`: see examples/quickstart.yaml");
        return None;
    }
    let root = Section::of(root, "the configuration", sink);
    if !root.is_map() {
        return None;
    }
    let mut root = include::merge(root, sink);
    let mut env = Environment { section: BTreeMap::new(), outer };
    env.section = variables(&mut root, &env, sink);
    root.values_mut().for_each(|node| env.expand(node));
    root.entries().for_each(|(key, node)| {
        warn_unknown_section((key, node), sink);
        warn_shell_variables(node, sink);
    });
    let mut general = root.take_section("general_settings", sink);
    key_file::load(&mut general, &env, sink);
    let credentials = Credentials::take(&mut root, sink);
    Some(RawConfig {
        entries: entries(&mut root, (&at, &credentials), sink),
        litellm: root.take_section("litellm_settings", sink),
        router: root.take_section("router_settings", sink),
        models: ModelTable::load(&general, sink),
        general,
        env,
        at,
    })
}

fn variables(
    root: &mut Section,
    outer: &Environment<'_>,
    sink: &mut DiagnosticSink<'_>,
) -> BTreeMap<String, String> {
    let mut section = root.take_section("environment_variables", sink);
    section.values_mut().for_each(|node| outer.expand(node));
    let text = |node: &Node, sink: &mut DiagnosticSink<'_>| match &node.value {
        Value::Bool(b) => Some(b.to_string()),
        Value::Number(n) => Some(n.to_string()),
        _ => read::text(node, sink),
    };
    // A master key without a value is an error, as in `general_settings`.
    let present = section.entries().filter(|(key, node)| !node.is_null() || key.name == MASTER_KEY);
    present.filter_map(|(key, node)| Some((key.name.clone(), text(node, sink)?))).collect()
}

/// Warns of each `${NAME}`, which is not expanded.
fn warn_shell_variables(node: &Node, sink: &mut DiagnosticSink<'_>) {
    match &node.value {
        Value::List(items) => items.iter().for_each(|item| warn_shell_variables(item, sink)),
        Value::Map(entries) => entries.iter().for_each(|(_, item)| warn_shell_variables(item, sink)),
        Value::Text(text) if node.variable.is_none() => {
            // An address with one is an error.
            let is_address = keys::ADDRESSES.contains(&node.at.last());
            if let Some(name) = shell_variable(text).filter(|_| !is_address) {
                // Everybody can guess a key that is the name of a variable.
                let master = &*node.at.path == "general_settings.master_key";
                let grade = if master { Grade::Unsafe } else { Grade::Lost };
                let message = format!("`${{{name}}}` is not expanded: the text is used as it is");
                sink.graded(grade, &node.at, message)
                    .help(format!("write `os.environ/{name}` as the whole value"));
            }
        }
        Value::Text(_) | Value::Null | Value::Unset | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Returns the name in the first `${NAME}` of a text.
pub(super) fn shell_variable(text: &str) -> Option<&str> {
    let (name, _) = text.split_once("${")?.1.split_once('}')?;
    let is_name = |b: u8| b == b'_' || b.is_ascii_uppercase() || b.is_ascii_digit();
    (!name.is_empty() && name.bytes().all(is_name)).then(|| keys::redact(name))
}

fn warn_unknown_section((key, node): (&Key, &Node), sink: &mut DiagnosticSink<'_>) {
    let name = key.at.last();
    if let Some(grade) = keys::section_grade(name) {
        ignored::warn((key, node), grade, sink);
    } else if !keys::SECTIONS.contains(&name) && !name.starts_with("x-") {
        // Files define YAML anchors below keys that begin with `x-`, by convention.
        let near = sink.suggest(|| keys::nearest(name, keys::SECTIONS.iter().copied(), 4));
        let grade = if near.is_some() { Grade::Lost } else { Grade::Harmless };
        let help = near.map(|near| format!("did you mean `{near}`?"));
        sink.graded(grade, &key.at, format!("unknown section `{name}`")).help = help;
    }
}

fn entries(
    root: &mut Section,
    (at, credentials): (&Location, &Credentials),
    sink: &mut DiagnosticSink<'_>,
) -> Vec<ModelEntry> {
    let Some((key, list)) = root.take("model_list") else {
        sink.warning(at, "there is no `model_list`: no model is served")
            .help("list at least one deployment: see examples/quickstart.yaml");
        return Vec::new();
    };
    match list.value {
        Value::List(items) if !items.is_empty() => {
            let entries = items.into_iter().map(|item| entry(item, credentials, sink));
            entries.flat_map(organizations::split).collect()
        }
        Value::List(_) | Value::Null => {
            sink.warning(&key.at, "`model_list` is empty: no model is served")
                .help("list at least one deployment");
            Vec::new()
        }
        Value::Unset | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::Map(_) => {
            sink.error(&list.at, format!("`model_list` must be a list, found {}", list.describe()))
                .help("begin each deployment with `- model_name:`");
            Vec::new()
        }
    }
}

/// Reads an entry. An error in one part hides no error in another.
fn entry(node: Node, credentials: &Credentials, sink: &mut DiagnosticSink<'_>) -> ModelEntry {
    let (entry, error) = sink.deployment(|sink| {
        let mut entry = parts(node, sink);
        credentials.apply(&mut entry.params, sink);
        entry
    });
    ModelEntry { error, ..entry }
}

fn parts(node: Node, sink: &mut DiagnosticSink<'_>) -> ModelEntry {
    let at = node.at.clone();
    let mut top = Section::default();
    if node.is_null() {
        sink.error(&at, "the deployment is empty")
            .help("remove the line, or write `model_name` and `litellm_params`");
    } else {
        top = Section::of(node, "a deployment", sink);
    }
    let params = top.take_section("litellm_params", sink);
    let info = top.take_section("model_info", sink);
    warn_unknown_keys(&top, sink);
    if top.is_map() && !params.is_map() && !params.is_invalid() {
        sink.error(&at, "the deployment has no `litellm_params`")
            .help("it needs at least `litellm_params.model`");
    }
    let name = if top.is_map() { model_name(&top, &at, sink) } else { None };
    ModelEntry { at, name, top, params, info, error: None }
}

fn warn_unknown_keys(top: &Section, sink: &mut DiagnosticSink<'_>) {
    for (key, _) in top.entries().filter(|(key, _)| !keys::ENTRY.contains(&&*key.name)) {
        let name = key.at.last();
        let near = sink.suggest(|| keys::nearest(name, keys::ENTRY.iter().copied(), 3));
        let help = match near {
            Some(near) => Some(format!("did you mean `{near}`?")),
            None => keys::PARAMS.contains(&name).then(|| format!("write `{name}` below `litellm_params`")),
        };
        let grade = if help.is_some() { Grade::Lost } else { Grade::Harmless };
        sink.graded(grade, &key.at, format!("unknown key `{name}` in a deployment")).help = help;
    }
}

fn model_name(top: &Section, at: &Location, sink: &mut DiagnosticSink<'_>) -> Option<Arc<str>> {
    let Some(node) = top.get("model_name") else {
        sink.error(at, "the deployment has no `model_name`").help("clients send this name as `model`");
        return None;
    };
    let name = read::text(node, sink)?;
    if name.matches('*').count() > 1 {
        sink.warning(&node.at, "a pattern has exactly one `*`: this name is matched literally");
    }
    Some(name.into())
}
