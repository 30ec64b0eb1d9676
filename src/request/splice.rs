//! The construction of an upstream's body: the client's bytes with the gateway's changes.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use bytes::Bytes;
use serde_json::value::RawValue;

use super::{BodyFrames, Layout, Operation, ParsedRequest, SplicedBody};
use crate::dialect::PREFIX;

/// A parameter: its name, and its value as JSON text.
pub(super) type Parameter = (Arc<str>, Arc<str>);

const STREAM_OPTIONS: &str = "stream_options";
const MESSAGES: &str = "messages";
const PROMPT: &str = "prompt";

impl ParsedRequest {
    /// Returns the body for one deployment. `model` is the upstream's name of the model; `defaults` are added unless the
    /// request contains them.
    ///
    /// The parameters of a fallback replace the client's; overrides and trailing commas are cut; every other byte is the
    /// client's own. The large parts are slices of the original, so a body of any size costs a few small allocations.
    ///
    /// # Panics
    ///
    /// Panics if `info` was not parsed from `bytes`.
    pub(crate) fn payload(&self, model: &str, defaults: &[Parameter]) -> SplicedBody {
        self.spliced(model, self.replaced(), defaults)
    }

    /// Returns the body as [`payload`](Self::payload) does, and sets `include_usage` of a stream unless the request
    /// contains it. A request without `stream` does not change: upstreams refuse `stream_options` without a stream.
    ///
    /// # Panics
    ///
    /// Panics if `info` was not parsed from `bytes`.
    pub(crate) fn payload_with_usage(&self, model: &str, defaults: &[Parameter]) -> SplicedBody {
        if !self.info.stream || self.info.include_usage.is_some() {
            return self.payload(model, defaults);
        }
        let (from_fallback, mut replaced): (Vec<_>, Vec<_>) =
            self.replaced().iter().cloned().partition(|(name, _)| **name == *STREAM_OPTIONS);
        let from_client = self.info.layout.keys.last(STREAM_OPTIONS);
        let options = match (from_fallback.first(), from_client) {
            (Some((_, value)), _) => Some(value.to_string()),
            (None, Some(value)) => Some(self.without_cuts(value)),
            (None, None) => named(defaults, STREAM_OPTIONS).map(str::to_owned),
        };
        replaced.push((STREAM_OPTIONS.into(), with_usage(options.as_deref()).into()));
        self.spliced(model, &replaced, defaults)
    }

    fn spliced(&self, model: &str, replaced: &[Parameter], defaults: &[Parameter]) -> SplicedBody {
        let prefixed = self.prefixed(replaced);
        let replaced = prefixed.as_deref().unwrap_or(replaced);
        let streamed =
            self.info.streams_by_default.then(|| [replaced, &[("stream".into(), "true".into())]].concat());
        let replaced = streamed.as_deref().unwrap_or(replaced);
        let mut splice = Splice::new(&self.bytes, &self.info.layout);
        splice.model(model);
        for (name, value) in replaced {
            splice.replace(name, value);
        }
        splice.add(replaced, defaults);
        splice.finish()
    }

    /// Returns the replaced parameters with the prefix, or `None` without one.
    fn prefixed(&self, replaced: &[Parameter]) -> Option<Vec<Parameter>> {
        let mut prefix = String::new();
        quote(self.prefix.as_deref()?, &mut prefix);
        let value_of = |name| match named(replaced, name) {
            Some(value) => Some(value.to_owned()),
            None => Some(self.without_cuts(self.info.layout.keys.last(name)?)),
        };
        let (name, value) = match self.info.operation {
            Operation::Completions if self.prefix_apart => (PREFIX, prefix),
            Operation::Completions => (PROMPT, joined(&value_of(PROMPT)?, &prefix)?),
            _ => (MESSAGES, with_last(&value_of(MESSAGES)?, &prefix)?),
        };
        let others = replaced.iter().filter(|(known, _)| **known != *name).cloned();
        Some(others.chain([(name.into(), value.into())]).collect())
    }

    /// Returns the JSON text of a value without its trailing commas.
    fn without_cuts(&self, value: &Range<usize>) -> String {
        let cuts = self.info.layout.cuts.iter().filter(|cut| value.contains(&cut.start));
        let mut kept = String::with_capacity(value.len());
        let mut from = value.start;
        for cut in cuts {
            kept.push_str(&self.bytes.text(from..cut.start));
            from = cut.end;
        }
        kept.push_str(&self.bytes.text(from..value.end));
        kept
    }
}

pub(super) fn named<'a>(parameters: &'a [Parameter], name: &str) -> Option<&'a str> {
    parameters.iter().find(|(key, _)| **key == *name).map(|(_, value)| &**value)
}

/// Returns a list of messages with one more of the assistant. All are JSON text.
fn with_last(messages: &str, content: &str) -> Option<String> {
    let list = messages.strip_suffix(']')?.trim_end();
    let comma = if list.ends_with('[') { "" } else { "," };
    Some(format!("{list}{comma}{{\"role\":\"assistant\",\"content\":{content}}}]"))
}

