//! Reads a client's request, and values of it: [`conversation`], [`content`], [`choice`], [`typed`], [`whole`].

use serde::Deserialize;

use super::{
    conversation::{Content, Conversation, Part, Refusal, ToolChoice},
    json::{self, Json, Text},
};

/// Reads a request. `set` sets a parameter, or returns false for one without a place in a conversation.
pub(super) fn conversation<'a>(
    body: &'a str,
    set: impl Fn(&mut Conversation<'a>, &str, Json<'a>) -> Result<bool, Refusal>,
) -> Result<Conversation<'a>, Refusal> {
    let mut conversation = Conversation::default();
    let members = json::members(body).map_err(|error| Refusal::invalid("body", error))?;
    // A null means "not set".
    for (name, value) in members.into_iter().filter(|(_, value)| !json::is_null(value)) {
        if !set(&mut conversation, &name, value)? {
            conversation.others.push((name, value));
        }
    }
    Ok(conversation)
}

/// Reads the content at a parameter: text, or what `list` reads.
pub(super) fn content<'a>(
    name: &str,
    value: Json<'a>,
    list: impl FnOnce(Json<'a>) -> Result<Vec<Part<'a>>, Refusal>,
) -> Result<Vec<Part<'a>>, Refusal> {
    if json::is_null(value) {
        return Ok(Vec::new());
    }
    if json::is_text(value) {
        return Ok(vec![Part::new(Content::Text(typed(name, value)?))]);
    }
    list(value)
}

/// Reads OpenAI's word for a choice of tools.
pub(super) fn choice(name: &str, word: Json<'_>) -> Result<ToolChoice<'static>, Refusal> {
    Ok(match &*typed::<Text<'_>>(name, word)? {
        "auto" => ToolChoice::Auto,
        "none" => ToolChoice::None,
        "required" => ToolChoice::Required,
        other => return Err(Refusal::invalid(name, format_args!("unknown choice {other:?}"))),
    })
}

/// Reads the value of a parameter.
pub(super) fn typed<'a, T: Deserialize<'a>>(name: &str, value: Json<'a>) -> Result<T, Refusal> {
    serde_json::from_str(value.get()).map_err(|error| Refusal::invalid(name, error))
}

/// Reads a whole number, also if it is written as a float.
pub(super) fn whole(name: &str, value: Json<'_>) -> Result<u64, Refusal> {
    let mut reader = serde_json::Deserializer::from_str(value.get());
    json::whole(&mut reader).map_err(|error| Refusal::invalid(name, error))
}
