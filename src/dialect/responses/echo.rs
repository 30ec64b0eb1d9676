//! The members of a request that its response repeats: [`Echo`].

use serde::ser::SerializeMap;
use serde_json::value::RawValue;

use crate::dialect::json::{self, Json, constant};

/// The members that a response repeats, with the values of a request that does not set them.
const DEFAULTS: [(&str, &str); 17] = [
    ("instructions", "null"),
    ("max_output_tokens", "null"),
    ("max_tool_calls", "null"),
    ("metadata", "{}"),
    ("parallel_tool_calls", "true"),
    ("prompt_cache_key", "null"),
    ("reasoning", r#"{"effort":null,"summary":null}"#),
    ("safety_identifier", "null"),
    ("service_tier", r#""default""#),
    ("temperature", "1.0"),
    ("text", r#"{"format":{"type":"text"}}"#),
    ("tool_choice", r#""auto""#),
    ("tools", "[]"),
    ("top_logprobs", "0"),
    ("top_p", "1.0"),
    ("truncation", r#""disabled""#),
    ("user", "null"),
];

/// The members that are the same in every response, because none is stored.
const CONSTANTS: [(&str, &str); 3] =
    [("background", "false"), ("previous_response_id", "null"), ("store", "false")];

/// The members of a request that its response repeats.
#[derive(Debug, Default)]
pub(in crate::dialect) struct Echo(Vec<(&'static str, Box<RawValue>)>);

impl Echo {
    /// Returns the members of a request that was read.
    pub(in crate::dialect) fn of(body: &str) -> Self {
        let members = json::members(body).unwrap_or_default().into_iter();
        let known = members.filter(|(_, value)| !json::is_null(value)).filter_map(|(name, value)| {
            let (known, _) = DEFAULTS.iter().find(|(known, _)| *known == &*name)?;
            Some((*known, on_one_line(value)?))
        });
        Self(known.collect())
    }

    /// Writes all members.
    pub(super) fn write<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        for (name, default) in DEFAULTS {
            let kept = self.0.iter().rev().find(|(known, _)| *known == name);
            map.serialize_entry(name, kept.map_or_else(|| constant(default), |(_, value)| &**value))?;
        }
        CONSTANTS.iter().try_for_each(|(name, value)| map.serialize_entry(name, constant(value)))
    }
}

/// Returns a value without the ends of lines between its parts, which would end the line of an event.
fn on_one_line(value: Json<'_>) -> Option<Box<RawValue>> {
    let text = value.get();
    if !text.contains(['\n', '\r']) {
        return Some(value.to_owned());
    }
    // Within a string they are escaped.
    RawValue::from_string(text.replace(['\n', '\r'], "")).ok()
}
