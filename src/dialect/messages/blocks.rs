//! Reads the content of a message, of a system prompt or of a tool result: text, or a list of blocks.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::dialect::{
    conversation::{Content, Part, Refusal, Source},
    json::{Json, Text},
    read::{self, typed},
};

/// A block. Which members it has depends on its type.
#[derive(Deserialize)]
struct Block<'a> {
    #[serde(borrow)]
    r#type: Text<'a>,
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    source: Option<&'a RawValue>,
    #[serde(borrow)]
    title: Option<Text<'a>>,
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_use_id: Option<Text<'a>>,
    is_error: Option<bool>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    thinking: Option<Text<'a>>,
    #[serde(borrow)]
    signature: Option<Text<'a>>,
    #[serde(borrow)]
    data: Option<Text<'a>>,
    #[serde(borrow)]
    cache_control: Option<&'a RawValue>,
}

/// A place. Which members it has depends on its type.
#[derive(Deserialize)]
struct Place<'a> {
    #[serde(borrow)]
    r#type: Text<'a>,
    #[serde(borrow)]
    url: Option<Text<'a>>,
    #[serde(borrow)]
    media_type: Option<Text<'a>>,
    #[serde(borrow)]
    data: Option<Text<'a>>,
    #[serde(borrow)]
    file_id: Option<Text<'a>>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
}

/// Reads the content at a parameter.
pub(super) fn read<'a>(name: &str, value: Json<'a>) -> Result<Vec<Part<'a>>, Refusal> {
    read::content(name, value, |list| {
        let mut parts = Vec::new();
        for block in typed::<Vec<Block<'_>>>(name, list)? {
            add(&mut parts, name, block)?;
        }
        Ok(parts)
    })
}

/// Adds the parts of a block.
fn add<'a>(parts: &mut Vec<Part<'a>>, name: &str, mut block: Block<'a>) -> Result<(), Refusal> {
    let missing = |kind: &str| Refusal::invalid(name, format_args!("an incomplete block of type {kind:?}"));
    let (kind, cache) = (std::mem::take(&mut block.r#type), block.cache_control.take());
    let content = match &*kind {
        "text" => block.text.map(Content::Text),
        "image" => image(name, block.source)?,
        "document" => return document(parts, name, block, cache),
        "tool_use" => call(block),
        "tool_result" => result(name, block)?,
        "thinking" => thinking(block),
        "redacted_thinking" => block.data.map(Content::RedactedThinking),
        // The text that was found; its source is a name.
        "search_result" => {
            parts.extend(block.content.map(|content| read(name, content)).transpose()?.unwrap_or_default());
            return Ok(());
        }
        // Calls of tools that ran at Anthropic, and their results: the text of the turn is about them.
        "server_tool_use" => return Ok(()),
        kind if kind.ends_with("_tool_result") => return Ok(()),
        kind => return Err(Refusal::part(kind)),
    };
    parts.push(Part { content: content.ok_or_else(|| missing(&kind))?, cache });
    Ok(())
}

fn call(block: Block<'_>) -> Option<Content<'_>> {
    let arguments = block.input.map_or("{}", |input| input.get()).into();
    Some(Content::ToolCall { id: block.id?, name: block.name?, arguments })
}

fn thinking(block: Block<'_>) -> Option<Content<'_>> {
    Some(Content::Thinking { text: block.thinking?, signature: block.signature.unwrap_or_default() })
}

fn result<'a>(name: &str, block: Block<'a>) -> Result<Option<Content<'a>>, Refusal> {
    let parts = block.content.map(|content| read(name, content)).transpose()?.unwrap_or_default();
    let is_error = block.is_error.unwrap_or_default();
    Ok(block.tool_use_id.map(|id| Content::ToolResult { id, parts, is_error }))
}

fn image<'a>(name: &str, source: Option<Json<'a>>) -> Result<Option<Content<'a>>, Refusal> {
    let place = source.map(|source| typed::<Place<'_>>(name, source)).transpose()?;
    Ok(place.and_then(place_of).map(Content::Image))
}

fn place_of(place: Place<'_>) -> Option<Source<'_>> {
    match &*place.r#type {
        "url" => place.url.map(Source::Url),
        "base64" => Some(Source::Base64 { media_type: place.media_type?, data: place.data? }),
        "file" => place.file_id.map(Source::File),
        _ => None,
    }
}

/// Adds the parts of a document. One of text is text, and one of blocks is its blocks.
fn document<'a>(
    parts: &mut Vec<Part<'a>>,
    name: &str,
    block: Block<'a>,
    cache: Option<Json<'a>>,
) -> Result<(), Refusal> {
    let missing = || Refusal::invalid(name, "a document without a source that is known");
    let place: Place<'_> = typed(name, block.source.ok_or_else(missing)?)?;
    let content = match &*place.r#type {
        "content" => {
            parts.extend(read(name, place.content.ok_or_else(missing)?)?);
            return Ok(());
        }
        "text" => Content::Text(place.data.ok_or_else(missing)?),
        _ => Content::Document { source: place_of(place).ok_or_else(missing)?, name: block.title },
    };
    parts.push(Part { content, cache });
    Ok(())
}
