//! The parser of the settings that a client sends in the body or in headers.

use std::{borrow::Cow, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName};
use serde::de::IgnoredAny;

use super::{
    fallbacks::{self, Allowance},
    scan::{Object, string},
};
use crate::{
    config::{Fallbacks, KeyAction, Midstream, key_action},
    error::InvalidRequest,
    request::Overrides,
};

/// The longest timeout in seconds, about 136 years. Larger values would overflow an `Instant`.
const LONGEST: f64 = u32::MAX as f64;

/// The largest number of retries that a request sets; a larger number means this one. With their pauses they take minutes.
const MOST_RETRIES: u32 = 20;

/// Parses the settings. A header overrides the body.
///
/// # Errors
///
/// [`InvalidRequest`] if a setting has an invalid value or may not be set by a request.
pub(super) fn read(object: &Object<'_>, headers: &HeaderMap) -> Result<Overrides, InvalidRequest> {
    let mut parsed = ParsedOverrides::default();
    for member in &object.members {
        let action = key_action(&member.key);
        if matches!(action, KeyAction::Override | KeyAction::Reject | KeyAction::Metadata) {
            parsed.take(&member.key, action, &object.value(member))?;
        }
    }
    parsed.end(headers)
}

/// Parses the settings among the fields of a form: JSON, or plain text. A header overrides a field.
///
/// # Errors
///
/// [`InvalidRequest`] if a setting has an invalid value or may not be set by a request.
pub(super) fn of_form(fields: Vec<(&str, String)>, headers: &HeaderMap) -> Result<Overrides, InvalidRequest> {
    let mut parsed = ParsedOverrides::default();
    for (name, text) in fields {
        let is_json = serde_json::from_str::<IgnoredAny>(&text).is_ok();
        let value = if is_json { text } else { serde_json::Value::from(text).to_string() };
        parsed.take(name, key_action(name), &value)?;
    }
    parsed.end(headers)
}

/// Parses the settings in headers alone.
///
/// # Errors
///
/// [`InvalidRequest`] if a setting has an invalid value.
pub(super) fn of_headers(headers: &HeaderMap) -> Result<Overrides, InvalidRequest> {
    ParsedOverrides::default().end(headers)
}

/// Returns true if a header may be a setting for the gateway.
fn may_be_setting(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.starts_with("x-litellm-") || name.starts_with("x-tollgate-")
}

/// The settings parsed so far. Zero seconds mean "not set", so the two names of the timeout stay separate to the end.
#[derive(Default)]
struct ParsedOverrides {
    overrides: Overrides,
    timeout: Option<Duration>,
    request_timeout: Option<Duration>,
    allowance: Allowance,
}

impl ParsedOverrides {
    /// Returns the settings, after those in headers.
    fn end(mut self, headers: &HeaderMap) -> Result<Overrides, InvalidRequest> {
        // Few clients send such headers, and this test costs less than four lookups.
        if headers.keys().any(may_be_setting) {
            self.take_headers(headers)?;
        }
        Ok(Overrides { timeout: self.timeout.or(self.request_timeout), ..self.overrides })
    }

    /// Reads the headers, which override the body.
    fn take_headers(&mut self, headers: &HeaderMap) -> Result<(), InvalidRequest> {
        let into = &mut self.overrides;
        into.num_retries = header(headers, "x-litellm-num-retries", retries)?.or(into.num_retries);
        self.timeout = header(headers, "x-litellm-timeout", seconds)?.unwrap_or(self.timeout);
        let stream_timeout = header(headers, "x-litellm-stream-timeout", seconds)?;
        into.stream_timeout = stream_timeout.unwrap_or(into.stream_timeout);
        let trimmed = |name: &str, text: &str| midstream(name, text.trim());
        into.midstream = header(headers, "x-tollgate-midstream", trimmed)?.or(into.midstream);
        if let Some(text) = headers.get("x-litellm-tags").and_then(|value| value.to_str().ok()) {
            into.tags.get_or_insert_default().add_header(text);
        }
        Ok(())
    }

