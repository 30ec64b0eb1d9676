//! Typed access to located values. An invalid value becomes a diagnostic, and reading continues.

use std::time::Duration;

use super::{
    error::DiagnosticSink,
    keys,
    yaml::{Key, Node, Value},
};

/// A map of the file, with its keys in file order.
#[derive(Clone, Debug, Default)]
pub(super) struct Section {
    entries: Vec<(Key, Node)>,
    state: SectionState,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum SectionState {
    #[default]
    Absent,
    Map,
    Invalid,
}

impl Section {
    /// Returns the map at `node`. Null is an absent section; any other value is an error.
    pub(super) fn of(node: Node, what: &str, sink: &mut DiagnosticSink<'_>) -> Self {
        let found = node.describe();
        match node.value {
            Value::Map(entries) => Self { entries, state: SectionState::Map },
            Value::Null => Self::default(),
            Value::Unset | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::List(_) => {
                sink.error(&node.at, format!("{what} must be a map of keys, found {found}"));
                Self { entries: Vec::new(), state: SectionState::Invalid }
            }
        }
    }

    /// Removes the map at the key `name` and returns it.
    pub(super) fn take_section(&mut self, name: &str, sink: &mut DiagnosticSink<'_>) -> Self {
        self.take(name).map(|(_, node)| Self::of(node, &format!("`{name}`"), sink)).unwrap_or_default()
    }

    /// Removes a key and returns it with its value.
    pub(super) fn take(&mut self, name: &str) -> Option<(Key, Node)> {
        let index = self.entries.iter().position(|(key, _)| key.name == name)?;
        Some(self.entries.remove(index))
    }

    /// Adds a key with its value, unless the map has a value for the key.
    pub(super) fn add_missing(&mut self, (key, node): &(Key, Node)) {
        match self.entries.iter_mut().find(|(own, _)| own.name == key.name) {
            Some((_, own)) if own.is_null() => *own = node.clone(),
            Some(_) => {}
            None => self.entries.push((key.clone(), node.clone())),
        }
    }

    /// Adds a key that the map does not have.
    pub(super) fn push(&mut self, entry: (Key, Node)) {
        self.entries.push(entry);
        self.state = SectionState::Map;
    }

    /// Returns the value of a key, which may be null.
    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut Node> {
        self.entries.iter_mut().find(|(key, _)| key.name == name).map(|(_, node)| node)
    }

    pub(super) fn into_entries(self) -> impl Iterator<Item = (Key, Node)> {
        self.entries.into_iter()
    }

    /// Sets the value of a key that the map has.
    pub(super) fn replace(&mut self, name: &str, node: Node) {
        if let Some(own) = self.get_mut(name) {
            *own = node;
        }
    }

    pub(super) fn is_map(&self) -> bool {
        self.state == SectionState::Map
    }

    /// Returns true if the value was not a map. The error is already in the sink.
    pub(super) fn is_invalid(&self) -> bool {
        self.state == SectionState::Invalid
    }

    /// Returns the value of a key, or none if it is absent or null.
    pub(super) fn get(&self, name: &str) -> Option<&Node> {
        self.entry(name).map(|(_, node)| node).filter(|node| !node.is_null())
    }

