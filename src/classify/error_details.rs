//! Parsing of error bodies of any provider: message, codes and types, status, and requested wait.

use std::{sync::LazyLock, time::Duration};

use http::{HeaderMap, HeaderName};
use memchr::memmem::Finder;
use serde_json::Value;
use tollgate_http::times;

/// Bytes of a message that are searched: the relevant part comes first, and an echoed prompt may follow.
const LONGEST_TEXT: usize = 4096;

/// Keys with codes, types and statuses.
const NAMES: [&str; 8] =
    ["code", "type", "status", "status_code", "error_type", "error_code", "reason", "__type"];
/// The parameters of a request that hold the prompt.
const PROMPTS: [&str; 3] = ["messages", "input", "prompt"];
/// The keys below them that hold text of the prompt, of any length. Names and ids have limits of their own.
const PROMPT_TEXTS: [&str; 4] = ["content", "text", "arguments", "output"];
/// Keys with a wait in seconds: of Hugging Face's loading models, of OpenRouter, and of gateways.
const WAITS: [&str; 3] = ["retry_after", "retry_after_seconds", "estimated_time"];

static AMAZON_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

/// Occurs in every event that is an error, and in few others; an event that contains it is parsed, and then
/// classified. Within a JSON string the quote would be escaped, so a response text about errors does not match.
static ERROR_KEY: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"error"));

/// The details of an error.
#[derive(Debug, Default)]
pub(super) struct ErrorDetails {
    text: String,
    names: Vec<String>,
    param: String,
    status: Option<u16>,
    wait: Option<Duration>,
}

impl ErrorDetails {
    /// Parses a response with an error status.
    pub(super) fn of_response(headers: &HeaderMap, body: &[u8]) -> Self {
        let mut details = Self::of_data(body);
        if let Some(name) = headers.get(&AMAZON_TYPE).and_then(|value| value.to_str().ok()) {
            details.add_name(name);
        }
        details
    }

    /// Parses an event or a body of a 200. Returns none if it is not an error.
    pub(super) fn of_event(data: &[u8]) -> Option<Self> {
        if !may_be_error(data) {
            return None;
        }
        let json: Value = serde_json::from_slice(data).ok()?;
        is_error(&json).then(|| Self::of_json(&json))
    }

    /// Returns the message, in lower case.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Returns the HTTP status in the body.
    pub(super) const fn status(&self) -> Option<u16> {
        self.status
    }

    /// Returns the wait in a field of the body.
    pub(super) const fn wait(&self) -> Option<Duration> {
        self.wait
    }

    /// Returns true if one of the codes and types is `word`, which is in lower case, or `word` with a subcode behind a
    /// dot, as Volcano Ark writes it.
    pub(super) fn names(&self, word: &str) -> bool {
        self.names.iter().any(|name| {
            name.strip_prefix(word).is_some_and(|subcode| subcode.is_empty() || subcode.starts_with('.'))
        })
    }

    /// Returns true if the parameter that the error is about is `name`, which is in lower case.
    pub(super) fn concerns(&self, name: &str) -> bool {
        self.param == name
    }

    /// Returns true if the parameter that the error is about holds text of the prompt: `messages[17].content`, but
    /// not `messages[2].tool_calls[0].id`.
    pub(super) fn concerns_prompt(&self) -> bool {
        let is_key = |part: &&str| !part.is_empty() && !part.bytes().all(|byte| byte.is_ascii_digit());
        let mut keys = self.param.split(['.', '[', ']']).filter(is_key);
        let root = keys.next().unwrap_or_default();
        let last = keys.next_back().unwrap_or(root);
        PROMPTS.contains(&root) && (PROMPTS.contains(&last) || PROMPT_TEXTS.contains(&last))
    }

    /// Parses an error without its headers.
    pub(super) fn of_data(data: &[u8]) -> Self {
        serde_json::from_slice(data).map_or_else(|_| Self::of_text(data), |json| Self::of_json(&json))
    }