    /// Reads one key of the body.
    fn take(&mut self, key: &str, action: KeyAction, value: &str) -> Result<(), InvalidRequest> {
        let set = value != "null";
        let (into, left) = (&mut self.overrides, &mut self.allowance);
        match key {
            "num_retries" if set => into.num_retries = Some(retries(key, &literal(value))?),
            "max_fallbacks" if set => into.max_fallbacks = Some(count(key, &literal(value))?),
            "request_timeout" if set => self.request_timeout = seconds(key, &literal(value))?,
            "timeout" if set => self.timeout = seconds(key, &literal(value))?,
            "stream_timeout" if set => into.stream_timeout = seconds(key, &literal(value))?,
            "disable_fallbacks" if set => into.disable_fallbacks = boolean(key, value)?,
            "tags" if set => into.tags.get_or_insert_default().add_body(value),
            "metadata" if set && value.contains("\"tags\"") => {
                into.tags.get_or_insert_default().add_metadata(value);
            }
            "midstream_fallback" if set => into.midstream = Some(midstream(key, &literal(value))?),
            "allowed_model_region" if set => into.allowed_model_region = Some(text(key, value)?),
            // An explicit null replaces the configured list by an empty one.
            "fallbacks" => into.fallbacks = Some(list(key, value, left)?.unwrap_or_default()),
            "context_window_fallbacks" => into.context_window_fallbacks = Some(list(key, value, left)?),
            "content_policy_fallbacks" => into.content_policy_fallbacks = Some(list(key, value, left)?),
            key if set && action == KeyAction::Reject => {
                // The client's key may be of any length; the error shows its first 64 characters.
                let key: String = key.chars().take(64).collect();
                return Err(InvalidRequest::value(
                    key,
                    "may not be set by a request: set it in the gateway's configuration",
                ));
            }
            _ => {}
        }
        Ok(())
    }
}

/// Parses a string.
fn text(name: &str, value: &str) -> Result<Arc<str>, InvalidRequest> {
    let text = string(value).ok_or_else(|| InvalidRequest::value(name, "must be a string"))?;
    Ok(text.as_ref().into())
}

/// Parses `true` or `false`.
pub(super) fn boolean(name: &str, value: &str) -> Result<bool, InvalidRequest> {
    value.parse().map_err(|_| InvalidRequest::value(name, "must be true or false"))
}

fn midstream(name: &str, text: &str) -> Result<Midstream, InvalidRequest> {
    Midstream::named(text).ok_or_else(|| InvalidRequest::value(name, "must be off, continue or restart"))
}

fn list(name: &str, value: &str, left: &mut Allowance) -> Result<Option<Fallbacks>, InvalidRequest> {
    if value == "null" { Ok(None) } else { fallbacks::read(name, value, left).map(Some) }
}

/// Parses a number of retries, at most [`MOST_RETRIES`].
fn retries(name: &str, text: &str) -> Result<u32, InvalidRequest> {
    count(name, text).map(|count| count.min(MOST_RETRIES))
}

/// Parses a header by `read`. Returns `None` if the header was not sent.
fn header<T>(
    headers: &HeaderMap,
    name: &str,
    read: fn(&str, &str) -> Result<T, InvalidRequest>,
) -> Result<Option<T>, InvalidRequest> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let text = value.to_str().map_err(|_| InvalidRequest::value(name, "must be a number"))?;
    read(name, text).map(Some)
}

/// Returns a number's text. Numbers may be in quotes.
fn literal(value: &str) -> Cow<'_, str> {
    string(value).unwrap_or(Cow::Borrowed(value))
}

/// Parses a whole number of zero or more; `2.0` is accepted.
fn count(name: &str, text: &str) -> Result<u32, InvalidRequest> {
    let text = text.trim();
    // Zero is added because a negative zero would print its sign.
    let float = || text.parse::<f64>().ok().filter(|number| number.fract() == 0.0).map(|number| number + 0.0);
    let count = text.parse().ok().or_else(|| format!("{:.0}", float()?).parse().ok());
    count.ok_or_else(|| InvalidRequest::value(name, "must be a whole number, zero or more"))
}

/// Parses a number of seconds. Zero means "not set".
fn seconds(name: &str, text: &str) -> Result<Option<Duration>, InvalidRequest> {
    let rule = "must be a number of seconds, zero or more";
    match text.trim().parse::<f64>() {
        Ok(0.0) => Ok(None),
        // A tiny timeout must not round to zero, which would mean "not set".
        Ok(number) if number.is_finite() && number > 0.0 => {
            Ok(Some(Duration::from_secs_f64(number.min(LONGEST)).max(Duration::from_nanos(1))))
        }
        _ => Err(InvalidRequest::value(name, rule)),
    }
}