    /// Returns a key and its value, which may be null.
    pub(super) fn entry(&self, name: &str) -> Option<&(Key, Node)> {
        self.entries.iter().find(|(key, _)| key.name == name)
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &(Key, Node)> {
        self.entries.iter()
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut Node> {
        self.entries.iter_mut().map(|(_, node)| node)
    }
}

/// Reports that the value of `node` is not `must`.
pub(super) fn invalid<T>(node: &Node, must: &str, sink: &mut DiagnosticSink<'_>) -> Option<T> {
    let name = node.at.last();
    match (&node.value, &node.variable) {
        (Value::Unset, Some(variable)) => {
            let variable = keys::redact(variable);
            sink.error(&node.at, format!("`{name}`: the environment variable `{variable}` is not set"))
                .help(format!("set `{variable}` before the start, or write the value here"));
        }
        _ => {
            let entry = sink.error(&node.at, format!("`{name}` must be {must}, found {}", node.describe()));
            if let Some(help) = advice(name, &node.value, must) {
                entry.help(help);
            }
        }
    }
    None
}

fn advice(name: &str, value: &Value, must: &str) -> Option<&'static str> {
    match value {
        Value::Number(_) | Value::Bool(_) if must.starts_with("a string") => Some("put it in quotes"),
        Value::Text(t) if must.contains("seconds") && t.ends_with(|c: char| c.is_ascii_alphabetic()) => {
            Some("write seconds as a plain number, such as 30 or 0.5")
        }
        Value::Text(_) if must.contains("true or false") => Some("write `true` or `false`, without quotes"),
        Value::Map(_) if name.ends_with("fallbacks") => {
            Some("write one entry for each group, such as `- GROUP: [OTHER]`")
        }
        _ if name == "retry_budget" && must.starts_with("a map") => {
            Some("such as `{percent: 20, reserve: 100}`")
        }
        _ => None,
    }
}

/// Reads a string that is not blank.
pub(super) fn text(node: &Node, sink: &mut DiagnosticSink<'_>) -> Option<String> {
    match &node.value {
        Value::Text(t) if !t.trim().is_empty() => Some(t.clone()),
        Value::Text(_) => invalid(node, "a string that is not empty", sink),
        _ => invalid(node, "a string", sink),
    }
}

/// Reads a number, which may be written as a string.
pub(super) fn number(node: &Node, must: &str, sink: &mut DiagnosticSink<'_>) -> Option<f64> {
    let value = match &node.value {
        Value::Number(n) => n.as_f64(),
        Value::Text(t) => t.trim().parse().ok(),
        Value::Null | Value::Unset | Value::Bool(_) | Value::List(_) | Value::Map(_) => None,
    };
    value.filter(|n| n.is_finite()).or_else(|| invalid(node, must, sink))
}

/// Reads a whole number of at least `least`.
pub(super) fn whole<T: TryFrom<u64>>(node: &Node, least: u64, sink: &mut DiagnosticSink<'_>) -> Option<T> {
    /// The largest integer below which every integer has its own `f64`.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let value = match &node.value {
        Value::Number(n) => n.as_u64().or_else(|| {
            let float = n.as_f64().filter(|f| f.fract() == 0.0 && (0.0..=EXACT).contains(f))?;
            format!("{float:.0}").parse().ok()
        }),
        Value::Text(t) => t.trim().parse().ok(),
        Value::Null | Value::Unset | Value::Bool(_) | Value::List(_) | Value::Map(_) => None,
    };
    let value = value.filter(|n| *n >= least).and_then(|n| T::try_from(n).ok());
    value.or_else(|| invalid(node, &format!("a whole number of at least {least}"), sink))
}

/// Reads a whole number of either sign.
pub(super) fn integer(node: &Node, sink: &mut DiagnosticSink<'_>) -> Option<i64> {
    let value = match &node.value {
        Value::Number(n) => n.as_i64(),
        Value::Text(t) => t.trim().parse().ok(),
        Value::Null | Value::Unset | Value::Bool(_) | Value::List(_) | Value::Map(_) => None,
    };
    value.or_else(|| invalid(node, "a whole number", sink))
}

/// Reads a number that is not negative.
pub(super) fn amount(node: &Node, sink: &mut DiagnosticSink<'_>) -> Option<f64> {
    const MUST: &str = "a number of at least 0";
    let n = number(node, MUST, sink)?;
    if n < 0.0 { invalid(node, MUST, sink) } else { Some(n) }
}

/// Reads a duration in seconds, zero or more. The maximum is ten years, so that adding one to an instant cannot
/// overflow.
pub(super) fn seconds(node: &Node, sink: &mut DiagnosticSink<'_>) -> Option<Duration> {
    within(node, 0.0, "a number of seconds, at least 0", sink)
}

/// Reads a duration in seconds, more than zero.
pub(super) fn positive_seconds(node: &Node, sink: &mut DiagnosticSink<'_>) -> Option<Duration> {
    within(node, 0.001, "a number of seconds greater than 0", sink)
}

fn within(node: &Node, least: f64, must: &str, sink: &mut DiagnosticSink<'_>) -> Option<Duration> {
    const MOST: f64 = 10.0 * 365.0 * 86_400.0;
    let n = number(node, must, sink)?;
    let taken = if (least..=MOST).contains(&n) { Duration::try_from_secs_f64(n).ok() } else { None };
    taken.or_else(|| invalid(node, must, sink))
}

/// Reads `true` or `false`.
pub(super) fn boolean(node: &Node, sink: &mut DiagnosticSink<'_>) -> Option<bool> {
    match &node.value {
        Value::Bool(b) => Some(*b),
        _ => invalid(node, "true or false", sink),
    }
}

/// Returns the items of a list.
pub(super) fn list<'n>(node: &'n Node, sink: &mut DiagnosticSink<'_>) -> Option<&'n [Node]> {
    match &node.value {
        Value::List(items) => Some(items),
        _ => invalid(node, "a list", sink),
    }
}

/// Returns the entries of a map.
pub(super) fn map<'n>(node: &'n Node, sink: &mut DiagnosticSink<'_>) -> Option<&'n [(Key, Node)]> {
    match &node.value {
        Value::Map(entries) => Some(entries),
        _ => invalid(node, "a map of keys", sink),
    }
}

/// Reads one of a few words.
pub(super) fn choice<T: Copy>(
    node: &Node,
    choices: &[(&str, T)],
    sink: &mut DiagnosticSink<'_>,
) -> Option<T> {
    let written = match &node.value {
        Value::Text(t) => t.clone(),
        Value::Number(n) => n.to_string(),
        _ => String::new(),
    };
    let chosen = choices.iter().find(|(word, _)| *word == written).map(|(_, value)| *value);
    chosen.or_else(|| {
        let words: Vec<_> = choices.iter().map(|(word, _)| format!("`{word}`")).collect();
        invalid(node, &format!("one of {}", words.join(", ")), sink)
    })
}
