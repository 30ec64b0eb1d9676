//! Reads a request to `/v1/responses`.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{items, tools};
use crate::dialect::{
    chat,
    conversation::{Content, Conversation, Effort, OutputFormat, Part, Refusal},
    json::{self, Json, Text},
    read::{self, typed, whole},
};

/// The parameters that refer to what is stored, and what to send instead.
const STORED: [(&str, &str); 4] = [
    ("previous_response_id", "send the items of the earlier responses in `input`"),
    ("conversation", "send its items in `input`"),
    ("prompt", "send its text in `instructions` and `input`"),
    ("background", "request a stream, or wait for the response"),
];

/// Parameters without an effect on the output of a response that is not stored, or about the tools that run at OpenAI.
const DROPPED: [&str; 9] = [
    "background",
    "client_metadata",
    "context_management",
    "include",
    "max_tool_calls",
    "metadata",
    "store",
    // The usage of a stream is in its last event in any case.
    "stream_options",
    "truncation",
];

/// Reads a request.
///
/// # Errors
/// Returns the parameter that cannot be read.
pub(in crate::dialect) fn read(body: &str) -> Result<Conversation<'_>, Refusal> {
    read::conversation(body, |into, name, value| {
        check(name, value)?;
        let is_set = set(into, name, value)? || set_sampling(into, name, value)?;
        Ok(is_set || DROPPED.contains(&name) || chat::set_default(into, name, value)?)
    })
}

/// Refuses a parameter that refers to what is stored, or that asks for log probabilities.
fn check(name: &str, value: Json<'_>) -> Result<(), Refusal> {
    let stored = STORED.iter().find(|(known, _)| *known == name).filter(|_| value.get() != "false");
    let has_logprobs = match name {
        "top_logprobs" => value.get() != "0",
        "include" => value.get().contains("\"message.output_text.logprobs\""),
        _ => false,
    };
    match stored {
        Some((_, instead)) => {
            Err(Refusal::new(name, format!("Nothing is stored for the responses of this model: {instead}.")))
        }
        None if has_logprobs => {
            Err(Refusal::new(name, "The responses of this model have no log probabilities: request none."))
        }
        None => Ok(()),
    }
}

/// Sets a parameter that is not about sampling. Returns false for one without a place in a conversation.
fn set<'a>(into: &mut Conversation<'a>, name: &str, value: Json<'a>) -> Result<bool, Refusal> {
    match name {
        "model" => into.model = typed(name, value)?,
        "stream" => into.stream = typed(name, value)?,
        "instructions" => into.system.insert(0, Part::new(Content::Text(typed(name, value)?))),
        "input" => items::read(into, value)?,
        "tools" => into.tools = tools::read(value)?,
        "tool_choice" => into.tool_choice = Some(tools::choice(value)?),
        "parallel_tool_calls" => into.parallel_tool_calls = Some(typed(name, value)?),
        "text" => text(into, value)?,
        "reasoning" => reasoning(into, value)?,
        "user" => into.user = Some(typed(name, value)?),
        "safety_identifier" if into.user.is_none() => into.user = Some(typed(name, value)?),
        "safety_identifier" => {}
        "service_tier" => into.service_tier = Some(typed(name, value)?),
        _ => return Ok(false),
    }
    Ok(true)
}

/// Sets a parameter about sampling. Returns false for any other.
fn set_sampling<'a>(into: &mut Conversation<'a>, name: &str, value: Json<'a>) -> Result<bool, Refusal> {
    match name {
        "max_output_tokens" => into.max_tokens = Some(whole(name, value)?),
        // A deployment's default, in the words of chat completions.
        "max_tokens" if into.max_tokens.is_some() => {}
        "max_tokens" => into.max_tokens = Some(whole(name, value)?),
        "top_logprobs" => {}
        "temperature" => into.temperature = Some(typed(name, value)?),
        "top_p" => into.top_p = Some(typed(name, value)?),
        _ => return Ok(false),
    }
    Ok(true)
}

/// Reads the effort. A summary of the reasoning is written in any case, if the upstream has any text of it.
fn reasoning<'a>(into: &mut Conversation<'a>, value: Json<'a>) -> Result<(), Refusal> {
    const NAME: &str = "reasoning.effort";
    if let Some(word) = json::member(value, "effort") {
        into.effort = Some(Effort::named(NAME, &typed::<Text<'_>>(NAME, word)?)?);
    }
    Ok(())
}

#[derive(Deserialize)]
struct TextConfig<'a> {
    #[serde(borrow)]
    format: Option<Format<'a>>,
    #[serde(borrow)]
    verbosity: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Format<'a> {
    #[serde(borrow)]
    r#type: Text<'a>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    schema: Option<&'a RawValue>,
    strict: Option<bool>,
}

/// Reads the format of the text, and its verbosity, of which the default has no effect.
fn text<'a>(into: &mut Conversation<'a>, value: Json<'a>) -> Result<(), Refusal> {
    const NAME: &str = "text";
    let TextConfig { format, verbosity } = typed(NAME, value)?;
    if let Some(verbosity) = verbosity.filter(|word| !matches!(word.get(), "null" | "\"medium\"")) {
        into.others.push(("verbosity".into(), verbosity));
    }
    let Some(Format { r#type, name, schema, strict }) = format else { return Ok(()) };
    (into.format_name, into.is_strict) = (name, strict);
    into.format = match (&*r#type, schema) {
        ("text", _) => OutputFormat::Text,
        ("json_object", _) => OutputFormat::Object,
        ("json_schema", Some(schema)) if json::is_object(schema) => OutputFormat::Schema(schema),
        ("json_schema", _) => return Err(Refusal::invalid(NAME, "a format without a schema")),
        (other, _) => return Err(Refusal::invalid(NAME, format_args!("unknown format {other:?}"))),
    };
    Ok(())
}
