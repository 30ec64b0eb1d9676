//! Warnings of keys of LiteLLM's that are not served.

use super::{
    Grade,
    error::{Diagnostic, DiagnosticSink},
    keys,
    yaml::{Key, Node, Value},
};

/// Warns that a key of LiteLLM's has no effect. Returns none for a value that switches its function off, which has no
/// warning.
pub(super) fn warn<'s>(
    (key, node): (&Key, &Node),
    grade: Grade,
    sink: &'s mut DiagnosticSink<'_>,
) -> Option<&'s mut Diagnostic> {
    let name = key.at.last();
    if is_off(node) || name == "optional_pre_call_checks" && is_always_made(node) {
        return None;
    }
    let clause = keys::consequence(name).map(|clause| format!(": {clause}")).unwrap_or_default();
    let entry = sink.graded(grade, &key.at, format!("`{name}` is not supported yet{clause}"));
    entry.help = keys::replacement_advice(name).map(str::to_owned);
    Some(entry)
}

/// Returns true if the value switches the function off.
fn is_off(node: &Node) -> bool {
    match &node.value {
        Value::Null => true,
        Value::Bool(on) => !on,
        Value::Text(text) => text.trim().is_empty(),
        Value::List(items) => items.is_empty(),
        Value::Map(entries) => entries.is_empty(),
        Value::Unset | Value::Number(_) => false,
    }
}

/// Returns true for a list of LiteLLM's checks that are always made: limits are enforced under every strategy.
fn is_always_made(node: &Node) -> bool {
    let Value::List(items) = &node.value else { return false };
    items.iter().all(|item| matches!(&item.value, Value::Text(name) if name == "enforce_model_rate_limits"))
}
