//! A reader of one event's JSON with serde: [`read`].
//!
//! The scan reads the chunks that [`quick`](super::quick) declines, of any shape, and is the reference in the tests of
//! `quick`. It splits an object into its members, and splits only relevant members again.

use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Number, value::RawValue};

use super::{
    ChunkInfo, Usage,
    chunk_info::{ROLE, is_filter},
    responses,
};

/// Reads a JSON text of any shape. Returns `None` for text that is not JSON, and for half a surrogate pair in a name, a
/// type or a finish reason.
pub(super) fn read(json: &[u8]) -> Option<ChunkInfo> {
    // Invalid UTF-8 can only be inside of strings, and does not affect anything else.
    let text = String::from_utf8_lossy(json);
    let value: &RawValue = serde_json::from_str(&text).ok()?;
    let Some(items) = list(value.get()) else { return chunk(value.get()) };
    let mut info = ChunkInfo::default();
    for item in items {
        // Some upstreams wrap an error in a list of one. Other chunks are never in a list.
        info.error |= chunk(item.get())?.error;
    }
    Some(info)
}

/// Returns true for a JSON text, also if it contains a string without a value, such as half a surrogate pair.
pub(super) fn is_json(json: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(json).is_ok()
}

/// Reads the usage object at the start of `json`. Ignores the rest.
pub(super) fn read_usage(json: &[u8]) -> Option<Usage> {
    let first = serde_json::Deserializer::from_slice(json).into_iter::<&RawValue>().next()?;
    let mut found = None;
    usage(first.ok()?.get(), &mut found)?;
    found
}

fn chunk(json: &str) -> Option<ChunkInfo> {
    let (mut info, mut no_choice) = (ChunkInfo::default(), false);
    let (mut object, mut kind, mut reason, mut output) = (String::new(), String::new(), None, false);
    for (name, value) in members(json)? {
        match &*name {
            "choices" => choices(value, &mut info, &mut no_choice)?,
            "usage" => usage(value, &mut info.usage)?,
            // Groq has the usage in a nested object.
            "x_groq" => {
                for (_, value) in members(value)?.iter().filter(|(name, _)| name == "usage") {
                    usage(value, &mut info.usage)?;
                }
            }
            "response" => {
                info.response = value.starts_with('{');
                response(value, &mut info, &mut reason)?;
            }
            "output" => output |= is_filled(value),
            "incomplete_details" => reason = incomplete(value)?.or(reason),
            "error" | "errors" => info.error |= is_filled(value),
            "data" => info.data |= is_filled(value),
            "object" => object = text(value)?.unwrap_or(object),
            "type" => kind = text(value)?.unwrap_or(kind),
            _ => {}
        }
    }
    info.content |= kind.ends_with("delta");
    info.error |= object == "error" || kind == "error";
    info.terminal = kind == "message_stop";
    responses::note_event(&mut info, &kind, reason.as_deref());
    note_passed(&mut info, &kind);
    if object == "response" && kind.is_empty() {
        responses::note_response(&mut info, output, reason.as_deref());
    }
    info.only_usage = no_choice && info.usage.is_some();
    Some(info)
}

/// Adds the meaning of an event of images or a transcription. OpenAI's begin with `image_generation`, `image_edit` and
/// `transcript.text`, Mistral's with `transcription`.
fn note_passed(info: &mut ChunkInfo, kind: &str) {
    let is_passed = ["image_", "transcript"].iter().any(|begin| kind.starts_with(begin));
    let is_end = is_passed && (kind.ends_with(".completed") || kind.ends_with(".done"));
    info.content |= is_end || is_passed && kind.ends_with(".partial_image");
    info.terminal |= is_end;
}

/// Reads the response in an event of OpenAI's Responses.
fn response(json: &str, info: &mut ChunkInfo, reason: &mut Option<String>) -> Option<()> {
    for (name, value) in members(json)? {
        match &*name {
            "usage" => usage(value, &mut info.usage)?,
            "error" => info.error |= is_filled(value),
            "incomplete_details" => *reason = incomplete(value)?.or_else(|| reason.take()),
            _ => {}
        }
    }
    Some(())
}

