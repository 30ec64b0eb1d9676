//! Resolves the rules for parameters that a vendor has by another name or does not know: `drop_params`,
//! `additional_drop_params`, `allowed_openai_params`.

use std::sync::Arc;

use crate::config::{
    ParameterRules, Vendor,
    error::DiagnosticSink,
    raw::{ModelEntry, RawConfig},
    read,
    yaml::{Node, Value},
};

/// The settings for all deployments.
pub(super) struct DropDefaults {
    drop: Option<bool>,
    additional: Vec<Arc<str>>,
}

impl DropDefaults {
    pub(super) fn read(raw: &RawConfig<'_>, sink: &mut DiagnosticSink<'_>) -> Self {
        Self {
            drop: raw.read("drop_params", sink, is_dropping),
            additional: raw.read("additional_drop_params", sink, names).unwrap_or_default(),
        }
    }
}

/// Reads `drop_params`. A list counts as true, as in LiteLLM.
fn is_dropping(node: &Node, sink: &mut DiagnosticSink<'_>) -> Option<bool> {
    if matches!(node.value, Value::List(_)) {
        sink.warning(&node.at, "`drop_params` is true or false: a list counts as true")
            .help("write names that are never sent below `additional_drop_params`");
        return Some(true);
    }
    read::boolean(node, sink)
}

/// Returns the rules of a deployment, or none if no parameter changes. Without `drop_params` parameters that the vendor
/// does not know are passed on; the vendor decides.
pub(super) fn resolve(
    entry: &ModelEntry,
    vendor: &Vendor,
    (common, drop): (&DropDefaults, Option<bool>),
    sink: &mut DiagnosticSink<'_>,
) -> Option<Arc<ParameterRules>> {
    let mut read = |name| entry.params.get(name).and_then(|node| names(node, sink)).unwrap_or_default();
    let (additional, allowed) = (read("additional_drop_params"), read("allowed_openai_params"));
    let unknown = vendor.unknown.iter().flat_map(|group| group.iter().copied());
    let unknown = unknown.filter(|name| allowed.iter().all(|allowed| **allowed != **name)).map(Arc::from);
    let mut rules = ParameterRules {
        renamed: vendor.renamed.iter().map(|(old, new)| ((*old).into(), (*new).into())).collect(),
        dropped: common.additional.iter().cloned().chain(additional).collect(),
        refused: Vec::new(),
    };
    match drop {
        Some(true) => rules.dropped.extend(unknown),
        Some(false) => rules.refused.extend(unknown),
        None => {}
    }
    (!rules.is_empty()).then(|| Arc::new(rules))
}

/// Returns `drop_params` of a deployment, else of the settings.
pub(super) fn drops(
    entry: &ModelEntry,
    common: &DropDefaults,
    sink: &mut DiagnosticSink<'_>,
) -> Option<bool> {
    entry.params.get("drop_params").and_then(|node| is_dropping(node, sink)).or(common.drop)
}

/// The parameters without which no request can be sent.
const REQUIRED: [&str; 4] = ["model", "messages", "prompt", "input"];

/// Reads a list of parameters. A path into a parameter, as LiteLLM has it, is ignored with a warning.
fn names(node: &Node, sink: &mut DiagnosticSink<'_>) -> Option<Vec<Arc<str>>> {
    let mut names = Vec::new();
    for node in read::list(node, sink)? {
        let Some(name) = read::text(node, sink) else { continue };
        if name.contains(['.', '[', '$']) {
            sink.warning(
                &node.at,
                "a path into a parameter is ignored: only a whole parameter can be dropped",
            );
        } else if REQUIRED.contains(&&*name) {
            sink.harmless(&node.at, "a parameter that every request needs is not dropped");
        } else {
            names.push(name.into());
        }
    }
    Some(names)
}
