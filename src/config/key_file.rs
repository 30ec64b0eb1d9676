//! The file of client keys that `general_settings.keys` may name in place of a list.

use std::path::Path;

use super::{
    error::DiagnosticSink,
    include, keys,
    raw::Environment,
    read::Section,
    yaml::{self, Node, Value},
};

/// Replaces the name of a file below `keys` by the list in the file. A file that is not one is an error.
pub(super) fn load(general: &mut Section, env: &Environment<'_>, sink: &mut DiagnosticSink<'_>) {
    let Some(node) = general.get_mut("keys") else { return };
    let Value::Text(name) = &node.value else { return };
    match read(node, Path::new(name), sink) {
        Some(mut list) => {
            env.expand(&mut list);
            *node = list;
        }
        None => _ = general.take("keys"),
    }
}

fn read(node: &Node, name: &Path, sink: &mut DiagnosticSink<'_>) -> Option<Node> {
    let (path, file) = include::open_named((node, name), "file of keys", sink, DiagnosticSink::open)?;
    let list = yaml::parse(file, sink)?;
    if !matches!(list.value, Value::List(_) | Value::Null) {
        // Not at its location in the file: the line may be a key.
        let (path, found) = (path.display().to_string(), list.describe());
        let path = keys::redact(&path);
        sink.error(&node.at, format!("the file of keys `{path}` must be a list of entries, found {found}"))
            .help("begin each entry with `- name:`");
        return None;
    }
    Some(list)
}
