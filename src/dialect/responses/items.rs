//! Reads the input of a request: a text, or a list of items.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{INPUT, REDACTED, SIGNATURE, object::REASONING, parts};
use crate::dialect::{
    conversation::{Content, Conversation, Part, Refusal, Role},
    json::{self, Json, Text},
    read::typed,
};

/// An item. Which members it has depends on its type.
#[derive(Default, Deserialize)]
struct Item<'a> {
    #[serde(borrow)]
    r#type: Option<Text<'a>>,
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    role: Option<Text<'a>>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    call_id: Option<Text<'a>>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
    #[serde(borrow)]
    output: Option<&'a RawValue>,
    #[serde(borrow)]
    summary: Option<Vec<Summary<'a>>>,
    #[serde(borrow)]
    encrypted_content: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Summary<'a> {
    #[serde(borrow)]
    text: Text<'a>,
}

/// Items of tools that have run at OpenAI. Their results are in the text behind them.
const SERVER_TOOLS: [&str; 6] = [
    "code_interpreter_call",
    "file_search_call",
    "image_generation_call",
    "mcp_call",
    "mcp_list_tools",
    "web_search_call",
];

/// Reads the input. Messages of the system and of developers go to the system prompt, wherever they are.
pub(super) fn read<'a>(into: &mut Conversation<'a>, value: Json<'a>) -> Result<(), Refusal> {
    if json::is_text(value) {
        into.push(Role::User, vec![Part::new(Content::Text(typed(INPUT, value)?))]);
        return Ok(());
    }
    typed::<Vec<Item<'_>>>(INPUT, value)?.into_iter().try_for_each(|item| add(into, item))
}

fn add<'a>(into: &mut Conversation<'a>, mut item: Item<'a>) -> Result<(), Refusal> {
    let kind = item.r#type.take().unwrap_or_else(|| "message".into());
    match &*kind {
        "message" => message(into, item)?,
        "function_call" => into.push(Role::Assistant, vec![call(item)?]),
        "function_call_output" => into.push(Role::User, vec![result(item)?]),
        "reasoning" => into.push(Role::Assistant, thinking(item).map(Part::new).into_iter().collect()),
        // Vercel's AI SDK refers to the reasoning before a tool call, unless it is configured otherwise.
        "item_reference" if item.id.is_some_and(|id| id.starts_with(REASONING)) => {}
        "item_reference" => {
            return Err(Refusal::new(
                INPUT,
                "The items of this model's responses are not stored: send the item in place of its id, as clients do \
                 with `store: false`.",
            ));
        }
        known if SERVER_TOOLS.contains(&known) => {}
        other => {
            return Err(Refusal::new(
                INPUT,
                format!("The provider of this model takes no item of type {other:?}."),
            ));
        }
    }
    Ok(())
}

fn message<'a>(into: &mut Conversation<'a>, item: Item<'a>) -> Result<(), Refusal> {
    let content = item.content.map_or(Ok(Vec::new()), parts::read)?;
    match item.role.as_deref().unwrap_or_default() {
        "system" | "developer" => into.system.extend(content),
        "user" => into.push(Role::User, content),
        "assistant" => into.push(Role::Assistant, content),
        other => return Err(Refusal::invalid(INPUT, format_args!("the role {other:?} is not translated"))),
    }
    Ok(())
}

fn call(item: Item<'_>) -> Result<Part<'_>, Refusal> {
    match (item.call_id, item.name) {
        (Some(id), Some(name)) => {
            let arguments =
                item.arguments.map_or(Ok(Text::default()), |arguments| typed(INPUT, arguments))?;
            Ok(Part::new(Content::ToolCall { id, name, arguments }))
        }
        _ => Err(Refusal::invalid(INPUT, "a `function_call` without `call_id` or `name`")),
    }
}

fn result(item: Item<'_>) -> Result<Part<'_>, Refusal> {
    let id = item.call_id;
    let id = id.ok_or_else(|| Refusal::invalid(INPUT, "a `function_call_output` without `call_id`"))?;
    let parts = item.output.map_or(Ok(Vec::new()), parts::read)?;
    Ok(Part::new(Content::ToolResult { id, parts, is_error: false }))
}

/// Returns thinking with what its vendor needs to see it again. That of OpenAI's own models is the text of its summary.
fn thinking(item: Item<'_>) -> Option<Content<'_>> {
    let encrypted = item.encrypted_content.and_then(|content| content.split(":"));
    let signature = match encrypted {
        Some((kind, data)) if *kind == *REDACTED => return Some(Content::RedactedThinking(data)),
        Some((kind, signature)) if *kind == *SIGNATURE => signature,
        Some(_) | None => Text::default(),
    };
    let text: String = item.summary.unwrap_or_default().iter().map(|part| &*part.text).collect();
    let is_empty = text.is_empty() && signature.is_empty();
    (!is_empty).then(|| Content::Thinking { text: text.into(), signature })
}
