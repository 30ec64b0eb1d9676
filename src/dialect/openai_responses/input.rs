//! Writes the items of a conversation.

use serde::Serialize;

use crate::dialect::{
    conversation::{Content, Conversation, Part, Refusal, Role, Source},
    openai::{Audio, arguments_of, file_name, joined, url},
};

/// An item.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Item<'a> {
    Message { role: &'static str, content: Vec<ItemPart<'a>> },
    Call { r#type: &'static str, call_id: &'a str, name: &'a str, arguments: &'a str },
    Output { r#type: &'static str, call_id: &'a str, output: Output<'a> },
}

/// The output of a tool: text, or parts if it has an image or a file.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Output<'a> {
    Text(String),
    Parts(Vec<ItemPart<'a>>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ItemPart<'a> {
    InputText {
        text: &'a str,
    },
    OutputText {
        text: &'a str,
    },
    InputImage {
        detail: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        image_url: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_id: Option<&'a str>,
    },
    InputFile {
        #[serde(skip_serializing_if = "Option::is_none")]
        filename: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_data: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_url: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_id: Option<&'a str>,
    },
    InputAudio {
        input_audio: Audio<'a>,
    },
}

/// Returns the items of the turns.
///
/// # Errors
/// Returns the part that cannot be translated.
pub(super) fn items<'a>(conversation: &'a Conversation<'a>) -> Result<Vec<Item<'a>>, Refusal> {
    let mut items = Vec::with_capacity(conversation.turns.len());
    for turn in &conversation.turns {
        turn.parts.iter().try_for_each(|part| add(&mut items, turn.role, &part.content))?;
    }
    Ok(items)
}

fn add<'a>(items: &mut Vec<Item<'a>>, role: Role, content: &'a Content<'a>) -> Result<(), Refusal> {
    match content {
        Content::ToolCall { id, name, arguments } => {
            let arguments = arguments_of(arguments);
            items.push(Item::Call { r#type: "function_call", call_id: id, name, arguments });
        }
        Content::ToolResult { id, parts, .. } => {
            items.push(Item::Output { r#type: "function_call_output", call_id: id, output: output(parts)? });
        }
        content => {
            if let Some(part) = written(role, content)? {
                push(items, role, part);
            }
        }
    }
    Ok(())
}

/// Adds a part to the last message, or begins one.
fn push<'a>(items: &mut Vec<Item<'a>>, role: Role, part: ItemPart<'a>) {
    let role = match role {
        Role::User => "user",
        Role::Assistant => "assistant",
    };
    match items.last_mut() {
        Some(Item::Message { role: last, content }) if *last == role => content.push(part),
        _ => items.push(Item::Message { role, content: vec![part] }),
    }
}

fn output<'a>(parts: &'a [Part<'a>]) -> Result<Output<'a>, Refusal> {
    if parts.iter().all(|part| matches!(part.content, Content::Text(_))) {
        return Ok(Output::Text(joined(parts)));
    }
    let parts = parts.iter().filter_map(|part| written(Role::User, &part.content).transpose());
    Ok(Output::Parts(parts.collect::<Result<_, _>>()?))
}

/// Returns the part of a message, or none for thinking, which is for the vendor whose model it is, and for empty text.
fn written<'a>(role: Role, content: &'a Content<'a>) -> Result<Option<ItemPart<'a>>, Refusal> {
    let file = |filename, file_data, file_url, file_id| ItemPart::InputFile {
        filename,
        file_data,
        file_url,
        file_id,
    };
    Ok(Some(match content {
        Content::Text(text) | Content::Refusal(text) if text.is_empty() => return Ok(None),
        Content::Text(text) | Content::Refusal(text) => match role {
            Role::User => ItemPart::InputText { text },
            Role::Assistant => ItemPart::OutputText { text },
        },
        // Only a user sends these.
        _ if role == Role::Assistant => return Ok(None),
        Content::Image(Source::File(id)) => {
            ItemPart::InputImage { detail: "auto", image_url: None, file_id: Some(id) }
        }
        Content::Image(source) => {
            ItemPart::InputImage { detail: "auto", image_url: Some(url(source)), file_id: None }
        }
        Content::Document { source: Source::File(id), .. } => file(None, None, None, Some(id)),
        Content::Document { source: Source::Url(url), .. } => file(None, None, Some(url), None),
        Content::Document { source, name } => {
            file(Some(file_name(name.as_deref())), Some(url(source)), None, None)
        }
        Content::Audio { format, data } => ItemPart::InputAudio { input_audio: Audio { format, data } },
        Content::ToolCall { .. }
        | Content::ToolResult { .. }
        | Content::Thinking { .. }
        | Content::RedactedThinking(_) => return Ok(None),
    }))
}
