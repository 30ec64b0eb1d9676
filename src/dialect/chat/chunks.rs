//! Writes the events of a streamed chat completion: [`Chunks`].

use serde::Serialize;

use super::{Annotation, ChatUsage, Completion, ThinkingBlock, finish_reason};
use crate::dialect::{
    delta::{Citation, Delta},
    json::Json,
    write,
};

/// The writer of the events of one response.
#[derive(Debug)]
pub(in crate::dialect) struct Chunks {
    id: String,
    model: String,
    /// The time of the response, in seconds since 1970.
    created: u64,
    /// The number of tool calls so far.
    calls: usize,
    /// The number of characters of text so far, for citations.
    characters: usize,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u32,
    delta: ChatDelta<'a>,
    logprobs: Option<()>,
    finish_reason: Option<&'static str>,
}

#[derive(Default, Serialize)]
struct ChatDelta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_blocks: Option<[ThinkingBlock<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[ToolCall<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<[Annotation<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_specific_fields: Option<VendorFields<'a>>,
}

/// LiteLLM's place for a citation in the vendor's words.
#[derive(Serialize)]
struct VendorFields<'a> {
    citation: Json<'a>,
}

#[derive(Serialize)]
struct ToolCall<'a> {
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'static str>,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    arguments: &'a str,
}

impl Chunks {
    pub(in crate::dialect) const fn new(created: u64) -> Self {
        Self { id: String::new(), model: String::new(), created, calls: 0, characters: 0 }
    }

    /// Appends the events of a piece.
    pub(in crate::dialect) fn write(&mut self, delta: &Delta<'_>, out: &mut Vec<u8>) {
        let part = match delta {
            Delta::Start { id, model } => {
                (self.id, self.model) = (id.to_string(), model.to_string());
                ChatDelta { role: Some("assistant"), content: Some(""), ..ChatDelta::default() }
            }
            Delta::Finish(finish) => {
                return self.choice(ChatDelta::default(), Some(finish_reason(*finish)), out);
            }
            // OpenAI's dialect has no place for it.
            Delta::StopSequence(_) => return,
            Delta::Usage(usage) => return self.chunk(&[], Some((*usage).into()), out),
            Delta::Alive => return out.extend_from_slice(b": ping\n\n"),
            Delta::End => return out.extend_from_slice(b"data: [DONE]\n\n"),
            Delta::ToolCall { .. } | Delta::Arguments(_) => self.call(delta),
            Delta::Citation(citation) => self.citation(citation),
            Delta::Text(text) => {
                self.characters += text.chars().count();
                ChatDelta { content: Some(text), ..ChatDelta::default() }
            }
            Delta::Refusal(text) => ChatDelta { refusal: Some(text), ..ChatDelta::default() },
            Delta::Thinking(_) | Delta::Signature(_) | Delta::RedactedThinking(_) => thinking(delta),
        };
        self.choice(part, None, out);
    }

    fn call<'a>(&mut self, delta: &'a Delta<'_>) -> ChatDelta<'a> {
        let call = match delta {
            Delta::ToolCall { id, name } => {
                self.calls += 1;
                let function = Function { name: Some(name), arguments: "" };
                ToolCall { index: self.calls - 1, id: Some(id), r#type: Some("function"), function }
            }
            Delta::Arguments(arguments) => {
                let function = Function { name: None, arguments };
                ToolCall { index: self.calls.saturating_sub(1), id: None, r#type: None, function }
            }
            _ => return ChatDelta::default(),
        };
        ChatDelta { tool_calls: Some([call]), ..ChatDelta::default() }
    }

    fn citation<'a>(&self, citation: &'a Citation<'_>) -> ChatDelta<'a> {
        match citation {
            Citation::Page { url, title } => {
                let annotation = Annotation::new((url, title), self.characters);
                ChatDelta { annotations: Some([annotation]), ..ChatDelta::default() }
            }
            Citation::Vendor(citation) => {
                let fields = VendorFields { citation };
                ChatDelta { provider_specific_fields: Some(fields), ..ChatDelta::default() }
            }
        }
    }

    fn choice(&self, delta: ChatDelta<'_>, finish_reason: Option<&'static str>, out: &mut Vec<u8>) {
        self.chunk(&[Choice { index: 0, delta, logprobs: None, finish_reason }], None, out);
    }

    fn chunk(&self, choices: &[Choice<'_>], usage: Option<ChatUsage>, out: &mut Vec<u8>) {
        let Self { id, model, created, .. } = self;
        let chunk =
            Completion { id, object: "chat.completion.chunk", created: *created, model, choices, usage };
        write::data(&chunk, out);
    }
}

/// Returns a piece of thinking, in both of its places.
fn thinking<'a>(delta: &'a Delta<'_>) -> ChatDelta<'a> {
    let (text, block) = match delta {
        Delta::Thinking(thinking) => (Some(&**thinking), ThinkingBlock::Thinking { thinking, signature: "" }),
        Delta::Signature(signature) => (None, ThinkingBlock::Thinking { thinking: "", signature }),
        Delta::RedactedThinking(data) => (None, ThinkingBlock::RedactedThinking { data }),
        _ => return ChatDelta::default(),
    };
    ChatDelta { reasoning_content: text, thinking_blocks: Some([block]), ..ChatDelta::default() }
}
