//! The tools of a request, and which of them are called.

use serde::Serialize;

use super::{
    format::{Format, JSON_TOOL},
    names::Names,
};
use crate::dialect::{
    conversation::{Content, Conversation, Refusal, Tool, ToolChoice},
    json::{self, Json, any_object},
};

/// A tool as it is written.
#[derive(Serialize)]
#[serde(untagged)]
pub(in crate::dialect) enum WrittenTool<'a> {
    Function {
        name: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
        input_schema: Json<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<Json<'a>>,
    },
    /// A tool of Anthropic, as the client wrote it.
    Vendor(Json<'a>),
}

impl<'a> WrittenTool<'a> {
    /// Returns a tool with a name and a schema only.
    const fn bare(name: String, input_schema: Json<'a>) -> Self {
        Self::Function { name, description: None, input_schema, cache_control: None }
    }
}

/// The choice of tools as it is written.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(in crate::dialect) struct WrittenChoice {
    pub(in crate::dialect) r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::dialect) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disable_parallel_tool_use: Option<bool>,
}

/// Returns the tools. Without any, those that an earlier turn called: the API requires the tools of its history.
pub(in crate::dialect) fn tools<'a>(
    conversation: &'a Conversation<'a>,
    format: &Format<'a>,
    names: &mut Names,
) -> Result<Vec<WrittenTool<'a>>, Refusal> {
    let mut tools = Vec::with_capacity(conversation.tools.len() + 1);
    for tool in &conversation.tools {
        tools.push(written(tool, names)?);
    }
    if let Format::Tool(schema) = format {
        tools.push(WrittenTool::bare(JSON_TOOL.to_owned(), schema));
    }
    if tools.is_empty() {
        tools.extend(
            called(conversation, names).into_iter().map(|name| WrittenTool::bare(name, any_object())),
        );
    }
    Ok(tools)
}

fn written<'a>(tool: &'a Tool<'a>, names: &mut Names) -> Result<WrittenTool<'a>, Refusal> {
    match tool {
        Tool::Function { name, description, schema, cache, .. } => Ok(WrittenTool::Function {
            name: names.sent(name),
            description: description.as_deref(),
            input_schema: schema.unwrap_or_else(any_object),
            cache_control: *cache,
        }),
        Tool::Vendor(json) if is_anthropics(json) => Ok(WrittenTool::Vendor(json)),
        Tool::Vendor(json) => Err(Refusal::tool(json)),
    }
}

/// Returns true for a tool of Anthropic: their types end with a date.
fn is_anthropics(tool: Json<'_>) -> bool {
    let kind = json::member(tool, "type").map_or("", |kind| kind.get().trim_matches('"'));
    let date = kind.rsplit_once('_').map_or("", |(_, date)| date);
    date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns the names of the tools that earlier turns called.
fn called(conversation: &Conversation<'_>, names: &mut Names) -> Vec<String> {
    let mut called = Vec::new();
    for part in conversation.turns.iter().flat_map(|turn| &turn.parts) {
        if let Content::ToolCall { name, .. } = &part.content {
            let name = names.sent(name);
            if !called.contains(&name) {
                called.push(name);
            }
        }
    }
    called
}

/// Returns the choice of tools, or none for the API's default. `has_written` is true if the request has any tools.
pub(in crate::dialect) fn choice(
    conversation: &Conversation<'_>,
    (format, has_written): (&Format<'_>, bool),
    names: &mut Names,
) -> Option<WrittenChoice> {
    let has_tools = !conversation.tools.is_empty();
    let (kind, name) = match &conversation.tool_choice {
        Some(ToolChoice::Named(name)) if has_tools => ("tool", Some(names.sent(name))),
        // Any tool, which may be that for JSON.
        _ if format.is_tool() && has_tools => ("any", None),
        _ if format.is_tool() => ("tool", Some(JSON_TOOL.to_owned())),
        Some(ToolChoice::None) if has_tools => ("none", None),
        Some(ToolChoice::Required) if has_tools => ("any", None),
        _ if has_tools && conversation.parallel_tool_calls == Some(false) => ("auto", None),
        Some(ToolChoice::Auto) if has_tools => ("auto", None),
        _ if !has_tools && has_written => ("none", None),
        _ => return None,
    };
    let is_single = conversation.parallel_tool_calls == Some(false) && kind != "none";
    Some(WrittenChoice { r#type: kind, name, disable_parallel_tool_use: is_single.then_some(true) })
}
