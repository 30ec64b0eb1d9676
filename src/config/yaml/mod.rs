//! A YAML tree that records the position of each key and each value.
//!
//! Only this folder uses the YAML crate. The crate resolves aliases and merge keys within a budget, which stops a
//! small file from becoming a large tree. A value behind an alias has the location where it is written, not where the
//! alias is used: the operator must fix it there.

mod convert;
mod locate;

use std::{collections::HashSet, ops::Range, sync::Arc};

use serde_json::Number;
use serde_yaml::options::DuplicateKeyPolicy;

use super::{error::DiagnosticSink, keys};
use locate::Locator;

/// A location in the file and in the structure.
#[derive(Clone, Debug)]
pub(super) struct Location {
    /// The index of the file: zero, or that of an included file.
    pub(super) file: usize,
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) bytes: Range<usize>,
    pub(super) path: Arc<str>,
    /// The offset of the last key in `path`.
    key: usize,
}

/// A value and its location.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) at: Location,
    pub(super) value: Value,
    /// True if the value may not be shown.
    pub(super) hidden: bool,
    /// The `NAME`, if the value was written as `os.environ/NAME`.
    pub(super) variable: Option<Arc<str>>,
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    Null,
    /// An `os.environ/NAME` with an unset variable.
    Unset,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A key of a map and its location.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) at: Location,
}

impl Location {
    #[cfg(test)]
    pub(super) fn in_first_line(bytes: Range<usize>) -> Self {
        Self { file: 0, line: 1, column: bytes.start + 1, bytes, path: Arc::from(""), key: 0 }
    }

    /// Returns the last part of the path: the key, or `***` if the key may not be shown.
    pub(super) fn last(&self) -> &str {
        self.path.get(self.key..).unwrap_or_default()
    }
}

impl Node {
    pub(super) fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// Returns the value as JSON; an unset value is null.
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// Returns the value as JSON text, with keys in file order.
    pub(super) fn json_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Describes the value for a message. The value itself is included only if it may be shown.
    pub(super) fn describe(&self) -> String {
        match (&self.value, &self.variable) {
            (_, Some(name)) => format!("the value of `os.environ/{}`", keys::redact(name)),
            (Value::Null | Value::Unset, None) => "nothing".to_owned(),
            (Value::List(_), None) => "a list".to_owned(),
            (Value::Map(_), None) => "a map".to_owned(),
            (Value::Bool(_), None) if self.hidden => "true or false".to_owned(),
            (Value::Number(_), None) if self.hidden => "a number".to_owned(),
            (Value::Text(_), None) if self.hidden => "a string".to_owned(),
            (Value::Bool(b), None) => format!("`{b}`"),
            (Value::Number(n), None) => format!("the number {n}"),
            (Value::Text(t), None) => format!("the string `{t}`"),
        }
    }
}

/// Parses the text of a file. Invalid YAML is a single error, since nothing after it can be trusted.
pub(super) fn parse(file: usize, sink: &mut DiagnosticSink<'_>) -> Option<Node> {
    let options = serde_yaml::options! {
        strict_booleans: true,
        alias_limits: serde_yaml::alias_limits! { max_total_replayed_events: 200_000 },
        with_snippet: false, // the crate's snippet would show secrets
        duplicate_keys: DuplicateKeyPolicy::PassThrough, // `Locator` reports all of them
        // A level of recursion takes 35 kB of stack in a debug build; a thread has 2 MB.
        budget: serde_yaml::budget! { max_depth: 32, max_nodes: 1_000_000, max_total_scalar_bytes: 64 << 20 },
    };
    let text = sink.source(file).text.clone();
    match serde_yaml::from_str_with_options::<Node>(&text, options) {
        Ok(mut root) => {
            let mut locator = Locator::new(&text, file);
            locator.visit(&mut root, (&Arc::from(""), 0), keys::Visibility::Section);
            sink.source(file).hide(locator.hidden);
            locator.repeated.iter().for_each(|(key, first)| report_repeated(key, *first, sink));
            drop_repeated_sections(&mut root);
            Some(root)
        }
        Err(error) => {
            let at = Location::from(error.location().unwrap_or(serde_yaml::Location::UNKNOWN));
            let at = Location { file, ..at };
            let reason = reason(&error);
            let help = advice(&reason).map(str::to_owned);
            sink.error(&at, reason).help = help;
            None
        }
    }
}

/// Returns advice for an error of the parser.
fn advice(reason: &str) -> Option<&'static str> {
    if reason == DOCUMENTS {
        Some("keep one document; in a manifest of Kubernetes the configuration is the text below `data`")
    } else if reason == TOO_LARGE {
        None
    } else if reason.contains(" tab") {
        Some("YAML indents with spaces: look for a tab here and in the next line")
    } else {
        Some("look at the indentation, the quotes and the brackets here and in the line before")
    }
}

const DOCUMENTS: &str = "the file contains more than one YAML document";
const TOO_LARGE: &str = "the file is too large or nested too deeply to be a configuration";

/// Reports a key that a map has twice. Of a section the last one counts, as in LiteLLM.
fn report_repeated(key: &Key, first: usize, sink: &mut DiagnosticSink<'_>) {
    let name = key.at.last();
    if &*key.at.path == name {
        sink.warning(&key.at, format!("the section `{name}` is written twice: only the last one counts"))
            .help(format!("the first, in line {first}, has no effect: merge the two"));
    } else {
        sink.error(&key.at, format!("`{name}` is written twice"))
            .help(format!("the first is in line {first}"));
    }
}

/// Removes all but the last of the sections with one name.
fn drop_repeated_sections(root: &mut Node) {
    if let Value::Map(entries) = &mut root.value {
        let mut seen = HashSet::new();
        let mut kept: Vec<_> =
            entries.drain(..).rev().filter(|(key, _)| seen.insert(key.name.clone())).collect();
        kept.reverse();
        *entries = kept;
    }
}

/// Returns the first line of the parser's message without its position, which the diagnostic prints itself.
fn reason(error: &serde_yaml::Error) -> String {
    if let serde_yaml::Error::MultipleDocuments { .. } = error.without_snippet() {
        return DOCUMENTS.to_owned();
    }
    let text = error.without_snippet().to_string();
    if text.contains("budget breached") || text.contains("limit exceeded") {
        return TOO_LARGE.to_owned();
    }
    let text = text.split(" at line ").next().unwrap_or_default();
    let words: Vec<_> = text.lines().next().unwrap_or_default().split(' ').map(keys::redact).collect();
    format!("invalid YAML: {}", words.join(" "))
}

impl From<serde_yaml::Location> for Location {
    fn from(location: serde_yaml::Location) -> Self {
        let number = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        let span = location.span();
        // An unknown position becomes one behind the end of the text, so that no line is shown for it.
        let start = span.byte_offset().map_or(usize::MAX, number);
        let end = start.saturating_add(span.byte_len().map_or(0, number));
        let (line, column) = (number(location.line()), number(location.column()));
        Self { file: 0, line, column, bytes: start..end, path: Arc::from(""), key: 0 }
    }
}
