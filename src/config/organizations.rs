//! A list of organizations: one deployment for each, as in LiteLLM.

use super::{
    raw::ModelEntry,
    yaml::{Node, Value},
};

/// Returns an entry for each `organization` of a list, or the entry itself. An `id` of the file gets a number, so that each
/// has its own.
pub(super) fn split(entry: ModelEntry) -> Vec<ModelEntry> {
    let Some(Node { value: Value::List(organizations), .. }) = entry.params.get("organization") else {
        return vec![entry];
    };
    if organizations.is_empty() {
        return vec![entry];
    }
    let organizations = organizations.clone();
    let of = |(n, organization): (usize, Node)| {
        let mut entry = entry.clone();
        entry.params.replace("organization", organization);
        if let (Some(id), true) = (entry.info.get_mut("id"), n > 0) {
            number(id, n + 1);
        }
        entry
    };
    organizations.into_iter().enumerate().map(of).collect()
}

fn number(id: &mut Node, n: usize) {
    let text = match &id.value {
        Value::Text(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return,
    };
    id.value = Value::Text(format!("{text}-{n}"));
}
