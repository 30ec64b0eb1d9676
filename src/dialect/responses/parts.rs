//! Reads the content of a message or of a result: text, or a list of parts.

use serde::Deserialize;

use super::INPUT;
use crate::dialect::{
    chat::{Audio, file_at, image_at},
    conversation::{Content, Part, Refusal, Source},
    json::{Json, Text},
    read::{self, typed},
};

/// A part. Which members it has depends on its type.
#[derive(Deserialize)]
struct ContentPart<'a> {
    #[serde(borrow)]
    r#type: Text<'a>,
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    refusal: Option<Text<'a>>,
    #[serde(borrow)]
    image_url: Option<Text<'a>>,
    #[serde(borrow)]
    file_id: Option<Text<'a>>,
    #[serde(borrow)]
    file_url: Option<Text<'a>>,
    #[serde(borrow)]
    file_data: Option<Text<'a>>,
    #[serde(borrow)]
    filename: Option<Text<'a>>,
    #[serde(borrow)]
    input_audio: Option<Audio<'a>>,
}

/// Reads the content of a message or of a result.
pub(super) fn read(value: Json<'_>) -> Result<Vec<Part<'_>>, Refusal> {
    read::content(INPUT, value, |list| {
        let parts = typed::<Vec<ContentPart<'_>>>(INPUT, list)?;
        parts.into_iter().map(|part| content(part).map(Part::new)).collect()
    })
}

fn content(part: ContentPart<'_>) -> Result<Content<'_>, Refusal> {
    let kind = part.r#type;
    let missing = || Refusal::invalid(INPUT, format_args!("an incomplete part of type {:?}", &*kind));
    Ok(match &*kind {
        "input_text" | "output_text" | "text" => Content::Text(part.text.ok_or_else(missing)?),
        "refusal" => Content::Refusal(part.refusal.ok_or_else(missing)?),
        "input_image" => match (part.image_url, part.file_id) {
            (Some(url), _) => image_at(url),
            (None, id) => Content::Image(Source::File(id.ok_or_else(missing)?)),
        },
        "input_file" => match (part.file_data.or(part.file_url), part.file_id) {
            (Some(url), _) => file_at(url, part.filename),
            (None, id) => {
                Content::Document { source: Source::File(id.ok_or_else(missing)?), name: part.filename }
            }
        },
        "input_audio" => part.input_audio.ok_or_else(missing)?.into(),
        other => return Err(Refusal { parameter: INPUT.to_owned(), ..Refusal::part(other) }),
    })
}
