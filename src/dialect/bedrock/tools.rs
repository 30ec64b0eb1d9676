//! The tools of a request, and which of them are called: `toolConfig`.

use serde::Serialize;

use super::content::CachePoint;
use crate::dialect::{
    anthropic::{Format, Names, WrittenTool, choice, tools},
    conversation::{Content, Conversation, Refusal, ToolChoice},
    json::Json,
};

/// The tools, and the choice of them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolConfig<'a> {
    tools: Vec<Tool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Choice>,
}

/// A tool, or a mark behind which the tools are cached.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Tool<'a> {
    #[serde(rename_all = "camelCase")]
    ToolSpec {
        name: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
        input_schema: Schema<'a>,
    },
    CachePoint(CachePoint<'a>),
}

#[derive(Serialize)]
struct Schema<'a> {
    json: Json<'a>,
}

/// The choice of tools.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Choice {
    Auto {},
    Any {},
    Tool { name: String },
}

impl<'a> ToolConfig<'a> {
    /// Returns the tools, or none if there are none. The API has no word for a model that may call none: they are left out,
    /// unless an earlier turn has called one, because the API requires the tools of its history.
    pub(super) fn of(
        conversation: &'a Conversation<'a>,
        (format, has_cache): (&Format<'a>, bool),
        names: &mut Names,
    ) -> Result<Option<Self>, Refusal> {
        let has_none = conversation.tool_choice == Some(ToolChoice::None) && !format.is_tool();
        if has_none && !has_calls(conversation) {
            return Ok(None);
        }
        let mut written = Vec::with_capacity(conversation.tools.len());
        for tool in tools(conversation, format, names)? {
            add(tool, has_cache, &mut written)?;
        }
        if written.is_empty() {
            return Ok(None);
        }
        let choice = choice(conversation, (format, true), names);
        let tool_choice = choice.and_then(|choice| match (choice.r#type, choice.name) {
            ("any", _) => Some(Choice::Any {}),
            ("tool", Some(name)) => Some(Choice::Tool { name }),
            ("auto", _) => Some(Choice::Auto {}),
            _ => None,
        });
        Ok(Some(Self { tools: written, tool_choice }))
    }
}

/// Returns true if an earlier turn has called a tool, or has its result.
fn has_calls(conversation: &Conversation<'_>) -> bool {
    let mut parts = conversation.turns.iter().flat_map(|turn| &turn.parts);
    parts.any(|part| matches!(part.content, Content::ToolCall { .. } | Content::ToolResult { .. }))
}

/// Appends a tool, and its mark behind it.
fn add<'a>(tool: WrittenTool<'a>, has_cache: bool, written: &mut Vec<Tool<'a>>) -> Result<(), Refusal> {
    match tool {
        WrittenTool::Function { name, description, input_schema, cache_control } => {
            let description = description.filter(|description| !description.is_empty());
            written.push(Tool::ToolSpec { name, description, input_schema: Schema { json: input_schema } });
            let cache = cache_control.filter(|_| has_cache);
            written.extend(cache.map(|cache| Tool::CachePoint(CachePoint::of(cache))));
            Ok(())
        }
        WrittenTool::Vendor(json) => Err(Refusal::tool(json)),
    }
}
