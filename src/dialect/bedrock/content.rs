//! The content blocks of messages.

use serde::Serialize;

use crate::dialect::{
    anthropic::{Message, Names, identifier},
    conversation::{Content, Part, Refusal, Source, Turn, arguments as arguments_of},
    json::{self, Json, Text},
};

/// A block: an object with one member, which is its type.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Block<'a> {
    Text(Text<'a>),
    Image(File<'a>),
    Document(File<'a>),
    #[serde(rename_all = "camelCase")]
    ToolUse {
        tool_use_id: String,
        name: String,
        input: Json<'a>,
    },
    ToolResult(ToolResult<'a>),
    ReasoningContent(Reasoning<'a>),
    /// A mark behind which the prompt is cached.
    CachePoint(CachePoint<'a>),
}

/// An image, or a document with its name.
#[derive(Serialize)]
pub(super) struct File<'a> {
    format: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    source: Bytes<'a>,
}

/// A file as data, in base64.
#[derive(Serialize)]
struct Bytes<'a> {
    bytes: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolResult<'a> {
    tool_use_id: String,
    content: Vec<Block<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Reasoning<'a> {
    ReasoningText { text: &'a str, signature: &'a str },
    RedactedContent(&'a str),
}

/// A mark behind which a prompt is cached, and for how long.
#[derive(Serialize)]
pub(super) struct CachePoint<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<Json<'a>>,
}

impl<'a> CachePoint<'a> {
    /// Returns the mark for that of a client.
    pub(super) fn of(cache: Json<'a>) -> Self {
        Self { r#type: "default", ttl: json::member(cache, "ttl") }
    }
}

/// The state of the writing of blocks.
pub(super) struct Blocks<'n> {
    pub(super) names: &'n mut Names,
    /// True if the model has marks of a cache.
    pub(super) has_cache: bool,
    /// The names of the documents so far, which must differ.
    pub(super) documents: Vec<String>,
}

impl Blocks<'_> {
    /// Returns the messages. A turn without a block is left out: the API refuses empty messages and blank text.
    pub(super) fn messages<'a>(&mut self, turns: &'a [Turn<'a>]) -> Result<Vec<Message<Block<'a>>>, Refusal> {
        let mut messages = Message::of(turns, |parts| self.of(parts))?;
        // White space at the end of an assistant's prefix, which Claude refuses.
        if let Some(Block::Text(text)) = Message::end_of_prefix(&mut messages) {
            *text = text.trim_end().to_owned().into();
        }
        Ok(messages)
    }

    /// Returns the blocks of parts, each with its mark behind it.
    pub(super) fn of<'a>(&mut self, parts: &'a [Part<'a>]) -> Result<Vec<Block<'a>>, Refusal> {
        let mut blocks = Vec::with_capacity(parts.len());
        for part in parts {
            let Some(block) = self.block(&part.content)? else { continue };
            blocks.push(block);
            let cache = part.cache.filter(|_| self.has_cache);
            blocks.extend(cache.map(|cache| Block::CachePoint(CachePoint::of(cache))));
        }
        Ok(blocks)
    }

    fn block<'a>(&mut self, content: &'a Content<'a>) -> Result<Option<Block<'a>>, Refusal> {
        Ok(Some(match content {
            Content::Text(text) | Content::Refusal(text) if text.trim().is_empty() => return Ok(None),
            Content::Text(text) | Content::Refusal(text) => Block::Text(text.clone()),
            Content::Image(source) => Block::Image(image(source)?),
            Content::Audio { .. } => return Err(Refusal::part("input_audio")),
            Content::Document { source, name } => Block::Document(self.document(source, name.as_deref())?),
            Content::ToolCall { id, name, arguments } => {
                let input = arguments_of(name, arguments)?;
                Block::ToolUse { tool_use_id: call_id(id), name: self.names.sent(name), input }
            }
            Content::ToolResult { id, parts, is_error } => Block::ToolResult(ToolResult {
                tool_use_id: call_id(id),
                content: self.result(parts)?,
                status: is_error.then_some("error"),
            }),
            // The API refuses it, as that of another vendor's model.
            Content::Thinking { signature, .. } if signature.is_empty() => return Ok(None),
            Content::Thinking { text, signature } => {
                Block::ReasoningContent(Reasoning::ReasoningText { text, signature })
            }
            Content::RedactedThinking(data) => Block::ReasoningContent(Reasoning::RedactedContent(data)),
        }))
    }

    /// Returns the blocks of a result, which can have no marks in it.
    fn result<'a>(&mut self, parts: &'a [Part<'a>]) -> Result<Vec<Block<'a>>, Refusal> {
        let blocks = parts.iter().map(|part| self.block(&part.content));
        blocks.filter_map(Result::transpose).collect()
    }

    fn document<'a>(&mut self, source: &'a Source<'a>, name: Option<&str>) -> Result<File<'a>, Refusal> {
        let (media_type, bytes) = data(source)?;
        let name = distinct(document_name(name.unwrap_or_default()), &self.documents);
        self.documents.push(name.clone());
        Ok(File { format: format(media_type, &DOCUMENTS)?, name: Some(name), source: bytes })
    }
}

fn call_id(id: &str) -> String {
    identifier(id, 64)
}

/// The formats of images, by media type.
const IMAGES: [(&str, &str); 5] = [
    ("image/png", "png"),
    ("image/jpeg", "jpeg"),
    ("image/jpg", "jpeg"),
    ("image/gif", "gif"),
    ("image/webp", "webp"),
];

/// The formats of documents, by media type.
const DOCUMENTS: [(&str, &str); 10] = [
    ("application/pdf", "pdf"),
    ("text/csv", "csv"),
    ("text/html", "html"),
    ("text/plain", "txt"),
    ("text/markdown", "md"),
    ("text/x-markdown", "md"),
    ("application/msword", "doc"),
    ("application/vnd.ms-excel", "xls"),
    ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx"),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"),
];

fn image<'a>(source: &'a Source<'a>) -> Result<File<'a>, Refusal> {
    let (media_type, source) = data(source)?;
    Ok(File { format: format(media_type, &IMAGES)?, name: None, source })
}

/// Returns the media type and the data of a file.
fn data<'a>(source: &'a Source<'a>) -> Result<(&'a str, Bytes<'a>), Refusal> {
    match source {
        Source::Base64 { media_type, data } => Ok((media_type, Bytes { bytes: data })),
        Source::Url(_) | Source::File(_) => {
            Err(Refusal::new("messages", "Bedrock takes images and files as data only: send a data URL."))
        }
    }
}

/// Returns the format of a media type, which may have parameters.
fn format(media_type: &str, formats: &[(&str, &'static str)]) -> Result<&'static str, Refusal> {
    let kind = media_type.split(';').next().unwrap_or_default().trim();
    let known = formats.iter().find(|(known, _)| known.eq_ignore_ascii_case(kind));
    known.map(|(_, format)| *format).ok_or_else(|| {
        let known: Vec<_> = formats.iter().map(|(_, format)| *format).collect();
        let known = known.join(", ");
        Refusal::invalid(
            "messages",
            format_args!("Bedrock takes no file of type {kind:?}: send one of {known}"),
        )
    })
}

/// Returns a name of a document in the characters that the API allows: letters, digits, single blanks, hyphens and brackets.
fn document_name(name: &str) -> String {
    let is_valid = |c: &char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-' | '(' | ')' | '[' | ']');
    let valid: String = name.chars().map(|c| if is_valid(&c) { c } else { '-' }).take(190).collect();
    let words: Vec<_> = valid.split(' ').filter(|word| !word.is_empty()).collect();
    if words.is_empty() { "document".to_owned() } else { words.join(" ") }
}

/// Returns the name, with a number if another document has it.
fn distinct(name: String, taken: &[String]) -> String {
    if !taken.contains(&name) {
        return name;
    }
    let numbered = (2..).map(|n| format!("{name} {n}")).find(|name| !taken.contains(name));
    numbered.unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_document_is_valid_and_its_own() {
        assert_eq!(document_name("Q3  report (v2).pdf"), "Q3 report (v2)-pdf");
        assert_eq!(document_name(" "), "document");
        let taken = ["a".to_owned(), "a 2".to_owned()];
        assert_eq!(distinct("a".to_owned(), &taken), "a 3");
        assert_eq!(distinct("b".to_owned(), &taken), "b");
    }
}