/// Reads the reason why a response is incomplete.
fn incomplete(json: &str) -> Option<Option<String>> {
    let mut reason = None;
    for (_, value) in members(json)?.iter().filter(|(name, _)| name == "reason") {
        reason = text(value)?.or(reason);
    }
    Some(reason)
}

fn choices(json: &str, info: &mut ChunkInfo, no_choice: &mut bool) -> Option<()> {
    let Some(items) = list(json) else { return Some(()) };
    *no_choice |= items.is_empty();
    for item in items {
        let (mut index, mut content, mut finished) = (0, false, false);
        for (name, value) in members(item.get())? {
            match &*name {
                "index" => index = count(value).unwrap_or(index),
                "text" => content |= is_filled(value),
                "delta" | "message" => content |= has_output(value)?,
                "finish_reason" => {
                    finished |= is_filled(value);
                    let reason = text(value)?.unwrap_or_default();
                    info.error |= reason == "error";
                    info.filtered |= is_filter(&reason);
                }
                "error" => info.error |= is_filled(value),
                _ => {}
            }
        }
        let bit = 1_u128 << index.min(127);
        info.begun |= bit;
        info.content |= content;
        info.finished |= if finished { bit } else { 0 };
    }
    Some(())
}

/// Returns true if a delta or a message holds anything beside the role.
fn has_output(json: &str) -> Option<bool> {
    if !json.starts_with('{') {
        return Some(is_filled(json));
    }
    Some(members(json)?.iter().any(|(name, value)| name != ROLE && is_filled(value)))
}

fn usage(json: &str, into: &mut Option<Usage>) -> Option<()> {
    for (name, value) in members(json)? {
        if let (true, Some(tokens)) = (Usage::NAMES.contains(&&*name), count(value)) {
            into.get_or_insert_default().set(&name, tokens);
        } else if let (true, Some(usage)) = (Usage::INPUT_DETAILS.contains(&&*name), into.as_mut()) {
            for (_, value) in members(value)?.iter().filter(|(name, _)| name == Usage::CACHED) {
                count(value).into_iter().for_each(|tokens| usage.set_cached(tokens));
            }
        }
    }
    Some(())
}

/// Splits an object into its members, including repeated names. Returns no members for any other value.
fn members(json: &str) -> Option<Vec<(String, &str)>> {
    struct Members;

    impl<'de> Visitor<'de> for Members {
        type Value = Vec<(String, &'de str)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut next = || map.next_entry::<String, &RawValue>().transpose();
            std::iter::from_fn(&mut next)
                .map(|entry| entry.map(|(name, value)| (name, value.get())))
                .collect()
        }
    }

    if !json.starts_with('{') {
        return Some(Vec::new());
    }
    serde_json::Deserializer::from_str(json).deserialize_map(Members).ok()
}

/// Splits a list into its items. Returns `None` for any other value.
fn list(json: &str) -> Option<Vec<&RawValue>> {
    serde_json::from_str(json).ok()
}

/// Reads a count of tokens or the index of a choice. Some upstreams count in floats; a negative float is zero.
fn count(json: &str) -> Option<u64> {
    let number = serde_json::from_str::<Number>(json).ok()?;
    number.as_u64().or_else(|| number.as_f64().filter(|_| number.is_f64()).map(|float| float as u64))
}

/// Reads a string. Returns `Some(None)` for an empty string and any other type, and `None` for a string without a
/// value.
fn text(json: &str) -> Option<Option<String>> {
    if json == "\"\"" || !json.starts_with('"') {
        return Some(None);
    }
    serde_json::from_str(json).ok().map(Some)
}

/// Returns true if a value is neither null, false nor empty.
fn is_filled(json: &str) -> bool {
    let inner = json.strip_prefix(['[', '{']).map(str::trim_ascii_start);
    !matches!(json, "null" | "false" | "\"\"") && !matches!(inner, Some("]" | "}"))
}
