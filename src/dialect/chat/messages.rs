//! Reads the messages of a chat completion.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::parts;
use crate::dialect::{
    conversation::{Content, Conversation, Part, Refusal, Role},
    json::{Json, Text},
    read::typed,
};

/// The name of the parameter, for refusals.
pub(super) const MESSAGES: &str = "messages";

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    role: Text<'a>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    refusal: Option<Text<'a>>,
    #[serde(borrow)]
    thinking_blocks: Option<Vec<ThinkingBlock<'a>>>,
    #[serde(borrow)]
    tool_calls: Option<Vec<ToolCall<'a>>>,
    #[serde(borrow)]
    tool_call_id: Option<Text<'a>>,
    #[serde(borrow)]
    cache_control: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ThinkingBlock<'a> {
    #[serde(borrow)]
    thinking: Option<Text<'a>>,
    #[serde(borrow)]
    signature: Option<Text<'a>>,
    #[serde(borrow)]
    data: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct ToolCall<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    function: Function<'a>,
    #[serde(borrow)]
    cache_control: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow, default)]
    arguments: Text<'a>,
}

/// Reads the messages. Those of the system go to the front, wherever they are.
pub(super) fn read<'a>(into: &mut Conversation<'a>, value: Json<'a>) -> Result<(), Refusal> {
    for message in typed::<Vec<Message<'_>>>(MESSAGES, value)? {
        add(into, message)?;
    }
    Ok(())
}

fn add<'a>(into: &mut Conversation<'a>, mut message: Message<'a>) -> Result<(), Refusal> {
    let mut content = match message.content {
        Some(content) => parts::read(content)?,
        None => Vec::new(),
    };
    // A mark on a message is one on its last part.
    let mark = message.cache_control.take();
    match &*message.role {
        "system" | "developer" => into.system.extend(marked(content, mark)),
        "user" => into.push(Role::User, marked(content, mark)),
        "assistant" => {
            content = assistant(content, message);
            into.push(Role::Assistant, marked(content, mark));
        }
        "tool" => into.push(Role::User, vec![result(content, message.tool_call_id, mark)?]),
        other => {
            let error = format_args!("the role {other:?} is not translated");
            return Err(Refusal::invalid(MESSAGES, error));
        }
    }
    Ok(())
}

/// Sets a cache mark on the last part.
fn marked<'a>(mut parts: Vec<Part<'a>>, mark: Option<Json<'a>>) -> Vec<Part<'a>> {
    if let Some(last) = parts.last_mut().filter(|_| mark.is_some()) {
        last.cache = mark;
    }
    parts
}

/// Returns the parts of a message of the assistant, in the order in which a model writes them.
fn assistant<'a>(content: Vec<Part<'a>>, message: Message<'a>) -> Vec<Part<'a>> {
    let has_thinking = content
        .iter()
        .any(|part| matches!(part.content, Content::Thinking { .. } | Content::RedactedThinking(_)));
    // A client may send the blocks in both places.
    let blocks = message.thinking_blocks.filter(|_| !has_thinking).unwrap_or_default();
    let thinking = blocks.into_iter().filter_map(thinking);
    let refusal = message.refusal.map(Content::Refusal).map(Part::new);
    let calls = message.tool_calls.unwrap_or_default().into_iter().map(|call| Part {
        content: Content::ToolCall {
            id: call.id,
            name: call.function.name,
            arguments: call.function.arguments,
        },
        cache: call.cache_control,
    });
    thinking.map(Part::new).chain(content).chain(refusal).chain(calls).collect()
}

/// Returns a block of thinking that its vendor can check. Text without a signature would be refused.
fn thinking(block: ThinkingBlock<'_>) -> Option<Content<'_>> {
    match block {
        ThinkingBlock { data: Some(data), .. } => Some(Content::RedactedThinking(data)),
        ThinkingBlock { thinking, signature: Some(signature), .. } if !signature.is_empty() => {
            Some(Content::Thinking { text: thinking.unwrap_or_default(), signature })
        }
        ThinkingBlock { .. } => None,
    }
}

fn result<'a>(
    parts: Vec<Part<'a>>,
    id: Option<Text<'a>>,
    cache: Option<Json<'a>>,
) -> Result<Part<'a>, Refusal> {
    let id = id.ok_or_else(|| Refusal::invalid(MESSAGES, "a tool message without `tool_call_id`"))?;
    Ok(Part { content: Content::ToolResult { id, parts, is_error: false }, cache })
}
