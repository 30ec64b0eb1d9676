//! Reads a chat completion's request.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::messages;
use crate::dialect::{
    conversation::{Conversation, Effort, OutputFormat, Refusal, Tool, ToolChoice},
    json::{self, Json, Text},
    read::{self, typed, whole},
};

/// Reads a request.
///
/// # Errors
/// Returns the parameter that cannot be read.
pub(in crate::dialect) fn read(body: &str) -> Result<Conversation<'_>, Refusal> {
    read::conversation(body, set_parameter)
}

/// Sets a parameter. Returns false for one without a place in a conversation.
pub(in crate::dialect) fn set_parameter<'a>(
    into: &mut Conversation<'a>,
    name: &str,
    value: Json<'a>,
) -> Result<bool, Refusal> {
    Ok(set(into, name, value)? || set_sampling(into, name, value)?)
}

/// Sets a parameter that is not about sampling. Returns false for one without a place in a conversation.
fn set<'a>(into: &mut Conversation<'a>, name: &str, value: Json<'a>) -> Result<bool, Refusal> {
    match name {
        "model" => into.model = typed(name, value)?,
        "stream" => into.stream = typed(name, value)?,
        // The usage of a stream is always written, and removed again where the client did not request it.
        "stream_options" => {}
        "messages" => messages::read(into, value)?,
        "tools" => into.tools = tools(value)?,
        "tool_choice" => into.tool_choice = Some(tool_choice(value)?),
        "parallel_tool_calls" => into.parallel_tool_calls = Some(typed(name, value)?),
        "response_format" => format(into, value)?,
        "user" => into.user = Some(typed(name, value)?),
        "safety_identifier" if into.user.is_none() => into.user = Some(typed(name, value)?),
        "service_tier" => into.service_tier = Some(typed(name, value)?),
        _ => return Ok(false),
    }
    Ok(true)
}

/// Sets a parameter about sampling. Returns false for any other.
fn set_sampling<'a>(into: &mut Conversation<'a>, name: &str, value: Json<'a>) -> Result<bool, Refusal> {
    match name {
        // The newer name counts.
        "max_tokens" if into.max_tokens.is_some() => {}
        "max_tokens" | "max_completion_tokens" => into.max_tokens = Some(whole(name, value)?),
        "temperature" => into.temperature = Some(typed(name, value)?),
        "top_p" => into.top_p = Some(typed(name, value)?),
        "stop" => into.stop = stop(value)?,
        "reasoning_effort" => into.effort = Some(effort(value)?),
        _ => return Ok(false),
    }
    Ok(true)
}

/// Sets a parameter that a deployment has by default, unless the request has set it in another dialect. Returns false for a
/// parameter without a place in a conversation.
pub(in crate::dialect) fn set_default<'a>(
    into: &mut Conversation<'a>,
    name: &str,
    value: Json<'a>,
) -> Result<bool, Refusal> {
    let is_set = match name {
        "max_completion_tokens" => into.max_tokens.is_some(),
        "stop" => !into.stop.is_empty(),
        "reasoning_effort" => into.effort.is_some(),
        "response_format" => !matches!(into.format, OutputFormat::Text),
        "user" | "safety_identifier" => into.user.is_some(),
        "parallel_tool_calls" => into.parallel_tool_calls.is_some(),
        // The usage of a stream is always written.
        "stream_options" => true,
        _ => return Ok(false),
    };
    Ok(is_set || set_parameter(into, name, value)?)
}

fn stop<'a>(value: Json<'a>) -> Result<Vec<Text<'a>>, Refusal> {
    if json::is_text(value) { typed("stop", value).map(|one| vec![one]) } else { typed("stop", value) }
}

/// Reads a reasoning effort: a word, or OpenAI's object of the Responses API with the word in it.
fn effort(value: Json<'_>) -> Result<Effort, Refusal> {
    const NAME: &str = "reasoning_effort";
    let word = if json::is_object(value) { json::member(value, "effort").unwrap_or(value) } else { value };
    Effort::named(NAME, &typed::<Text<'_>>(NAME, word)?)
}

#[derive(Deserialize)]
struct Format<'a> {
    #[serde(borrow)]
    r#type: Text<'a>,
    #[serde(borrow)]
    json_schema: Option<Schema<'a>>,
}

#[derive(Deserialize)]
struct Schema<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    schema: Option<&'a RawValue>,
    strict: Option<bool>,
}

/// Reads the format of the output.
fn format<'a>(into: &mut Conversation<'a>, value: Json<'a>) -> Result<(), Refusal> {
    const NAME: &str = "response_format";
    let Format { r#type, json_schema } = typed(NAME, value)?;
    let Schema { name, schema, strict } =
        json_schema.unwrap_or(Schema { name: None, schema: None, strict: None });
    (into.format_name, into.is_strict) = (name, strict);
    into.format = match (&*r#type, schema.filter(|schema| json::is_object(schema))) {
        ("text", _) => OutputFormat::Text,
        ("json_object", _) | ("json_schema", None) => OutputFormat::Object,
        ("json_schema", Some(schema)) => OutputFormat::Schema(schema),
        (other, _) => return Err(Refusal::invalid(NAME, format_args!("unknown type {other:?}"))),
    };
    Ok(())
}

fn tools(value: Json<'_>) -> Result<Vec<Tool<'_>>, Refusal> {
    typed::<Vec<Json<'_>>>("tools", value)?.into_iter().map(tool).collect()
}

#[derive(Deserialize)]
struct Described<'a> {
    #[serde(borrow)]
    r#type: Option<Text<'a>>,
    #[serde(borrow)]
    function: Option<Function<'a>>,
    #[serde(borrow)]
    cache_control: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    description: Option<Text<'a>>,
    #[serde(borrow)]
    parameters: Option<&'a RawValue>,
    strict: Option<bool>,
    #[serde(borrow)]
    cache_control: Option<&'a RawValue>,
}

/// Reads a tool. A tool that is no function is one of a vendor, in its own words.
fn tool(value: Json<'_>) -> Result<Tool<'_>, Refusal> {
    let described: Described<'_> = typed("tools", value)?;
    match (described.r#type.as_deref(), described.function) {
        (
            Some("function") | None,
            Some(Function { name, description, parameters, strict, cache_control }),
        ) => {
            let schema = parameters.filter(|schema| json::is_object(schema));
            let cache = described.cache_control.or(cache_control);
            Ok(Tool::Function { name, description, schema, strict, cache })
        }
        (Some("function"), None) => Err(Refusal::invalid("tools", "a function without a name")),
        (Some(_), _) | (None, None) => Ok(Tool::Vendor(value)),
    }
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow)]
    function: Named<'a>,
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    name: Text<'a>,
}

fn tool_choice(value: Json<'_>) -> Result<ToolChoice<'_>, Refusal> {
    const NAME: &str = "tool_choice";
    if !json::is_text(value) {
        return typed::<Choice<'_>>(NAME, value).map(|choice| ToolChoice::Named(choice.function.name));
    }
    read::choice(NAME, value)
}
