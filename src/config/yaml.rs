//! YAML as a tree that knows where each key and each value stands.
//!
//! This is the only module that touches the YAML crate. Aliases and merge keys are resolved by it, within a budget
//! that stops a small file from becoming a large tree. A value that came through an alias stands where it was
//! written, not where it is used: that is where it must be mended.

use std::{fmt, ops::Range, sync::Arc};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, MapAccess, SeqAccess, Visitor},
    ser::{SerializeMap, SerializeSeq},
};
use serde_json::Number;
use serde_yaml::{Location, Spanned, options::DuplicateKeyPolicy};

use super::{error::Sink, keys};

/// A place in the file and in the structure.
#[derive(Clone, Debug)]
pub(super) struct At {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) bytes: Range<usize>,
    pub(super) path: Arc<str>,
}

/// A value and its place.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) at: At,
    pub(super) value: Value,
    /// The value may not be shown.
    pub(super) hidden: bool,
    /// `NAME` of the `os.environ/NAME` that was written.
    pub(super) variable: Option<Arc<str>>,
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    Null,
    /// `os.environ/NAME` where there is no such variable.
    Unset,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A key of a map and its place.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) at: At,
}

impl Node {
    pub(super) fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// The value as JSON; what is unset is null.
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// The value as JSON text, its keys in the order of the file.
    pub(super) fn json_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What stands here, for a message: the value itself only where it may be shown.
    pub(super) fn found(&self) -> String {
        match (&self.value, &self.variable) {
            (Value::Unset, Some(name)) => format!("`os.environ/{name}`, which is not set"),
            (_, Some(name)) => format!("the value of `os.environ/{name}`"),
            (Value::Null | Value::Unset, None) => "nothing".to_owned(),
            (Value::List(_), None) => "a list".to_owned(),
            (Value::Map(_), None) => "a map".to_owned(),
            (Value::Bool(_), None) if self.hidden => "true or false".to_owned(),
            (Value::Number(_), None) if self.hidden => "a number".to_owned(),
            (Value::Text(_), None) if self.hidden => "a text".to_owned(),
            (Value::Bool(b), None) => format!("`{b}`"),
            (Value::Number(n), None) => format!("the number {n}"),
            (Value::Text(t), None) => format!("the text `{t}`"),
        }
    }
}

/// Reads the text. What is no YAML is one error, since nothing after it can be trusted.
pub(super) fn parse(text: &str, sink: &mut Sink<'_>) -> Option<Node> {
    let options = serde_yaml::options! {
        strict_booleans: true,
        with_snippet: false, // its own would show secrets
        duplicate_keys: DuplicateKeyPolicy::PassThrough, // we report them all
        budget: serde_yaml::budget! { max_depth: 64, max_nodes: 1_000_000, max_total_scalar_bytes: 64 << 20 },
    };
    match serde_yaml::from_str_with_options::<Node>(text, options) {
        Ok(mut root) => {
            let mut located = Located { text, hidden: Vec::new(), repeated: Vec::new() };
            located.visit(&mut root, "", keys::Shown::Settings);
            sink.source.hide(located.hidden);
            for (key, first) in located.repeated {
                let name = keys::safe(&key.name);
                sink.error(&key.at, format!("`{name}` is written twice"))
                    .help(format!("the first is in line {first}"));
            }
            Some(root)
        }
        Err(error) => {
            let at = At::from(error.location().unwrap_or(Location::UNKNOWN));
            let text = error.without_snippet().to_string();
            let reason = text.split(" at line ").next().unwrap_or(&text);
            let reason: Vec<_> = reason.lines().next().unwrap_or("").split(' ').map(keys::safe).collect();
            sink.error(&at, format!("this is no YAML: {}", reason.join(" ")))
                .help("look at the indentation, the quotes and the brackets here and in the line before");
            None
        }
    }
}

