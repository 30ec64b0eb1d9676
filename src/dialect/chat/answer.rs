//! Writes a complete chat completion.

use serde::Serialize;
use serde_json::value::RawValue;

use super::{Annotation, Completion, ThinkingBlock, finish_reason};
use crate::dialect::{
    delta::{Answer, AnswerPart, Finish},
    write::json,
};

#[derive(Serialize)]
struct Choice<'a> {
    index: u32,
    message: Message<'a>,
    logprobs: Option<()>,
    finish_reason: &'static str,
}

#[derive(Default, Serialize)]
struct Message<'a> {
    role: &'static str,
    content: Option<String>,
    refusal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    thinking_blocks: Vec<ThinkingBlock<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<ToolCall<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    annotations: Vec<Annotation<'a>>,
    #[serde(skip_serializing_if = "VendorFields::is_empty")]
    provider_specific_fields: VendorFields<'a>,
}

/// LiteLLM's place for citations in the vendor's words.
#[derive(Default, Serialize)]
struct VendorFields<'a> {
    citations: Vec<&'a RawValue>,
}

impl VendorFields<'_> {
    const fn is_empty(&self) -> bool {
        self.citations.is_empty()
    }
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

/// Appends a complete response, which was received at `created` in seconds since 1970.
pub(in crate::dialect) fn write(answer: &Answer, created: u64, out: &mut Vec<u8>) {
    let finish_reason = finish_reason(answer.finish.unwrap_or(Finish::Stop));
    let completion = Completion {
        id: &answer.id,
        object: "chat.completion",
        created,
        model: &answer.model,
        choices: &[Choice { index: 0, message: message(answer), logprobs: None, finish_reason }],
        usage: Some(answer.usage.into()),
    };
    json(&completion, out);
}

fn message(answer: &Answer) -> Message<'_> {
    let mut message = Message { role: "assistant", ..Message::default() };
    for part in &answer.parts {
        add(&mut message, part);
    }
    message
}

fn add<'a>(message: &mut Message<'a>, part: &'a AnswerPart) {
    match part {
        AnswerPart::Text(text) => message.content.get_or_insert_default().push_str(text),
        AnswerPart::Refusal(text) => message.refusal.get_or_insert_default().push_str(text),
        AnswerPart::Thinking { text, signature } => {
            message.reasoning_content.get_or_insert_default().push_str(text);
            message.thinking_blocks.push(ThinkingBlock::Thinking { thinking: text, signature });
        }
        AnswerPart::RedactedThinking(data) => {
            message.thinking_blocks.push(ThinkingBlock::RedactedThinking { data });
        }
        AnswerPart::ToolCall { id, name, arguments } => {
            message.tool_calls.push(ToolCall {
                id,
                r#type: "function",
                function: Function { name, arguments },
            });
        }
        AnswerPart::Page { url, title } => {
            let at = message.content.as_ref().map_or(0, |text| text.chars().count());
            message.annotations.push(Annotation::new((url, title), at));
        }
        AnswerPart::Citation(json) => {
            message.provider_specific_fields.citations.extend(serde_json::from_str::<&RawValue>(json).ok());
        }
    }
}
