//! Sets the path of each value in the tree, and decides which values may be shown.

use std::{
    collections::{HashMap, hash_map::Entry},
    ops::Range,
};

use super::{Key, Location, Node, Value};
use crate::config::keys;

/// The walk that sets paths and collects the ranges that may not be shown.
pub(super) struct Locator<'a> {
    text: &'a str,
    file: usize,
    pub(super) hidden: Vec<Range<usize>>,
    /// The repeated keys of a map, each with the line of its first occurrence.
    pub(super) repeated: Vec<(Key, usize)>,
}

impl<'a> Locator<'a> {
    pub(super) fn new(text: &'a str, file: usize) -> Self {
        Self { text, file, hidden: Vec::new(), repeated: Vec::new() }
    }

    pub(super) fn visit(&mut self, node: &mut Node, (path, last): (&str, usize), shown: keys::Visibility) {
        (node.at.file, node.at.path, node.at.key) = (self.file, path.into(), last);
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
                    self.visit(item, (&format!("{path}[{n}]"), last), shown);
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

    fn visit_map(&mut self, entries: &mut [(Key, Node)], path: &str, shown: keys::Visibility) {
        let mut lines = HashMap::new();
        for (key, node) in entries {
            let name = keys::shown_key(&key.name, shown);
            let visible = *name == *key.name;
            let path = if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
            let last = path.len() - name.len();
            (key.at.file, key.at.path, key.at.key) = (self.file, path.as_str().into(), last);
            if !visible {
                self.hidden.push(key.at.bytes.clone());
            }
            match lines.entry(key.name.clone()) {
                Entry::Occupied(first) => self.repeated.push((key.clone(), *first.get())),
                Entry::Vacant(free) => _ = free.insert(key.at.line),
            }
            self.visit(node, (&path, last), shown.below(&key.name));
            // A list in block style begins below its key, which names it better than its first item.
            if matches!(node.value, Value::List(_)) && node.at.line > key.at.line {
                let Location { line, column, ref bytes, .. } = key.at;
                (node.at.line, node.at.column, node.at.bytes) = (line, column, bytes.clone());
            }
        }
    }
}
