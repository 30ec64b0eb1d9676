//! Writes a complete message.

use serde::Serialize;
use serde_json::{json, value::RawValue};

use super::{Cited, Counts, Page, stop_reason};
use crate::dialect::{
    conversation::arguments as arguments_of,
    delta::{Answer, AnswerPart, Finish},
    write,
};

#[derive(Serialize)]
struct Message<'a> {
    id: &'a str,
    r#type: &'static str,
    role: &'static str,
    model: &'a str,
    content: Vec<Block<'a>>,
    stop_reason: &'static str,
    stop_sequence: Option<&'a str>,
    usage: Counts,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block<'a> {
    Text {
        text: &'a str,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        citations: Vec<Cited<'a>>,
    },
    Thinking {
        thinking: &'a str,
        signature: &'a str,
    },
    RedactedThinking {
        data: &'a str,
    },
    ToolUse {
        id: &'a str,
        name: &'a str,
        input: Input<'a>,
    },
}

#[derive(Serialize)]
#[serde(untagged)]
enum Input<'a> {
    Object(&'a RawValue),
    /// The arguments that a model wrote, if they are no object: in the form that Anthropic's documentation recommends.
    Invalid(serde_json::Value),
}

/// Appends a complete response.
pub(in crate::dialect) fn write(answer: &Answer, out: &mut Vec<u8>) {
    let stop_sequence = answer.stop_sequence.as_deref();
    let message = Message {
        id: &answer.id,
        r#type: "message",
        role: "assistant",
        model: &answer.model,
        content: content(&answer.parts),
        stop_reason: stop_reason(answer.finish.unwrap_or(Finish::Stop), stop_sequence.is_some()),
        stop_sequence,
        usage: answer.usage.into(),
    };
    write::json(&message, out);
}

fn content(parts: &[AnswerPart]) -> Vec<Block<'_>> {
    let mut blocks = Vec::with_capacity(parts.len());
    for part in parts {
        match part {
            AnswerPart::Text(text) | AnswerPart::Refusal(text) => {
                blocks.push(Block::Text { text, citations: Vec::new() })
            }
            AnswerPart::Thinking { text, signature } => {
                blocks.push(Block::Thinking { thinking: text, signature });
            }
            AnswerPart::RedactedThinking(data) => blocks.push(Block::RedactedThinking { data }),
            AnswerPart::ToolCall { id, name, arguments } => {
                blocks.push(Block::ToolUse { id, name, input: input(name, arguments) });
            }
            AnswerPart::Page { url, title } => cite(&mut blocks, Cited::Page(Page::new(url, title))),
            AnswerPart::Citation(json) => {
                if let Ok(json) = serde_json::from_str(json) {
                    cite(&mut blocks, Cited::Vendor(json));
                }
            }
        }
    }
    blocks
}

/// Adds a citation to the text before it.
fn cite<'a>(blocks: &mut Vec<Block<'a>>, citation: Cited<'a>) {
    match blocks.last_mut() {
        Some(Block::Text { citations, .. }) => citations.push(citation),
        _ => blocks.push(Block::Text { text: "", citations: vec![citation] }),
    }
}

fn input<'a>(name: &str, arguments: &'a str) -> Input<'a> {
    arguments_of(name, arguments)
        .map_or_else(|_| Input::Invalid(json!({ "INVALID_JSON": arguments })), Input::Object)
}
