//! Writes a request to `/responses`.

use serde::Serialize;

use super::input::{Item, items};
use crate::dialect::{
    conversation::{Conversation, OutputFormat, Refusal, Tool, ToolChoice},
    features::RESPONSES,
    json::{Json, SentMembers, any_object},
    openai::{Schema, effort_of, joined, short_user},
    sent::{Limits, Sent},
};

/// The parameter of chat completions that is a part of `text`.
const VERBOSITY: &str = "verbosity";

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    #[serde(skip_serializing_if = "String::is_empty")]
    instructions: String,
    input: Vec<Item<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Function<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Choice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<TextConfig<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<Reasoning>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'a str>,
    /// Parameters of Responses that a client of chat completions may send too.
    #[serde(flatten)]
    others: SentMembers<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    r#type: &'static str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    parameters: Json<'a>,
    /// The API makes schemas strict unless this is false.
    strict: bool,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Choice<'a> {
    Word(&'static str),
    Named { r#type: &'static str, name: &'a str },
}

#[derive(Serialize)]
struct TextConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Format<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verbosity: Option<Json<'a>>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Format<'a> {
    JsonObject,
    JsonSchema(Schema<'a>),
}

#[derive(Serialize)]
struct Reasoning {
    effort: &'static str,
}

/// Writes a request.
///
/// # Errors
/// Returns the parameter that cannot be translated.
pub(in crate::dialect) fn write(conversation: &Conversation<'_>, limits: Limits) -> Result<Sent, Refusal> {
    if !conversation.stop.is_empty() && !limits.drop {
        return Err(Refusal::unsupported("stop"));
    }
    RESPONSES
        .check(&conversation.others, limits.drop, |name| name == VERBOSITY || RESPONSES.is_native(name))?;
    let tools = tools(conversation)?;
    let has_tools = !tools.is_empty();
    let request = Request {
        model: &conversation.model,
        instructions: joined(&conversation.system),
        input: items(conversation)?,
        stream: conversation.stream.then_some(true),
        store: conversation.other("store").is_none().then_some(false),
        tool_choice: conversation.tool_choice.as_ref().filter(|_| has_tools).map(choice),
        parallel_tool_calls: conversation.parallel_tool_calls.filter(|_| has_tools),
        tools,
        text: text(conversation),
        reasoning: effort_of(conversation).map(|effort| Reasoning { effort }),
        max_output_tokens: conversation.max_tokens,
        temperature: conversation.temperature,
        top_p: conversation.top_p,
        user: short_user(conversation),
        service_tier: conversation.service_tier.as_deref(),
        others: SentMembers { members: &conversation.others, is_sent: |name| RESPONSES.is_native(name) },
    };
    let body = serde_json::to_vec(&request).map_err(|error| Refusal::invalid("body", error))?;
    Ok(Sent { body, betas: Vec::new(), method: None })
}

fn tools<'a>(conversation: &'a Conversation<'a>) -> Result<Vec<Function<'a>>, Refusal> {
    let tools = conversation.tools.iter().map(|tool| match tool {
        Tool::Function { name, description, schema, strict, .. } => Ok(Function {
            r#type: "function",
            name,
            description: description.as_deref(),
            parameters: schema.unwrap_or_else(any_object),
            strict: strict.unwrap_or_default(),
        }),
        Tool::Vendor(json) => Err(Refusal::tool(json)),
    });
    tools.collect()
}

fn choice<'a>(choice: &'a ToolChoice<'a>) -> Choice<'a> {
    match choice {
        ToolChoice::Auto => Choice::Word("auto"),
        ToolChoice::None => Choice::Word("none"),
        ToolChoice::Required => Choice::Word("required"),
        ToolChoice::Named(name) => Choice::Named { r#type: "function", name },
    }
}

/// Returns the format of the text and its verbosity, if any of them is set.
fn text<'a>(conversation: &'a Conversation<'a>) -> Option<TextConfig<'a>> {
    let format = match conversation.format {
        OutputFormat::Text => None,
        OutputFormat::Object => Some(Format::JsonObject),
        OutputFormat::Schema(schema) => Some(Format::JsonSchema(Schema::of(conversation, schema))),
    };
    let verbosity = conversation.other(VERBOSITY);
    (format.is_some() || verbosity.is_some()).then_some(TextConfig { format, verbosity })
}
