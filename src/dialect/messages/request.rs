//! Reads a request to `/v1/messages`.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::blocks;
use crate::dialect::{
    chat,
    conversation::{Conversation, Effort, OutputFormat, Refusal, Role, Tool, ToolChoice},
    json::{self, Json, Text},
    read::{self, typed, whole},
};

/// The parameters without an effect on the output of another vendor's model.
const DROPPED: [&str; 7] = [
    "cache_control",
    "context_management",
    "diagnostics",
    "fallbacks",
    "inference_geo",
    "service_tier",
    "speed",
];

/// Reads a request.
///
/// # Errors
/// Returns the parameter that cannot be read.
pub(in crate::dialect) fn read(body: &str) -> Result<Conversation<'_>, Refusal> {
    read::conversation(body, |into, name, value| {
        Ok(set(into, name, value)? || set_sampling(into, name, value)?)
    })
}

/// Sets a parameter that is not about sampling. Returns false for one without a place in a conversation.
fn set<'a>(into: &mut Conversation<'a>, name: &str, value: Json<'a>) -> Result<bool, Refusal> {
    match name {
        "model" => into.model = typed(name, value)?,
        "stream" => into.stream = typed(name, value)?,
        "system" => into.system.extend(blocks::read(name, value)?),
        "messages" => messages(into, value)?,
        "tools" => into.tools = tools(value)?,
        "tool_choice" => tool_choice(into, value)?,
        "metadata" => into.user = typed::<Metadata<'_>>(name, value)?.user_id,
        "output_format" => into.format = format(name, value)?,
        "output_config" => output_config(into, value)?,
        // A deployment's own parameters are in OpenAI's words. They are behind those of the client.
        _ => return Ok(DROPPED.contains(&name) || chat::set_default(into, name, value)?),
    }
    Ok(true)
}

/// Sets a parameter about sampling. Returns false for any other.
fn set_sampling<'a>(into: &mut Conversation<'a>, name: &str, value: Json<'a>) -> Result<bool, Refusal> {
    match name {
        "max_tokens" => into.max_tokens = Some(whole(name, value)?),
        "temperature" => into.temperature = Some(typed(name, value)?),
        "top_p" => into.top_p = Some(typed(name, value)?),
        "stop_sequences" => into.stop = typed(name, value)?,
        // An effort in `output_config` is more exact than a budget.
        "thinking" => into.effort = into.effort.or(typed::<Thinking<'_>>(name, value)?.effort()),
        _ => return Ok(false),
    }
    Ok(true)
}

#[derive(Deserialize)]
struct Metadata<'a> {
    #[serde(borrow)]
    user_id: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    role: Text<'a>,
    #[serde(borrow)]
    content: &'a RawValue,
}

/// Reads the messages. Those of the system go to the front, wherever they are.
fn messages<'a>(into: &mut Conversation<'a>, value: Json<'a>) -> Result<(), Refusal> {
    const NAME: &str = "messages";
    for Message { role, content } in typed::<Vec<Message<'_>>>(NAME, value)? {
        let parts = blocks::read(NAME, content)?;
        match &*role {
            "user" => into.push(Role::User, parts),
            "assistant" => into.push(Role::Assistant, parts),
            "system" => into.system.extend(parts),
            other => {
                return Err(Refusal::invalid(NAME, format_args!("the role {other:?} is not translated")));
            }
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct Described<'a> {
    #[serde(borrow)]
    r#type: Option<Text<'a>>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    description: Option<Text<'a>>,
    #[serde(borrow)]
    input_schema: Option<&'a RawValue>,
    #[serde(borrow)]
    cache_control: Option<&'a RawValue>,
}

/// Reads the tools. One with a type of its own is Anthropic's.
fn tools(value: Json<'_>) -> Result<Vec<Tool<'_>>, Refusal> {
    typed::<Vec<Json<'_>>>("tools", value)?.into_iter().map(tool).collect()
}

fn tool(value: Json<'_>) -> Result<Tool<'_>, Refusal> {
    let described: Described<'_> = typed("tools", value)?;
    let Described { description, input_schema, cache_control: cache, .. } = described;
    match (described.r#type.as_deref(), described.name) {
        (Some("custom") | None, Some(name)) => {
            let schema = input_schema.filter(|schema| json::is_object(schema));
            Ok(Tool::Function { name, description, schema, strict: None, cache })
        }
        (Some("custom") | None, None) => Err(Refusal::invalid("tools", "a tool without a name")),
        (Some(_), _) => Ok(Tool::Vendor(value)),
    }
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow)]
    r#type: Text<'a>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(default)]
    disable_parallel_tool_use: bool,
}

fn tool_choice<'a>(into: &mut Conversation<'a>, value: Json<'a>) -> Result<(), Refusal> {
    const NAME: &str = "tool_choice";
    let choice: Choice<'_> = typed(NAME, value)?;
    into.tool_choice = Some(match (&*choice.r#type, choice.name) {
        ("auto", _) => ToolChoice::Auto,
        ("none", _) => ToolChoice::None,
        ("any", _) => ToolChoice::Required,
        ("tool", Some(name)) => ToolChoice::Named(name),
        (other, _) => {
            return Err(Refusal::invalid(NAME, format_args!("unknown or incomplete choice {other:?}")));
        }
    });
    if choice.disable_parallel_tool_use {
        into.parallel_tool_calls = Some(false);
    }
    Ok(())
}

#[derive(Deserialize)]
struct OutputConfig<'a> {
    #[serde(borrow)]
    effort: Option<Text<'a>>,
    #[serde(borrow)]
    format: Option<&'a RawValue>,
}

fn output_config<'a>(into: &mut Conversation<'a>, value: Json<'a>) -> Result<(), Refusal> {
    const NAME: &str = "output_config";
    let config: OutputConfig<'_> = typed(NAME, value)?;
    if let Some(effort) = config.effort {
        into.effort = Some(Effort::named(NAME, &effort)?);
    }
    if let Some(value) = config.format {
        into.format = format(NAME, value)?;
    }
    Ok(())
}

#[derive(Deserialize)]
struct Format<'a> {
    #[serde(borrow)]
    r#type: Text<'a>,
    #[serde(borrow)]
    schema: Option<&'a RawValue>,
}

fn format<'a>(name: &str, value: Json<'a>) -> Result<OutputFormat<'a>, Refusal> {
    match typed::<Format<'_>>(name, value)? {
        Format { r#type, schema: Some(schema) } if *r#type == *"json_schema" => {
            Ok(OutputFormat::Schema(schema))
        }
        Format { r#type, .. } => {
            Err(Refusal::invalid(name, format_args!("unknown or incomplete format {:?}", &*r#type)))
        }
    }
}

#[derive(Deserialize)]
struct Thinking<'a> {
    #[serde(borrow)]
    r#type: Text<'a>,
    budget_tokens: Option<u64>,
}

impl Thinking<'_> {
    /// Returns the effort of a budget: the reverse of the budgets that Anthropic's models get for an effort. The model
    /// decides if the thinking is adaptive.
    const fn of_budget(budget: u64) -> Effort {
        match budget {
            ..2048 => Effort::Low,
            2048..4096 => Effort::Medium,
            _ => Effort::High,
        }
    }

    fn effort(&self) -> Option<Effort> {
        match &*self.r#type {
            "disabled" => Some(Effort::None),
            _ => self.budget_tokens.map(Self::of_budget),
        }
    }
}