    fn of_text(body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body.get(..LONGEST_TEXT).unwrap_or(body)).to_ascii_lowercase();
        Self { text, ..Self::default() }
    }

    fn of_json(json: &Value) -> Self {
        let mut details = Self { text: search_text(json), ..Self::default() };
        for part in parts(json) {
            for value in NAMES.iter().filter_map(|key| part.get(key)) {
                details.add(value);
            }
            if let Some(param) =
                part.get("param").and_then(Value::as_str).filter(|_| details.param.is_empty())
            {
                details.param = param.to_ascii_lowercase();
            }
            details.wait = details.wait.or_else(|| wait(part));
        }
        details
    }

    fn add(&mut self, value: &Value) {
        if let Some(name) = value.as_str() {
            self.add_name(name);
        }
        let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
        let status = number
            .and_then(|number| u16::try_from(number).ok())
            .filter(|status| (400..=599).contains(status));
        self.status = self.status.or(status);
    }

    /// Adds a code or type. Amazon writes `com.amazon#Name:http://documentation`.
    fn add_name(&mut self, name: &str) {
        let name = name.split_once(':').map_or(name, |(name, _)| name);
        let name = name.rsplit_once('#').map_or(name, |(_, name)| name);
        self.names.push(name.trim().to_ascii_lowercase());
    }
}

/// Returns the message of an error body.
pub(crate) fn message_of(json: &Value) -> Option<&str> {
    const PLACES: [&str; 17] = [
        "/error/message",
        // OpenAI's Responses.
        "/response/error/message",
        // LiteLLM's guardrails.
        "/error/message/error",
        "/error",
        // Cloudflare's AI gateway.
        "/error/0/message",
        "/message",
        "/Message",
        "/message/detail/0/msg",
        "/detail/0/msg",
        "/detail",
        "/detail/error",
        "/errors/0/message",
        "/choices/0/error/message",
        // Baidu's, Zhipu's, MiniMax's.
        "/error_msg",
        "/msg",
        "/base_resp/status_msg",
        // A message and nothing else.
        "",
    ];
    let json = first(json);
    PLACES.iter().find_map(|place| json.pointer(place)?.as_str())
}

/// Returns the text that is searched: the message, and the original error that OpenRouter includes.
fn search_text(json: &Value) -> String {
    let wrapped = first(json).pointer("/error/metadata/raw").and_then(Value::as_str);
    let mut text = String::new();
    for part in message_of(json).into_iter().chain(wrapped) {
        let part = part.as_bytes();
        text.push_str(&String::from_utf8_lossy(part.get(..LONGEST_TEXT).unwrap_or(part)));
        text.push('\n');
    }
    text.make_ascii_lowercase();
    text
}

/// Returns the error itself. Gemini's compatible endpoint and some streams of Vertex wrap it in an array.
fn first(json: &Value) -> &Value {
    json.get(0).unwrap_or(json)
}

/// Returns the objects of an error body that may contain codes and waits, the most specific first.
fn parts(json: &Value) -> impl Iterator<Item = &Value> {
    const PLACES: [&str; 10] = [
        "/error",
        "/response/error",
        "/error/0",
        "/choices/0/error",
        "/error/innererror",
        "/error/inner_error",
        "/error/details",
        "/error/metadata",
        "/errors/0",
        "",
    ];
    let json = first(json);
    let details = json.pointer("/error/details").and_then(Value::as_array).into_iter().flatten();
    PLACES.iter().filter_map(|place| json.pointer(place)).chain(details)
}

/// Returns the wait: Google's `RetryInfo`, or a number of seconds.
fn wait(part: &Value) -> Option<Duration> {
    let delay = part.get("retryDelay").and_then(Value::as_str).and_then(times::duration);
    delay.or_else(|| WAITS.iter().find_map(|key| times::seconds(part.get(key)?.as_f64()?)))
}

/// Returns true if an error key has a value. Some servers send `"error":null` with every chunk.
fn may_be_error(data: &[u8]) -> bool {
    ERROR_KEY.find_iter(data).any(|at| !is_null_member(data.get(at..).unwrap_or_default()))
}

/// Returns true if `data` begins with an error key and a null.
fn is_null_member(data: &[u8]) -> bool {
    let value = data
        .strip_prefix(b"\"error\"")
        .map(<[u8]>::trim_ascii_start)
        .and_then(|rest| rest.strip_prefix(b":"));
    value.is_some_and(|value| value.trim_ascii_start().starts_with(b"null"))
}

fn is_error(json: &Value) -> bool {
    let json = first(json);
    let has = |place: &str, word: &str| json.pointer(place).and_then(Value::as_str) == Some(word);
    let failed =
        json.get("success") == Some(&Value::Bool(false)) && json.get("errors").is_some_and(is_present);
    let present = ["/error", "/response/error", "/choices/0/error"]
        .iter()
        .any(|place| json.pointer(place).is_some_and(is_present));
    present
        || failed
        || has("/type", "error")
        || has("/object", "error")
        || has("/choices/0/finish_reason", "error")
}

/// Returns true if the value is not empty.
fn is_present(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Bool(true) | Value::Number(_) => true,
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}
