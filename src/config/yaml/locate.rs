//! Sets the path of each value in the tree, and decides which values may be shown.

use std::{
    collections::{HashMap, hash_map::Entry},
    ops::Range,
    sync::Arc,
};

use super::{Key, Location, Node, Value};
use crate::config::keys::{self, Visibility};

/// The walk that sets paths and collects the ranges that may not be shown.
pub(super) struct Locator<'a> {
    text: &'a str,
    file: usize,
    pub(super) hidden: Vec<Range<usize>>,
    /// The repeated keys of a map, each with the line of its first occurrence.
    pub(super) repeated: Vec<(Key, usize)>,
    /// The forms of the keys so far, by name: a large file has the same few keys in each entry.
    shown: HashMap<Visibility, HashMap<String, ShownKey>>,
}

/// The form of a key in messages, and what may be shown below the key.
type ShownKey = (Arc<str>, Visibility);

impl<'a> Locator<'a> {
    pub(super) fn new(text: &'a str, file: usize) -> Self {
        Self { text, file, hidden: Vec::new(), repeated: Vec::new(), shown: HashMap::new() }
    }

    /// Visits the node at `path`, of which the last part begins at `last`.
    pub(super) fn visit(&mut self, node: &mut Node, (path, last): (&Arc<str>, usize), shown: Visibility) {
        (node.at.file, node.at.path, node.at.key) = (self.file, Arc::clone(path), last);
        match &mut node.value {
            Value::Map(entries) => {
                // A map in block style begins with its first key; the caret points at that key.
                if let Some((key, _)) =
                    entries.first().filter(|(key, _)| key.at.bytes.start == node.at.bytes.start)
                {
                    node.at.bytes = key.at.bytes.clone();
                }
                self.visit_map(entries, path, shown);
            }
            Value::List(items) => {
                for (n, item) in items.iter_mut().enumerate() {
                    self.visit(item, (&format!("{path}[{n}]").into(), last), shown);
                }
                // A list in block style has no text of its own; the caret points at its first item.
                let first = items.first().filter(|first| first.at.line == node.at.line);
                if let Some(first) = first.filter(|_| node.at.bytes.is_empty()) {
                    node.at.bytes = first.at.bytes.clone();
                }
            }
            Value::Null | Value::Unset => {}
            Value::Bool(_) | Value::Number(_) | Value::Text(_) => {
                let written = self.text.get(node.at.bytes.clone()).unwrap_or("");
                node.hidden = !keys::is_visible(written, shown);
                if node.hidden {
                    self.hidden.push(node.at.bytes.clone());
                }
            }
        }
    }

    fn visit_map(&mut self, entries: &mut [(Key, Node)], path: &str, shown: Visibility) {
        let repeated = repeated(entries);
        for (key, node) in &mut *entries {
            let (name, below) = self.shown_key(&key.name, shown);
            let path: Arc<str> =
                if path.is_empty() { name.clone() } else { [path, ".", &name].concat().into() };
            let last = path.len() - name.len();
            (key.at.file, key.at.path, key.at.key) = (self.file, Arc::clone(&path), last);
            if *name != *key.name {
                self.hidden.push(key.at.bytes.clone());
            }
            self.visit(node, (&path, last), below);
            // A list in block style begins below its key, which names it better than its first item.
            if matches!(node.value, Value::List(_)) && node.at.line > key.at.line {
                let Location { line, column, ref bytes, .. } = key.at;
                (node.at.line, node.at.column, node.at.bytes) = (line, column, bytes.clone());
            }
        }
        self.repeated.extend(repeated.into_iter().map(|(index, first)| (entries[index].0.clone(), first)));
    }

    fn shown_key(&mut self, name: &str, shown: Visibility) -> ShownKey {
        let known = self.shown.entry(shown).or_default();
        if let Some(key) = known.get(name) {
            return key.clone();
        }
        let key = (keys::shown_key(name, shown).into(), shown.below(name));
        known.insert(name.to_owned(), key.clone());
        key
    }
}

/// Returns the indices of the repeated keys of a map, each with the line of the first key with its name.
fn repeated(entries: &[(Key, Node)]) -> Vec<(usize, usize)> {
    let (mut lines, mut repeated) = (HashMap::with_capacity(entries.len()), Vec::new());
    for (index, (key, _)) in entries.iter().enumerate() {
        match lines.entry(key.name.as_str()) {
            Entry::Occupied(first) => repeated.push((index, *first.get())),
            Entry::Vacant(free) => _ = free.insert(key.at.line),
        }
    }
    repeated
}