impl From<Location> for At {
    fn from(location: Location) -> Self {
        let number = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        let span = location.span();
        // An unknown place is behind every text, so that no line is shown for it.
        let start = span.byte_offset().map_or(usize::MAX, number);
        let end = start.saturating_add(span.byte_len().map_or(0, number));
        let (line, column) = (number(location.line()), number(location.column()));
        Self { line, column, bytes: start..end, path: Arc::from("") }
    }
}

/// The walk that gives each value its path and finds what may not be shown.
struct Located<'a> {
    text: &'a str,
    hidden: Vec<Range<usize>>,
    repeated: Vec<(Key, usize)>,
}

impl Located<'_> {
    fn visit(&mut self, node: &mut Node, path: &str, shown: keys::Shown) {
        node.at.path = path.into();
        match &mut node.value {
            Value::Map(entries) => self.visit_map(entries, path, shown),
            Value::List(items) => {
                for (n, item) in items.iter_mut().enumerate() {
                    self.visit(item, &format!("{path}[{n}]"), shown);
                }
            }
            Value::Null | Value::Unset => {}
            Value::Bool(_) | Value::Number(_) | Value::Text(_) => {
                let written = self.text.get(node.at.bytes.clone()).unwrap_or("");
                node.hidden = !keys::may_show(written, shown);
                if node.hidden {
                    self.hidden.push(node.at.bytes.clone());
                }
            }
        }
    }

    fn visit_map(&mut self, entries: &mut [(Key, Node)], path: &str, shown: keys::Shown) {
        for n in 0..entries.len() {
            let (before, rest) = entries.split_at_mut(n);
            let Some((key, node)) = rest.first_mut() else { continue };
            let name = keys::safe(&key.name);
            let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
            key.at.path = path.as_str().into();
            if !keys::may_show(&key.name, keys::Shown::All) {
                self.hidden.push(key.at.bytes.clone());
            }
            if let Some((first, _)) = before.iter().find(|(k, _)| k.name == key.name) {
                self.repeated.push((key.clone(), first.at.line));
            }
            self.visit(node, &path, shown.below(&key.name));
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value, defined, .. } = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self { at: defined.into(), value, hidden: true, variable: None })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(Value::Bool(v))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(Value::Number(v.into()))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
        Ok(Value::Number(v.into()))
    }

    fn visit_i128<E>(self, v: i128) -> Result<Value, E> {
        Ok(Number::from_i128(v).map_or_else(|| Value::Text(v.to_string()), Value::Number))
    }

    fn visit_u128<E>(self, v: u128) -> Result<Value, E> {
        Ok(Number::from_u128(v).map_or_else(|| Value::Text(v.to_string()), Value::Number))
    }

    fn visit_f64<E>(self, v: f64) -> Result<Value, E> {
        Ok(Number::from_f64(v).map_or_else(|| Value::Text(v.to_string()), Value::Number))
    }

    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(Value::Text(v.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Spanned<Value>>()? {
            let name = match key.value {
                Value::Text(text) => text,
                Value::Number(n) => n.to_string(),
                Value::Bool(b) => b.to_string(),
                Value::Null => "null".to_owned(),
                Value::Unset | Value::List(_) | Value::Map(_) => {
                    return Err(de::Error::custom("a key must be a text"));
                }
            };
            entries.push((Key { name, at: key.defined.into() }, map.next_value()?));
        }
        Ok(Value::Map(entries))
    }
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.value {
            Value::Null | Value::Unset => serializer.serialize_unit(),
            Value::Bool(b) => serializer.serialize_bool(*b),
            Value::Number(n) => n.serialize(serializer),
            Value::Text(t) => serializer.serialize_str(t),
            Value::List(items) => {
                let mut seq = serializer.serialize_seq(Some(items.len()))?;
                items.iter().try_for_each(|item| seq.serialize_element(item))?;
                seq.end()
            }
            Value::Map(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                entries.iter().try_for_each(|(key, node)| map.serialize_entry(&key.name, node))?;
                map.end()
            }
        }
    }
}
