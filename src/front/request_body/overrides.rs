//! Settings that came with the request, in its body or in its headers.

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

/// "Never", for a clock: about 136 years. Longer ones would overflow what counts with them.
const LONGEST: f64 = u32::MAX as f64;

/// Reads the settings; a header overwrites its key of the body.
pub(super) fn read(object: &Object<'_>, headers: &HeaderMap) -> Result<Overrides, InvalidRequest> {
    let mut found = Found::default();
    for member in &object.members {
        let fate = in_request(&member.key);
        if matches!(fate, InRequest::Override | InRequest::Refused) {
            found.take(&member.key, fate, &object.value(member))?;
        }
    }
    // Few clients send any, and to see that costs less than to look four names up.
    if headers.keys().any(may_be_ours) {
        found.take_headers(headers)?;
    }
    Ok(Overrides { timeout: found.timeout.or(found.request_timeout), ..found.overrides })
}

/// Whether a header may be one of our settings.
fn may_be_ours(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.starts_with("x-litellm-") || name.starts_with("x-tollgate-")
}

/// What was found so far. Zero seconds count as not set, so the two names for one clock stay apart to the end.
#[derive(Default)]
struct Found {
    overrides: Overrides,
    timeout: Option<Duration>,
    request_timeout: Option<Duration>,
}

impl Found {
    /// What the headers say, which overwrites what the body says.
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

    fn take(&mut self, key: &str, fate: InRequest, value: &str) -> Result<(), InvalidRequest> {
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
            // An explicit null replaces the configured list by none.
            FALLBACKS => into.fallbacks = Some(list(FALLBACKS, value)?.unwrap_or_default()),
            CONTEXT_WINDOW => into.context_window_fallbacks = Some(list(CONTEXT_WINDOW, value)?),
            CONTENT_POLICY => into.content_policy_fallbacks = Some(list(CONTENT_POLICY, value)?),
            key if set && fate == InRequest::Refused => {
                // A key is as long as the caller likes, an error is not.
                let key: String = key.chars().take(64).collect();
                return Err(InvalidRequest::value(
                    key,
                    "may not be set by a request: it is the configuration's",
                ));
            }
            _ => {}
        }
        Ok(())
    }
}

/// `true` or `false`.
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

/// A number may stand in quotes.
fn literal(value: &str) -> Cow<'_, str> {
    string(value).unwrap_or(Cow::Borrowed(value))
}

/// A whole number from zero up; `2.0` is one.
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

/// Seconds, or none for zero.
fn seconds(name: &'static str, text: &str) -> Result<Option<Duration>, InvalidRequest> {
    let rule = "must be a number of seconds, zero or more";
    match text.trim().parse::<f64>() {
        Ok(0.0) => Ok(None),
        // However short, it is not zero, which would mean "not set".
        Ok(number) if number.is_finite() && number > 0.0 => {
            Ok(Some(Duration::from_secs_f64(number.min(LONGEST)).max(Duration::from_nanos(1))))
        }
        _ => Err(InvalidRequest::value(name, rule)),
    }
}
