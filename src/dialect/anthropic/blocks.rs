//! The content blocks of messages.

use serde::Serialize;

use super::names::{Names, identifier};
use crate::dialect::{
    conversation::{self, Content, Part, Refusal, Role, Source, Turn, arguments as arguments_of},
    json::Json,
};

/// A message, with blocks of Anthropic's or of Bedrock's.
#[derive(Serialize)]
pub(in crate::dialect) struct Message<B> {
    role: Role,
    pub(in crate::dialect) content: Vec<B>,
}

impl<B> Message<B> {
    /// Returns the messages of turns.
    ///
    /// # Errors
    /// Returns the first error of `write`.
    pub(in crate::dialect) fn of<'a>(
        turns: &'a [Turn<'a>],
        write: impl FnMut(&'a [Part<'a>]) -> Result<Vec<B>, Refusal>,
    ) -> Result<Vec<Self>, Refusal> {
        let joined = conversation::joined(turns, write)?;
        Ok(joined.into_iter().map(|(role, content)| Self { role, content }).collect())
    }

    /// Returns the last block of an assistant's prefix, if the messages end with one.
    pub(in crate::dialect) fn end_of_prefix(messages: &mut [Self]) -> Option<&mut B> {
        let last = messages.last_mut().filter(|message| message.role == Role::Assistant);
        last.and_then(|message| message.content.last_mut())
    }
}

/// A block, and the mark behind which the prompt is cached.
#[derive(Serialize)]
pub(super) struct Block<'a> {
    #[serde(flatten)]
    content: BlockContent<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<Json<'a>>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum BlockContent<'a> {
    Text {
        text: &'a str,
    },
    Image {
        source: BlockSource<'a>,
    },
    Document {
        source: BlockSource<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<&'a str>,
    },
    ToolUse {
        id: String,
        name: String,
        input: Json<'a>,
    },
    ToolResult {
        tool_use_id: String,
        content: Vec<Block<'a>>,
    },
    Thinking {
        thinking: &'a str,
        signature: &'a str,
    },
    RedactedThinking {
        data: &'a str,
    },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum BlockSource<'a> {
    Url { url: &'a str },
    Base64 { media_type: &'a str, data: &'a str },
    File { file_id: &'a str },
}

/// Returns the messages. A turn without a block is left out: the API refuses empty messages and empty text.
pub(super) fn messages<'a>(
    turns: &'a [Turn<'a>],
    names: &mut Names,
) -> Result<Vec<Message<Block<'a>>>, Refusal> {
    let mut messages = Message::of(turns, |parts| blocks(parts, names))?;
    // White space at the end of an assistant's prefix, which the API refuses.
    if let Some(Block { content: BlockContent::Text { text }, .. }) = Message::end_of_prefix(&mut messages) {
        *text = text.trim_end();
    }
    Ok(messages)
}

/// Returns the blocks of parts.
pub(super) fn blocks<'a>(parts: &'a [Part<'a>], names: &mut Names) -> Result<Vec<Block<'a>>, Refusal> {
    let mut blocks = Vec::with_capacity(parts.len());
    for part in parts {
        if let Some(content) = block(&part.content, names)? {
            blocks.push(Block { content, cache_control: part.cache });
        }
    }
    Ok(blocks)
}

fn block<'a>(content: &'a Content<'a>, names: &mut Names) -> Result<Option<BlockContent<'a>>, Refusal> {
    Ok(Some(match content {
        Content::Text(text) | Content::Refusal(text) if text.trim().is_empty() => return Ok(None),
        Content::Text(text) | Content::Refusal(text) => BlockContent::Text { text },
        Content::Image(source) => BlockContent::Image { source: place(source) },
        Content::Audio { .. } => return Err(Refusal::part("input_audio")),
        Content::Document { source, name } => document(source, name.as_deref())?,
        Content::ToolCall { id, name, arguments } => {
            let input = arguments_of(name, arguments)?;
            BlockContent::ToolUse { id: call_id(id), name: names.sent(name), input }
        }
        Content::ToolResult { id, parts, .. } => {
            BlockContent::ToolResult { tool_use_id: call_id(id), content: blocks(parts, names)? }
        }
        // The API refuses it, as that of another vendor's model.
        Content::Thinking { signature, .. } if signature.is_empty() => return Ok(None),
        Content::Thinking { text, signature } => BlockContent::Thinking { thinking: text, signature },
        Content::RedactedThinking(data) => BlockContent::RedactedThinking { data },
    }))
}

fn call_id(id: &str) -> String {
    identifier(id, usize::MAX)
}

fn place<'a>(source: &'a Source<'a>) -> BlockSource<'a> {
    match source {
        Source::Url(url) => BlockSource::Url { url },
        Source::Base64 { media_type, data } => BlockSource::Base64 { media_type, data },
        Source::File(file_id) => BlockSource::File { file_id },
    }
}

fn document<'a>(source: &'a Source<'a>, title: Option<&'a str>) -> Result<BlockContent<'a>, Refusal> {
    match source {
        Source::Base64 { media_type, .. } if **media_type != *"application/pdf" => Err(Refusal::invalid(
            "messages",
            format_args!("the provider of this model takes no file of type {:?}: send a PDF", &**media_type),
        )),
        Source::Base64 { .. } | Source::Url(_) | Source::File(_) => {
            Ok(BlockContent::Document { source: place(source), title })
        }
    }
}
