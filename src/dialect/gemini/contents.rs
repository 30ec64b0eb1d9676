//! The contents of a request: the turns, with their parts.

use serde::Serialize;

use super::SIGNATURE;
use crate::dialect::{
    conversation::{self, Content, Conversation, Part, Refusal, Role, Source},
    json::{Json, Text},
};

/// A turn.
#[derive(Serialize)]
pub(super) struct WrittenTurn<'a> {
    role: &'static str,
    parts: Vec<WrittenPart<'a>>,
}

/// A part. One of its first members is set.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WrittenPart<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inline_data: Option<InlineData<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_data: Option<FileData<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_call: Option<FunctionCall<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_response: Option<FunctionResponse<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thought_signature: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InlineData<'a> {
    mime_type: Text<'a>,
    data: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FileData<'a> {
    file_uri: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    mime_type: Option<&'static str>,
}

#[derive(Serialize)]
struct FunctionCall<'a> {
    name: &'a str,
    args: Json<'a>,
}

#[derive(Serialize)]
struct FunctionResponse<'a> {
    name: &'a str,
    response: ResponseText,
}

#[derive(Serialize)]
struct ResponseText {
    content: String,
}

/// The value that Google documents for a call of which the signature is not known.
const NO_SIGNATURE: &str = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=";

/// Returns the turns. One without a part is left out: the API refuses it.
pub(super) fn turns<'a>(
    conversation: &'a Conversation<'a>,
    needs_signatures: bool,
) -> Result<Vec<WrittenTurn<'a>>, Refusal> {
    let turns = conversation::joined(&conversation.turns, |parts| {
        let mut written = Vec::with_capacity(parts.len());
        for part in parts {
            add(conversation, &part.content, &mut written)?;
        }
        if needs_signatures {
            sign(&mut written);
        }
        Ok(written)
    })?;
    let role = |role| match role {
        Role::User => "user",
        Role::Assistant => "model",
    };
    Ok(turns.into_iter().map(|(author, parts)| WrittenTurn { role: role(author), parts }).collect())
}

/// Returns the parts of a system prompt.
pub(super) fn system<'a>(parts: &'a [Part<'a>]) -> Vec<WrittenPart<'a>> {
    let texts = parts.iter().filter_map(|part| match &part.content {
        Content::Text(text) if !text.is_empty() => Some(&**text),
        _ => None,
    });
    texts.map(|text| WrittenPart { text: Some(text), ..WrittenPart::default() }).collect()
}

/// Sets the signature of the first call, if it is not known: the API requires one for each step.
fn sign(parts: &mut [WrittenPart<'_>]) {
    let first = parts.iter_mut().find(|part| part.function_call.is_some());
    if let Some(first) = first.filter(|part| part.thought_signature.is_none()) {
        first.thought_signature = Some(NO_SIGNATURE);
    }
}

/// Appends a part.
fn add<'a>(
    conversation: &'a Conversation<'a>,
    content: &'a Content<'a>,
    out: &mut Vec<WrittenPart<'a>>,
) -> Result<(), Refusal> {
    match content {
        Content::Text(text) | Content::Refusal(text) if text.is_empty() => {}
        Content::Text(text) | Content::Refusal(text) => {
            out.push(WrittenPart { text: Some(text), ..WrittenPart::default() });
        }
        Content::Image(source) | Content::Document { source, .. } => out.push(media(source)),
        Content::Audio { format, data } => out.push(inline(format!("audio/{}", &**format).into(), data)),
        Content::ToolCall { id, name, arguments } => {
            let args = conversation::arguments(name, arguments)?;
            out.push(WrittenPart {
                function_call: Some(FunctionCall { name, args }),
                thought_signature: id.split_once(SIGNATURE).map(|(_, signature)| signature),
                ..WrittenPart::default()
            });
        }
        Content::ToolResult { id, parts, .. } => result(conversation, (id, parts), out)?,
        // The API needs only the signature, which the call has.
        Content::Thinking { .. } | Content::RedactedThinking(_) => {}
    }
    Ok(())
}

/// Appends the result of a call, and its images behind it.
fn result<'a>(
    conversation: &'a Conversation<'a>,
    (id, parts): (&str, &'a [Part<'a>]),
    out: &mut Vec<WrittenPart<'a>>,
) -> Result<(), Refusal> {
    let name = conversation.name_of_call(id).ok_or_else(|| {
        Refusal::invalid("messages", format_args!("no message has called the tool of the result {id:?}"))
    })?;
    let texts = parts.iter().filter_map(|part| match &part.content {
        Content::Text(text) | Content::Refusal(text) => Some(&**text),
        _ => None,
    });
    let response = ResponseText { content: texts.collect() };
    let function_response = Some(FunctionResponse { name, response });
    out.push(WrittenPart { function_response, ..WrittenPart::default() });
    out.extend(parts.iter().filter_map(|part| match &part.content {
        Content::Image(source) | Content::Document { source, .. } => Some(media(source)),
        _ => None,
    }));
    Ok(())
}

fn inline<'a>(mime_type: Text<'a>, data: &'a str) -> WrittenPart<'a> {
    WrittenPart { inline_data: Some(InlineData { mime_type, data }), ..WrittenPart::default() }
}

fn media<'a>(source: &'a Source<'a>) -> WrittenPart<'a> {
    match source {
        Source::Base64 { media_type, data } => inline(media_type.clone(), data),
        Source::Url(file_uri) | Source::File(file_uri) => {
            let file_data = Some(FileData { file_uri, mime_type: media_type(file_uri) });
            WrittenPart { file_data, ..WrittenPart::default() }
        }
    }
}

/// Returns the media type by the end of a URL.
fn media_type(url: &str) -> Option<&'static str> {
    const TYPES: [(&str, &str); 8] = [
        (".png", "image/png"),
        (".jpg", "image/jpeg"),
        (".jpeg", "image/jpeg"),
        (".webp", "image/webp"),
        (".gif", "image/gif"),
        (".heic", "image/heic"),
        (".pdf", "application/pdf"),
        (".txt", "text/plain"),
    ];
    let path = url.split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    TYPES.iter().find(|(end, _)| path.ends_with(end)).map(|(_, media_type)| *media_type)
}
