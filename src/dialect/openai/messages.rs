//! Writes the messages of a chat completion.

use serde::Serialize;

use crate::dialect::conversation::{Content, Conversation, Part, Refusal, Role, Source, Turn};

/// A message.
#[derive(Serialize)]
pub(super) struct Message<'a> {
    role: &'static str,
    content: Option<MessageContent<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<ToolCall<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a str>,
}

impl<'a> Message<'a> {
    const fn new(role: &'static str, content: Option<MessageContent<'a>>) -> Self {
        Self { role, content, tool_calls: Vec::new(), tool_call_id: None }
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum MessageContent<'a> {
    Text(String),
    Parts(Vec<MessagePart<'a>>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum MessagePart<'a> {
    Text { text: &'a str },
    ImageUrl { image_url: Image },
    File { file: File<'a> },
    InputAudio { input_audio: Audio<'a> },
}

#[derive(Serialize)]
struct Image {
    url: String,
}

#[derive(Serialize)]
struct File<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    filename: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_id: Option<&'a str>,
}

/// A recording.
#[derive(Serialize)]
pub(in crate::dialect) struct Audio<'a> {
    pub(in crate::dialect) format: &'a str,
    pub(in crate::dialect) data: &'a str,
}

#[derive(Serialize)]
struct ToolCall<'a> {
    id: &'a str,
    r#type: &'static str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    arguments: &'a str,
}

/// Returns the messages: the prompts of the system as one, then those of the turns.
pub(super) fn messages<'a>(conversation: &'a Conversation<'a>) -> Result<Vec<Message<'a>>, Refusal> {
    let mut messages = Vec::with_capacity(conversation.turns.len() + 1);
    let system = joined(&conversation.system);
    if !system.is_empty() {
        messages.push(Message::new("system", Some(MessageContent::Text(system))));
    }
    for turn in &conversation.turns {
        match turn.role {
            Role::User => user(turn, &mut messages)?,
            Role::Assistant => messages.push(assistant(turn)),
        }
    }
    Ok(messages)
}

/// Returns the text of parts, with an empty line between them.
pub(in crate::dialect) fn joined(parts: &[Part<'_>]) -> String {
    let texts = parts.iter().filter_map(|part| match &part.content {
        Content::Text(text) | Content::Refusal(text) => Some(&**text),
        _ => None,
    });
    texts.collect::<Vec<_>>().join("\n\n")
}

/// Adds the messages of a user's turn. Results of tools have messages of their own, right behind the calls; images in them
/// follow in the user's message, which is the only one that can have some.
fn user<'a>(turn: &'a Turn<'a>, messages: &mut Vec<Message<'a>>) -> Result<(), Refusal> {
    let mut parts = Vec::new();
    for part in &turn.parts {
        match &part.content {
            Content::ToolResult { id, parts: result, .. } => {
                let text = MessageContent::Text(joined(result));
                messages.push(Message { tool_call_id: Some(id), ..Message::new("tool", Some(text)) });
                let others = result.iter().filter(|part| !matches!(part.content, Content::Text(_)));
                for part in others {
                    parts.extend(written(&part.content)?);
                }
            }
            content => parts.extend(written(content)?),
        }
    }
    match &parts[..] {
        [] => {}
        [MessagePart::Text { text }] => {
            messages.push(Message::new("user", Some(MessageContent::Text((*text).to_owned()))));
        }
        _ => messages.push(Message::new("user", Some(MessageContent::Parts(parts)))),
    }
    Ok(())
}

/// Returns the message of a turn of the assistant. Thinking is for the vendor whose model it is.
fn assistant<'a>(turn: &'a Turn<'a>) -> Message<'a> {
    let calls = turn.parts.iter().filter_map(|part| match &part.content {
        Content::ToolCall { id, name, arguments } => {
            let function = Function { name, arguments: arguments_of(arguments) };
            Some(ToolCall { id, r#type: "function", function })
        }
        _ => None,
    });
    let (tool_calls, text) = (calls.collect::<Vec<_>>(), joined(&turn.parts));
    let content = (!text.is_empty() || tool_calls.is_empty()).then_some(MessageContent::Text(text));
    Message { tool_calls, ..Message::new("assistant", content) }
}

/// Returns the part of a user's message, or none for what only the assistant writes and for empty text.
fn written<'a>(content: &'a Content<'a>) -> Result<Option<MessagePart<'a>>, Refusal> {
    Ok(Some(match content {
        Content::Text(text) | Content::Refusal(text) if text.is_empty() => return Ok(None),
        Content::Text(text) | Content::Refusal(text) => MessagePart::Text { text },
        Content::Image(Source::File(_)) => return Err(Refusal::part("file")),
        Content::Image(source) => MessagePart::ImageUrl { image_url: Image { url: url(source) } },
        Content::Document { source: Source::Url(_), .. } => return Err(Refusal::part("document")),
        Content::Document { source: Source::File(id), .. } => {
            MessagePart::File { file: File { filename: None, file_data: None, file_id: Some(id) } }
        }
        Content::Document { source, name } => {
            let filename = Some(file_name(name.as_deref()));
            MessagePart::File { file: File { filename, file_data: Some(url(source)), file_id: None } }
        }
        Content::Audio { format, data } => MessagePart::InputAudio { input_audio: Audio { format, data } },
        Content::ToolCall { .. }
        | Content::ToolResult { .. }
        | Content::Thinking { .. }
        | Content::RedactedThinking(_) => return Ok(None),
    }))
}

/// Returns the arguments of a call; a call without any has an empty object of them.
pub(in crate::dialect) fn arguments_of(arguments: &str) -> &str {
    if arguments.trim().is_empty() { "{}" } else { arguments }
}

/// Returns the name of a document, which the API requires.
pub(in crate::dialect) fn file_name(name: Option<&str>) -> &str {
    name.unwrap_or("document.pdf")
}

/// Returns the URL of an image or a document, which may have its data.
pub(in crate::dialect) fn url(source: &Source<'_>) -> String {
    match source {
        Source::Url(url) | Source::File(url) => url.to_string(),
        Source::Base64 { media_type, data } => format!("data:{};base64,{}", &**media_type, &**data),
    }
}
