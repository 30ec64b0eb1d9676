//! What goes upstream: the client's own bytes, but for what had to change.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use bytes::Bytes;
use serde_json::value::RawValue;

use super::SplicedBody;
use super::{BodyFrames, Layout, ParsedRequest};

/// A parameter: its name, and its value as JSON text.
type Parameter = (Arc<str>, Arc<str>);

const STREAM_OPTIONS: &str = "stream_options";
const MESSAGES: &str = "messages";

impl ParsedRequest {
    /// The body for one deployment: `model` is its name there, `defaults` are added where the request says nothing.
    ///
    /// What a fallback replaces is replaced, overrides and trailing commas are cut, and every other byte is the
    /// client's own. The large parts are slices of the original; a body costs a few small allocations, whatever its
    /// size.
    ///
    /// # Panics
    ///
    /// When `head` was not read from `bytes`.
    pub(crate) fn payload(&self, model: &str, defaults: &[Parameter]) -> SplicedBody {
        self.spliced(model, self.replaced(), defaults)
    }

    /// Like [`payload`](Self::payload), and asks a stream to end with its usage, unless the request says whether it
    /// should. A request that is not streamed is left alone: upstreams refuse `stream_options` without a stream.
    ///
    /// # Panics
    ///
    /// When `head` was not read from `bytes`.
    pub(crate) fn payload_with_usage(&self, model: &str, defaults: &[Parameter]) -> SplicedBody {
        if !self.head.stream || self.head.include_usage.is_some() {
            return self.payload(model, defaults);
        }
        let (theirs, mut replaced): (Vec<_>, Vec<_>) =
            self.replaced().iter().cloned().partition(|(name, _)| **name == *STREAM_OPTIONS);
        let said = self.head.layout.keys.last(STREAM_OPTIONS);
        let options = match (theirs.first(), said) {
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
        let mut splice = Splice::new(&self.bytes, &self.head.layout);
        splice.model(model);
        for (name, value) in replaced {
            splice.replace(name, value);
        }
        splice.add(replaced, defaults);
        splice.finish()
    }

    /// What is replaced when the last message is what was said already.
    fn prefixed(&self, replaced: &[Parameter]) -> Option<Vec<Parameter>> {
        let prefix = self.prefix.as_deref()?;
        let messages = match named(replaced, MESSAGES) {
            Some(messages) => messages.to_owned(),
            None => self.without_cuts(self.head.layout.keys.last(MESSAGES)?),
        };
        let list = messages.strip_suffix(']')?.trim_end();
        let comma = if list.ends_with('[') { "" } else { "," };
        let mut messages = format!("{list}{comma}{{\"role\":\"assistant\",\"content\":");
        quote(prefix, &mut messages);
        messages.push_str("}]");
        let others = replaced.iter().filter(|(name, _)| **name != *MESSAGES).cloned();
        Some(others.chain([(MESSAGES.into(), messages.into())]).collect())
    }

    /// A value as it goes upstream: its trailing commas gone.
    fn without_cuts(&self, value: &Range<usize>) -> String {
        let cuts = self.head.layout.cuts.iter().filter(|cut| value.contains(&cut.start));
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

fn named<'a>(parameters: &'a [Parameter], name: &str) -> Option<&'a str> {
    parameters.iter().find(|(key, _)| **key == *name).map(|(_, value)| &**value)
}

/// `options` with `include_usage: true`, unless they say already.
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
        // A null says nothing, and a second key of that name would say too much.
        Some(null @ "null") => {
            let at = null.as_ptr().addr() - options.as_ptr().addr();
            format!("{}true{}", &options[..at], &options[at + null.len()..])
        }
        Some(_) => options.to_owned(),
    }
}

/// Writes a string as JSON. Few names have anything to escape.
fn quote(text: &str, into: &mut String) {
    let is_plain = |byte: u8| byte >= 0x20 && byte != b'"' && byte != b'\\';
    if text.bytes().all(is_plain) {
        into.extend(["\"", text, "\""]);
    } else {
        into.push_str(&serde_json::Value::from(text).to_string());
    }
}

/// A body in the making. What is new is written into one buffer, so that it is one allocation however much it is.
struct Splice<'a> {
    bytes: &'a BodyFrames,
    layout: &'a Layout,
    /// What is taken out of the body, and what of `new` takes its place.
    edits: Vec<(Range<usize>, Range<usize>)>,
    new: String,
}

impl<'a> Splice<'a> {
    fn new(bytes: &'a BodyFrames, layout: &'a Layout) -> Self {
        let mut edits = Vec::with_capacity(layout.cuts.len() + 4);
        edits.extend(layout.cuts.iter().map(|cut| (cut.clone(), 0..0)));
        Self { bytes, layout, edits, new: String::with_capacity(128) }
    }

    fn model(&mut self, model: &str) {
        let from = self.new.len();
        quote(model, &mut self.new);
        self.edits.push((self.layout.model.clone(), from..self.new.len()));
    }

    /// Every value that stands under this name: which of two counts is not ours to say.
    fn replace(&mut self, name: &str, value: &str) {
        let layout = self.layout;
        for (_, range) in layout.keys.iter().filter(|(key, _)| *key == name && name != "model") {
            let from = self.new.len();
            self.new.push_str(value);
            self.edits.push((range.clone(), from..self.new.len()));
        }
    }

    /// Writes what no key of the body says before its closing brace; a fallback's parameters come before `defaults`.
    fn add(&mut self, replaced: &[Parameter], defaults: &[Parameter]) {
        let layout = self.layout;
        let said = |name: &str| layout.keys.last(name).is_some();
        let defaults = defaults.iter().filter(|(name, _)| named(replaced, name).is_none());
        let from = self.new.len();
        let mut comma = !layout.keys.is_empty();
        for (name, value) in replaced.iter().chain(defaults).filter(|(name, _)| !said(name)) {
            if std::mem::replace(&mut comma, true) {
                self.new.push(',');
            }
            quote(name, &mut self.new);
            self.new.push(':');
            self.new.push_str(value);
        }
        self.edits.push((layout.close..layout.close, from..self.new.len()));
    }

    fn finish(mut self) -> SplicedBody {
        self.edits.sort_unstable_by_key(|(old, _)| old.start);
        let new = Bytes::from(self.new);
        let mut slices = Vec::with_capacity(2 * self.edits.len() + 1);
        let mut from = 0;
        for (old, replacement) in self.edits {
            // A trailing comma inside a value that is replaced as a whole is gone already.
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
