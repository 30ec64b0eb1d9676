//! Reads the content of a message: text, or a list of parts.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::messages::MESSAGES;
use crate::dialect::{
    conversation::{Content, Part, Refusal, Source},
    json::{self, Json, Text},
    read::{self, typed},
};

/// A part of a message. Which members it has depends on its type.
#[derive(Deserialize)]
struct ContentPart<'a> {
    #[serde(borrow)]
    r#type: Text<'a>,
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    refusal: Option<Text<'a>>,
    /// An object with `url`, or the URL itself.
    #[serde(borrow)]
    image_url: Option<&'a RawValue>,
    #[serde(borrow)]
    file: Option<File<'a>>,
    #[serde(borrow)]
    input_audio: Option<Audio<'a>>,
    #[serde(borrow)]
    thinking: Option<Text<'a>>,
    #[serde(borrow)]
    signature: Option<Text<'a>>,
    #[serde(borrow)]
    data: Option<Text<'a>>,
    #[serde(borrow)]
    cache_control: Option<&'a RawValue>,
}

/// A recording.
#[derive(Deserialize)]
pub(in crate::dialect) struct Audio<'a> {
    #[serde(borrow)]
    data: Text<'a>,
    #[serde(borrow)]
    format: Text<'a>,
}

impl<'a> From<Audio<'a>> for Content<'a> {
    fn from(Audio { data, format }: Audio<'a>) -> Self {
        Self::Audio { format, data }
    }
}

#[derive(Deserialize)]
struct File<'a> {
    #[serde(borrow)]
    file_id: Option<Text<'a>>,
    #[serde(borrow)]
    file_data: Option<Text<'a>>,
    #[serde(borrow)]
    filename: Option<Text<'a>>,
    /// LiteLLM's: the media type.
    #[serde(borrow)]
    format: Option<Text<'a>>,
}

/// Reads the content of a message.
pub(super) fn read(value: Json<'_>) -> Result<Vec<Part<'_>>, Refusal> {
    read::content(MESSAGES, value, |list| {
        typed::<Vec<ContentPart<'_>>>(MESSAGES, list)?.into_iter().map(part).collect()
    })
}

fn part(part: ContentPart<'_>) -> Result<Part<'_>, Refusal> {
    let missing =
        || Refusal::invalid(MESSAGES, format_args!("an incomplete part of type {:?}", &*part.r#type));
    let content = match &*part.r#type {
        "text" | "input_text" | "output_text" => Content::Text(part.text.ok_or_else(missing)?),
        "refusal" => Content::Refusal(part.refusal.ok_or_else(missing)?),
        "image_url" => image(part.image_url.ok_or_else(missing)?)?,
        "file" => file(part.file.ok_or_else(missing)?)?,
        "input_audio" => part.input_audio.ok_or_else(missing)?.into(),
        "thinking" => Content::Thinking {
            text: part.thinking.ok_or_else(missing)?,
            signature: part.signature.ok_or_else(missing)?,
        },
        "redacted_thinking" => Content::RedactedThinking(part.data.ok_or_else(missing)?),
        other => return Err(Refusal::part(other)),
    };
    Ok(Part { content, cache: part.cache_control })
}

fn image(value: Json<'_>) -> Result<Content<'_>, Refusal> {
    #[derive(Deserialize)]
    struct Image<'a> {
        #[serde(borrow)]
        url: Text<'a>,
    }
    let url = match json::is_text(value) {
        true => typed(MESSAGES, value)?,
        false => typed::<Image<'_>>(MESSAGES, value)?.url,
    };
    Ok(image_at(url))
}

/// Returns the image at a URL, or the document if the URL contains one.
pub(in crate::dialect) fn image_at(url: Text<'_>) -> Content<'_> {
    let source = source(url);
    if is_document(&source) { Content::Document { source, name: None } } else { Content::Image(source) }
}

fn file(file: File<'_>) -> Result<Content<'_>, Refusal> {
    let source = match file {
        File { file_data: Some(data), format: Some(media_type), .. } if !data.starts_with("data:") => {
            Source::Base64 { media_type, data }
        }
        File { file_data: Some(data), .. } => source(data),
        // LiteLLM accepts a URL as the id of a file.
        File { file_id: Some(id), .. } if id.starts_with("https:") || id.starts_with("data:") => source(id),
        File { file_id: Some(id), .. } => Source::File(id),
        File { .. } => return Err(Refusal::invalid(MESSAGES, "a file without `file_data` and `file_id`")),
    };
    Ok(file_of(source, file.filename))
}

/// Returns the document at a URL, or the image if the URL contains one.
pub(in crate::dialect) fn file_at<'a>(url: Text<'a>, name: Option<Text<'a>>) -> Content<'a> {
    file_of(source(url), name)
}

fn file_of<'a>(source: Source<'a>, name: Option<Text<'a>>) -> Content<'a> {
    let is_image = matches!(&source, Source::Base64 { media_type, .. } if media_type.starts_with("image/"));
    if is_image { Content::Image(source) } else { Content::Document { source, name } }
}

/// Returns the place that a URL names, which may contain the data.
fn source(url: Text<'_>) -> Source<'_> {
    let data = url.split("data:").filter(|(before, _)| before.is_empty());
    let parts = data.and_then(|(_, rest)| rest.split(";base64,"));
    match parts {
        Some((media_type, data)) => Source::Base64 { media_type, data },
        None => Source::Url(url),
    }
}

fn is_document(source: &Source<'_>) -> bool {
    matches!(source, Source::Base64 { media_type, .. } if !media_type.starts_with("image/"))
}
