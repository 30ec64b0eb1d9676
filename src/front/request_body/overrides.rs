//! The parser of the settings that a client sends in the body or in headers.

use std::{borrow::Cow, time::Duration};

use http::{HeaderMap, HeaderName};

use super::{
    fallbacks,
    scan::{Object, string},
};
use crate::{
    config::{Fallbacks, InRequest, Midstream, in_request},
    error::InvalidRequest,
    request::Overrides,
};

const NUM_RETRIES: &str = "num_retries";
const REQUEST_TIMEOUT: &str = "request_timeout";
const TIMEOUT: &str = "timeout";
const STREAM_TIMEOUT: &str = "stream_timeout";
const FALLBACKS: &str = "fallbacks";
const CONTEXT_WINDOW: &str = "context_window_fallbacks";
const CONTENT_POLICY: &str = "content_policy_fallbacks";
const DISABLE: &str = "disable_fallbacks";
const MAX_FALLBACKS: &str = "max_fallbacks";
const MIDSTREAM: &str = "midstream_fallback";

static HEADER_TIMEOUT: HeaderName = HeaderName::from_static("x-litellm-timeout");
static HEADER_STREAM_TIMEOUT: HeaderName = HeaderName::from_static("x-litellm-stream-timeout");
static HEADER_NUM_RETRIES: HeaderName = HeaderName::from_static("x-litellm-num-retries");
static HEADER_MIDSTREAM: HeaderName = HeaderName::from_static("x-tollgate-midstream");

/// The longest timeout in seconds, about 136 years. Larger values would overflow an `Instant`.
const LONGEST: f64 = u32::MAX as f64;

/// Parses the settings. A header overrides the body.
///
/// # Errors
///
/// [`InvalidRequest`] if a setting has an invalid value or may not be set by a request.
pub(super) fn read(object: &Object<'_>, headers: &HeaderMap) -> Result<Overrides, InvalidRequest> {
    let mut parsed = ParsedOverrides::default();
    for member in &object.members {
        let action = in_request(&member.key);
        if matches!(action, InRequest::Override | InRequest::Refused) {
            parsed.take(&member.key, action, &object.value(member))?;
        }
    }
    // Few clients send such headers, and this test costs less than four lookups.
    if headers.keys().any(may_be_setting) {
        parsed.take_headers(headers)?;
    }
    Ok(Overrides { timeout: parsed.timeout.or(parsed.request_timeout), ..parsed.overrides })
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
}

impl ParsedOverrides {
    /// Reads the headers, which override the body.
    fn take_headers(&mut self, headers: &HeaderMap) -> Result<(), InvalidRequest> {
        if let Some(text) = header(headers, &HEADER_NUM_RETRIES)? {
            self.overrides.num_retries = Some(count(HEADER_NUM_RETRIES.as_str(), text)?);
        }
        if let Some(text) = header(headers, &HEADER_TIMEOUT)? {
            self.timeout = seconds(HEADER_TIMEOUT.as_str(), text)?;
        }
        if let Some(text) = header(headers, &HEADER_STREAM_TIMEOUT)? {
            self.overrides.stream_timeout = seconds(HEADER_STREAM_TIMEOUT.as_str(), text)?;
        }
        if let Some(text) = header(headers, &HEADER_MIDSTREAM)? {
            self.overrides.midstream = Some(midstream(HEADER_MIDSTREAM.as_str(), text.trim())?);
        }
        Ok(())
    }

    /// Reads one key of the body.
    fn take(&mut self, key: &str, action: InRequest, value: &str) -> Result<(), InvalidRequest> {
        let set = value != "null";
        let into = &mut self.overrides;
        match key {
            NUM_RETRIES if set => into.num_retries = Some(count(NUM_RETRIES, &literal(value))?),
            MAX_FALLBACKS if set => into.max_fallbacks = Some(count(MAX_FALLBACKS, &literal(value))?),
            REQUEST_TIMEOUT if set => self.request_timeout = seconds(REQUEST_TIMEOUT, &literal(value))?,
            TIMEOUT if set => self.timeout = seconds(TIMEOUT, &literal(value))?,
            STREAM_TIMEOUT if set => into.stream_timeout = seconds(STREAM_TIMEOUT, &literal(value))?,
            DISABLE if set => into.disable_fallbacks = boolean(DISABLE, value)?,
            MIDSTREAM if set => into.midstream = Some(midstream(MIDSTREAM, &literal(value))?),
            // An explicit null replaces the configured list by an empty one.
            FALLBACKS => into.fallbacks = Some(list(FALLBACKS, value)?.unwrap_or_default()),
            CONTEXT_WINDOW => into.context_window_fallbacks = Some(list(CONTEXT_WINDOW, value)?),
            CONTENT_POLICY => into.content_policy_fallbacks = Some(list(CONTENT_POLICY, value)?),
            key if set && action == InRequest::Refused => {
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

/// Parses `true` or `false`.
pub(super) fn boolean(name: &'static str, value: &str) -> Result<bool, InvalidRequest> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(InvalidRequest::value(name, "must be true or false")),
    }
}

fn midstream(name: &'static str, text: &str) -> Result<Midstream, InvalidRequest> {
    Midstream::named(text).ok_or_else(|| InvalidRequest::value(name, "must be off, continue or restart"))
}

fn list(name: &'static str, value: &str) -> Result<Option<Fallbacks>, InvalidRequest> {
    if value == "null" { Ok(None) } else { fallbacks::read(name, value).map(Some) }
}

fn header<'a>(headers: &'a HeaderMap, name: &'static HeaderName) -> Result<Option<&'a str>, InvalidRequest> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    value.to_str().map(Some).map_err(|_| InvalidRequest::value(name.as_str(), "must be a number"))
}

/// Returns a number's text. Numbers may be in quotes.
fn literal(value: &str) -> Cow<'_, str> {
    string(value).unwrap_or(Cow::Borrowed(value))
}

/// Parses a whole number of zero or more; `2.0` is accepted.
fn count(name: &'static str, text: &str) -> Result<u32, InvalidRequest> {
    let text = text.trim();
    if let Ok(count) = text.parse() {
        return Ok(count);
    }
    match text.parse::<f64>() {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked to be whole and in range"
        )]
        Ok(number) if number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number) => {
            Ok(number as u32)
        }
        _ => Err(InvalidRequest::value(name, "must be a whole number, zero or more")),
    }
}

/// Parses a number of seconds. Zero means "not set".
fn seconds(name: &'static str, text: &str) -> Result<Option<Duration>, InvalidRequest> {
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
