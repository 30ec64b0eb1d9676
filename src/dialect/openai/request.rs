//! Writes a request to `/chat/completions`.

use serde::Serialize;

use super::messages::{Message, messages};
use crate::dialect::{
    conversation::{Conversation, Effort, OutputFormat, Refusal, Tool, ToolChoice},
    features::OPENAI_LACKS,
    json::{Json, SentMembers, any_object},
    sent::{Limits, Sent},
};

/// The longest identifier of an end user.
const LONGEST_USER: usize = 64;

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<WrittenTool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Choice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<Format<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stop: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'a str>,
    #[serde(flatten)]
    others: SentMembers<'a>,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

#[derive(Serialize)]
struct WrittenTool<'a> {
    r#type: &'static str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    parameters: Json<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Choice<'a> {
    Word(&'static str),
    Named { r#type: &'static str, function: Named<'a> },
}

#[derive(Serialize)]
struct Named<'a> {
    name: &'a str,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Format<'a> {
    JsonObject,
    JsonSchema { json_schema: Schema<'a> },
}

/// The schema of an output, with a name, which the API requires.
#[derive(Serialize)]
pub(in crate::dialect) struct Schema<'a> {
    name: &'a str,
    schema: Json<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

impl<'a> Schema<'a> {
    /// Returns the schema of a conversation's output.
    pub(in crate::dialect) fn of(conversation: &'a Conversation<'a>, schema: Json<'a>) -> Self {
        let name = conversation.format_name.as_deref().unwrap_or("response");
        Self { name, schema, strict: conversation.is_strict }
    }
}

fn is_passed(name: &str) -> bool {
    !OPENAI_LACKS.contains(&name)
}

/// Writes a request.
///
/// # Errors
/// Returns the parameter that cannot be translated.
pub(in crate::dialect) fn write(conversation: &Conversation<'_>, limits: Limits) -> Result<Sent, Refusal> {
    let lacking = conversation.others.iter().find(|(name, _)| !is_passed(name));
    if let Some((name, _)) = lacking.filter(|_| !limits.drop) {
        return Err(Refusal::unsupported(name));
    }
    let tools = tools(conversation)?;
    let (has_tools, stream) = (!tools.is_empty(), conversation.stream.then_some(true));
    let is_newer = limits.newer_limit || reasons(&conversation.model);
    let (older, newer) = match is_newer {
        true => (None, conversation.max_tokens),
        false => (conversation.max_tokens, None),
    };
    let request = Request {
        model: &conversation.model,
        messages: messages(conversation)?,
        stream,
        stream_options: stream.map(|include_usage| StreamOptions { include_usage }),
        tool_choice: conversation.tool_choice.as_ref().filter(|_| has_tools).map(choice),
        parallel_tool_calls: conversation.parallel_tool_calls.filter(|_| has_tools),
        tools,
        response_format: format(conversation),
        reasoning_effort: effort_of(conversation),
        max_tokens: older,
        max_completion_tokens: newer,
        temperature: conversation.temperature,
        top_p: conversation.top_p,
        stop: conversation.stop.iter().map(|stop| &**stop).collect(),
        user: short_user(conversation),
        service_tier: conversation.service_tier.as_deref(),
        others: SentMembers { members: &conversation.others, is_sent: is_passed },
    };
    let body = serde_json::to_vec(&request).map_err(|error| Refusal::invalid("body", error))?;
    Ok(Sent { body, betas: Vec::new(), method: None })
}

/// Returns true for a model that is known to reason: OpenAI's from o1 and from GPT-5 on, and gpt-oss. Only these have an
/// effort, and they have the newer limit of the output.
fn reasons(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model);
    let number_after = |prefix: &str| {
        let digits = name.strip_prefix(prefix).unwrap_or_default();
        digits.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse::<u32>().ok())
    };
    let is_chat = name.contains("-chat");
    name.starts_with("gpt-oss")
        || !is_chat && number_after("gpt-").is_some_and(|version| (5..20).contains(&version))
        || number_after("o").is_some()
}

fn tools<'a>(conversation: &'a Conversation<'a>) -> Result<Vec<WrittenTool<'a>>, Refusal> {
    let tools = conversation.tools.iter().map(|tool| match tool {
        Tool::Function { name, description, schema, strict, .. } => Ok(WrittenTool {
            r#type: "function",
            function: Function {
                name,
                description: description.as_deref(),
                parameters: schema.unwrap_or_else(any_object),
                strict: *strict,
            },
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
        ToolChoice::Named(name) => Choice::Named { r#type: "function", function: Named { name } },
    }
}

fn format<'a>(conversation: &'a Conversation<'a>) -> Option<Format<'a>> {
    match conversation.format {
        OutputFormat::Text => None,
        OutputFormat::Object => Some(Format::JsonObject),
        OutputFormat::Schema(schema) => {
            Some(Format::JsonSchema { json_schema: Schema::of(conversation, schema) })
        }
    }
}

/// Returns the effort of a conversation with a model that is known to reason.
pub(in crate::dialect) fn effort_of(conversation: &Conversation<'_>) -> Option<&'static str> {
    conversation.effort.filter(|_| reasons(&conversation.model)).and_then(effort)
}

/// Returns the identifier of the end user, unless it is longer than OpenAI accepts.
pub(in crate::dialect) fn short_user<'a>(conversation: &'a Conversation<'_>) -> Option<&'a str> {
    conversation.user.as_deref().filter(|user| user.len() <= LONGEST_USER)
}

/// Returns the effort. Few models can be kept from reasoning.
const fn effort(effort: Effort) -> Option<&'static str> {
    Some(match effort {
        Effort::None => return None,
        Effort::Minimal => "minimal",
        Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High | Effort::XHigh | Effort::Max => "high",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_that_reason_are_known_by_their_names() {
        for model in ["o1", "o3-mini", "gpt-5", "gpt-5.2-codex", "gpt-6-mini", "openai/gpt-oss-120b"] {
            assert!(reasons(model), "{model}");
        }
        for model in
            ["gpt-4o", "gpt-4.1", "gpt-35-turbo", "gpt-5-chat-latest", "olmo", "claude-opus-4-5", "m"]
        {
            assert!(!reasons(model), "{model}");
        }
    }
}