/// Returns two strings as one. All are JSON text.
fn joined(first: &str, second: &str) -> Option<String> {
    Some(format!("{}{}", first.strip_suffix('"')?, second.strip_prefix('"')?))
}

/// Returns `options` with `include_usage: true`, unless they contain `include_usage`.
fn with_usage(options: Option<&str>) -> String {
    let Some(options) = options.filter(|options| *options != "null") else {
        return "{\"include_usage\":true}".to_owned();
    };
    let members: Result<BTreeMap<String, &RawValue>, _> = serde_json::from_str(options);
    let (Ok(members), Some(close)) = (members, options.rfind('}')) else { return options.to_owned() };
    match members.get("include_usage").map(|value| value.get()) {
        None => {
            let comma = if members.is_empty() { "" } else { "," };
            format!("{}{comma}\"include_usage\":true{}", &options[..close], &options[close..])
        }
        // A null means "not set". It is replaced, because a second key would be a duplicate.
        Some(null @ "null") => {
            let at = null.as_ptr().addr() - options.as_ptr().addr();
            format!("{}true{}", &options[..at], &options[at + null.len()..])
        }
        Some(_) => options.to_owned(),
    }
}

/// Writes a string as JSON. The fast path is for strings without characters to escape, as most names are.
fn quote(text: &str, into: &mut String) {
    let is_plain = |byte: u8| byte >= 0x20 && byte != b'"' && byte != b'\\';
    if text.bytes().all(is_plain) {
        into.extend(["\"", text, "\""]);
    } else {
        into.push_str(&serde_json::Value::from(text).to_string());
    }
}

/// The edits of a body. All new text is written into one buffer, which costs one allocation.
pub(super) struct Splice<'a> {
    bytes: &'a BodyFrames,
    layout: &'a Layout,
    /// The ranges of the body to remove, each with the range of `new` that replaces it.
    edits: Vec<(Range<usize>, Range<usize>)>,
    new: String,
}

impl<'a> Splice<'a> {
    pub(super) fn new(bytes: &'a BodyFrames, layout: &'a Layout) -> Self {
        let mut edits = Vec::with_capacity(layout.cuts.len() + 4);
        edits.extend(layout.cuts.iter().map(|cut| (cut.clone(), 0..0)));
        Self { bytes, layout, edits, new: String::with_capacity(128) }
    }

    /// Replaces the value of `model`, or adds it as the first member. The body has another member, as every operation
    /// requires one.
    fn model(&mut self, model: &str) {
        let (from, mut old) = (self.new.len(), self.layout.model.clone());
        let missing = old.is_empty();
        if missing {
            old.end += 1;
            self.new.push_str("{\"model\":");
        }
        quote(model, &mut self.new);
        if missing {
            self.new.push(',');
        }
        self.edits.push((old, from..self.new.len()));
    }

    /// Replaces a range by this text.
    pub(super) fn edit(&mut self, old: Range<usize>, text: &str) {
        let from = self.new.len();
        self.new.push_str(text);
        self.edits.push((old, from..self.new.len()));
    }

    /// Replaces every value with this name, because upstreams differ in which of two counts.
    fn replace(&mut self, name: &str, value: &str) {
        let layout = self.layout;
        for (_, range) in layout.keys.iter().filter(|(key, _)| *key == name && name != "model") {
            self.edit(range.clone(), value);
        }
    }

    /// Adds the parameters that the body does not contain before its closing brace. A fallback's take precedence over
    /// `defaults`.
    fn add(&mut self, replaced: &[Parameter], defaults: &[Parameter]) {
        let layout = self.layout;
        let in_body = |name: &str| layout.keys.last(name).is_some();
        let defaults = defaults.iter().filter(|(name, _)| named(replaced, name).is_none());
        let from = self.new.len();
        let mut comma = !layout.keys.is_empty();
        for (name, value) in replaced.iter().chain(defaults).filter(|(name, _)| !in_body(name)) {
            if std::mem::replace(&mut comma, true) {
                self.new.push(',');
            }
            quote(name, &mut self.new);
            self.new.push(':');
            self.new.push_str(value);
        }
        self.edits.push((layout.close..layout.close, from..self.new.len()));
    }

    /// Returns the edited body.
    pub(super) fn finish(mut self) -> SplicedBody {
        self.edits.sort_unstable_by_key(|(old, _)| old.start);
        let new = Bytes::from(self.new);
        let mut slices = Vec::with_capacity(2 * self.edits.len() + 1);
        let mut from = 0;
        for (old, replacement) in self.edits {
            // A trailing comma inside a replaced value has been removed with it.
            if old.start < from {
                continue;
            }
            slices.extend(self.bytes.slices(from..old.start));
            slices.push(new.slice(replacement));
            from = old.end;
        }
        slices.extend(self.bytes.slices(from..self.bytes.len()));
        SplicedBody::new(slices)
    }
}
