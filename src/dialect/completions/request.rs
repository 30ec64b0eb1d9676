//! Reads a request to `/v1/completions`.

use crate::dialect::{
    chat,
    conversation::{Content, Conversation, Part, Refusal, Role},
    json::{self, Json, Text},
    read::{self, typed},
};

/// The name of the parameter with the text.
const PROMPT: &str = "prompt";

/// The name of the member with the text that a broken stream has sent, for the gateway's own use: what a client sends by this
/// name is a setting of the gateway, which is never in an upstream's body.
pub(crate) const PREFIX: &str = "midstream_fallback";

/// The parameters that a chat does not have, each with the values that have no effect, and true if it may be dropped. Without
/// the others the client would read another text than it requested.
const LACKING: [(&str, &[&str], bool); 10] = [
    ("suffix", &["\"\""], false),
    ("echo", &["false"], false),
    ("best_of", &["1"], true),
    ("n", &["1"], true),
    // The log probabilities of chats have another form.
    ("logprobs", &["false"], true),
    ("messages", &[], true),
    ("tools", &["[]"], true),
    ("tool_choice", &["\"none\""], true),
    ("functions", &["[]"], true),
    ("function_call", &["\"none\""], true),
];

/// Reads a request. With `drop`, what a chat lacks is dropped.
///
/// # Errors
/// Returns the parameter that cannot be read, or that a chat lacks.
pub(in crate::dialect) fn read(body: &str, drop: bool) -> Result<Conversation<'_>, Refusal> {
    let conversation = read::conversation(body, |into, name, value| {
        let is_read = is_left_out(name, value, drop)? || set_prompt(into, name, value)?;
        Ok(is_read || chat::set_parameter(into, name, value)?)
    })?;
    if conversation.turns.is_empty() { Err(no_text()) } else { Ok(conversation) }
}

/// Returns true for a parameter that is left out.
fn is_left_out(name: &str, value: Json<'_>, drop: bool) -> Result<bool, Refusal> {
    let Some((_, without_effect, may_drop)) = LACKING.iter().find(|(known, ..)| *known == name) else {
        return Ok(false);
    };
    match without_effect.contains(&value.get()) || drop && *may_drop {
        true => Ok(true),
        false if *may_drop => Err(Refusal::unsupported(name)),
        false => Err(Refusal::new(
            name,
            format!(
                "The provider of this model has chats only, without '{name}': call a model with text completions."
            ),
        )),
    }
}

/// Sets the prompt: a text, or a list of one text; or the text behind it. Returns false for any other parameter.
fn set_prompt<'a>(into: &mut Conversation<'a>, name: &str, value: Json<'a>) -> Result<bool, Refusal> {
    if name == PREFIX {
        into.push(Role::Assistant, vec![Part::new(Content::Text(typed(name, value)?))]);
        return Ok(true);
    }
    if name != PROMPT {
        return Ok(false);
    }
    let text: Text<'a> = match json::is_text(value) {
        true => typed(name, value)?,
        false => typed::<[Text<'a>; 1]>(name, value).map(|[text]| text).map_err(|_| no_text())?,
    };
    into.turns.clear();
    into.push(Role::User, vec![Part::new(Content::Text(text))]);
    Ok(true)
}

fn no_text() -> Refusal {
    Refusal::new(
        PROMPT,
        "The provider of this model has chats only: send one text as 'prompt', no tokens and no list of texts.",
    )
}
