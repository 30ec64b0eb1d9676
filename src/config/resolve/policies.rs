//! Resolves the policies that give numbers by the names of LiteLLM's exceptions, and the retry budget.

use std::sync::Arc;

use super::fallbacks::KnownNames;
use crate::config::{
    ErrorCounts, ErrorName, RetryBudget,
    error::DiagnosticSink,
    keys, read,
    yaml::{Key, Node},
};

const NAMES: [(&str, ErrorName); 9] = [
    ("BadRequestError", ErrorName::BadRequest),
    ("AuthenticationError", ErrorName::Authentication),
    ("TimeoutError", ErrorName::Timeout),
    ("RateLimitError", ErrorName::RateLimit),
    ("ContentPolicyViolationError", ErrorName::ContentPolicyViolation),
    ("InternalServerError", ErrorName::InternalServer),
    ("ServiceUnavailableError", ErrorName::ServiceUnavailable),
    ("NotFoundError", ErrorName::NotFound),
    ("Default", ErrorName::Default),
];

/// Reads a map such as `{RateLimitErrorRetries: 3}`. `suffix` follows the name of the exception in each key.
pub(super) fn counts(node: &Node, suffix: &str, sink: &mut DiagnosticSink<'_>) -> ErrorCounts {
    let mut counts = ErrorCounts::default();
    for (key, node) in read::map(node, sink).unwrap_or_default() {
        if let (Some(name), false) = (error_name(key, suffix, sink), node.is_null()) {
            counts.0.extend(read::whole(node, 0, sink).map(|count| (name, count)));
        }
    }
    counts
}

/// Reads policies by group. A policy belongs to the group that serves a request, not to an alias of it.
pub(super) fn by_group(
    node: &Node,
    names: &KnownNames,
    sink: &mut DiagnosticSink<'_>,
) -> Vec<(Arc<str>, ErrorCounts)> {
    let mut policies = Vec::new();
    for (key, node) in read::map(node, sink).unwrap_or_default() {
        let counts = counts(node, "Retries", sink);
        let Some(group) = names.known(&key.name, &key.at, sink) else { continue };
        if names.is_group(&group) {
            policies.push((group, counts));
        } else {
            sink.warning(&key.at, format!("`{}` is not a group: its policy is ignored", key.at.last()))
                .help("write it for the `model_name` of the group");
        }
    }
    policies
}

/// Reads `{percent: 20, reserve: 100}`. A missing key keeps its default.
pub(super) fn retry_budget(node: &Node, sink: &mut DiagnosticSink<'_>) -> Option<RetryBudget> {
    let mut budget = RetryBudget::default();
    for (key, node) in read::map(node, sink)?.iter().filter(|(_, node)| !node.is_null()) {
        let part = match &*key.name {
            "percent" => &mut budget.percent,
            "reserve" => &mut budget.reserve,
            _ => {
                sink.warning(&key.at, format!("unknown key `{}` in `retry_budget`", key.at.last()))
                    .help("its keys are `percent` and `reserve`");
                continue;
            }
        };
        *part = read::whole(node, 0, sink).unwrap_or(*part);
    }
    Some(budget)
}

fn error_name(key: &Key, suffix: &str, sink: &mut DiagnosticSink<'_>) -> Option<ErrorName> {
    let found = key.name.strip_suffix(suffix).and_then(|word| NAMES.iter().find(|(name, _)| *name == word));
    if found.is_none() {
        let names: Vec<_> = NAMES.iter().map(|(name, _)| format!("{name}{suffix}")).collect();
        let near = sink.suggest(|| keys::nearest(&key.name, names.iter().map(String::as_str), 6));
        let entry = sink.warning(&key.at, format!("unknown error `{}` in a policy", key.at.last()));
        if let Some(near) = near {
            entry.help(format!("did you mean `{near}`?"));
        }
    }
    found.map(|(_, name)| *name)
}
