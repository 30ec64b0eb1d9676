//! Writes the events of a streamed message: [`Events`].

use serde::Serialize;

use super::{Cited, Counts, Page, stop_reason};
use crate::dialect::{
    delta::{Citation, Delta, Finish, Usage},
    write,
};

/// The event that ends a stream.
pub(in crate::dialect) const END_EVENT: &str = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

/// The writer of the events of one response.
#[derive(Debug, Default)]
pub(in crate::dialect) struct Events {
    has_begun: bool,
    /// The block that is open.
    open: Option<OpenBlock>,
    /// The number of blocks so far.
    blocks: usize,
    finish: Option<Finish>,
    stop_sequence: Option<String>,
    usage: Usage,
}

/// The type of the open block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OpenBlock {
    Text,
    Thinking,
    /// Thinking with its signature: more thinking begins another block.
    Signed,
    Call,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event<'a> {
    MessageStart { message: Message<'a> },
    ContentBlockStart { index: usize, content_block: Block<'a> },
    ContentBlockDelta { index: usize, delta: BlockDelta<'a> },
    ContentBlockStop { index: usize },
    MessageDelta { delta: End<'a>, usage: Counts },
}

impl Event<'_> {
    const fn name(&self) -> &'static str {
        match self {
            Self::MessageStart { .. } => "message_start",
            Self::ContentBlockStart { .. } => "content_block_start",
            Self::ContentBlockDelta { .. } => "content_block_delta",
            Self::ContentBlockStop { .. } => "content_block_stop",
            Self::MessageDelta { .. } => "message_delta",
        }
    }
}

#[derive(Serialize)]
struct Message<'a> {
    id: &'a str,
    r#type: &'static str,
    role: &'static str,
    model: &'a str,
    content: [(); 0],
    stop_reason: Option<()>,
    stop_sequence: Option<()>,
    usage: Counts,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block<'a> {
    Text { text: &'a str },
    Thinking { thinking: &'a str, signature: &'a str },
    RedactedThinking { data: &'a str },
    ToolUse { id: &'a str, name: &'a str, input: Empty },
}

/// An object without members.
#[derive(Serialize)]
struct Empty {}

#[derive(Serialize)]
#[serde(tag = "type")]
enum BlockDelta<'a> {
    #[serde(rename = "text_delta")]
    Text { text: &'a str },
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: &'a str },
    #[serde(rename = "signature_delta")]
    Signature { signature: &'a str },
    #[serde(rename = "input_json_delta")]
    InputJson { partial_json: &'a str },
    #[serde(rename = "citations_delta")]
    Citations { citation: Cited<'a> },
}

#[derive(Serialize)]
struct End<'a> {
    stop_reason: &'static str,
    stop_sequence: Option<&'a str>,
}

impl Events {
    /// Appends the events of a piece.
    pub(in crate::dialect) fn write(&mut self, delta: &Delta<'_>, out: &mut Vec<u8>) {
        match delta {
            Delta::Start { id, model } => self.begin(id, model, out),
            Delta::Text(_)
            | Delta::Refusal(_)
            | Delta::Thinking(_)
            | Delta::Signature(_)
            | Delta::Citation(_) => {
                self.text(delta, out);
            }
            Delta::RedactedThinking(data) => {
                self.block(Block::RedactedThinking { data }, None, out);
            }
            Delta::ToolCall { id, name } => {
                self.block(Block::ToolUse { id, name, input: Empty {} }, Some(OpenBlock::Call), out);
            }
            Delta::Arguments(partial_json) => self.delta(BlockDelta::InputJson { partial_json }, out),
            Delta::StopSequence(text) => self.stop_sequence = Some(text.to_string()),
            Delta::Finish(finish) => self.finish = Some(*finish),
            Delta::Usage(usage) => {
                self.usage = *usage;
                self.finish(out);
            }
            // A comment may be anywhere, also in front of the first event.
            Delta::Alive => out.extend_from_slice(b": ping\n\n"),
            Delta::End => {
                self.finish(out);
                out.extend_from_slice(END_EVENT.as_bytes());
            }
        }
    }

    fn begin(&mut self, id: &str, model: &str, out: &mut Vec<u8>) {
        self.has_begun = true;
        let message = Message {
            id,
            r#type: "message",
            role: "assistant",
            model,
            content: [],
            stop_reason: None,
            stop_sequence: None,
            // The other dialects report it at the end, where this one has the totals too.
            usage: Usage::default().into(),
        };
        write(&Event::MessageStart { message }, out);
    }

    /// Appends a piece of text or thinking, in a block of its type.
    fn text(&mut self, delta: &Delta<'_>, out: &mut Vec<u8>) {
        use OpenBlock::{Signed, Text, Thinking};
        let is_open = match delta {
            Delta::Thinking(_) => self.open == Some(Thinking),
            Delta::Signature(_) => matches!(self.open, Some(Thinking | Signed)),
            _ => self.open == Some(Text),
        };
        let is_thinking = matches!(delta, Delta::Thinking(_) | Delta::Signature(_));
        match is_thinking {
            _ if is_open => {}
            true => self.block(Block::Thinking { thinking: "", signature: "" }, Some(Thinking), out),
            false => self.block(Block::Text { text: "" }, Some(Text), out),
        }
        let delta = match delta {
            Delta::Text(text) | Delta::Refusal(text) => BlockDelta::Text { text },
            Delta::Thinking(thinking) => BlockDelta::Thinking { thinking },
            Delta::Signature(signature) => {
                self.open = Some(Signed);
                BlockDelta::Signature { signature }
            }
            Delta::Citation(Citation::Page { url, title }) => {
                BlockDelta::Citations { citation: Cited::Page(Page::new(url, title)) }
            }
            Delta::Citation(Citation::Vendor(json)) => {
                BlockDelta::Citations { citation: Cited::Vendor(json) }
            }
            _ => return,
        };
        self.delta(delta, out);
    }

    /// Closes the open block and begins another, which stays open if it has a type.
    fn block(&mut self, content_block: Block<'_>, open: Option<OpenBlock>, out: &mut Vec<u8>) {
        self.close(out);
        let index = self.blocks;
        self.blocks += 1;
        write(&Event::ContentBlockStart { index, content_block }, out);
        match open {
            Some(_) => self.open = open,
            None => write(&Event::ContentBlockStop { index }, out),
        }
    }

    fn delta(&self, delta: BlockDelta<'_>, out: &mut Vec<u8>) {
        write(&Event::ContentBlockDelta { index: self.blocks.saturating_sub(1), delta }, out);
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if !self.has_begun {
            self.begin("", "", out);
        }
        if self.open.take().is_some() {
            write(&Event::ContentBlockStop { index: self.blocks.saturating_sub(1) }, out);
        }
    }

    /// Appends the reason of the end, once.
    fn finish(&mut self, out: &mut Vec<u8>) {
        let Some(finish) = self.finish.take() else { return };
        self.close(out);
        let stop_sequence = self.stop_sequence.as_deref();
        let delta = End { stop_reason: stop_reason(finish, stop_sequence.is_some()), stop_sequence };
        write(&Event::MessageDelta { delta, usage: self.usage.into() }, out);
    }
}

fn write(event: &Event<'_>, out: &mut Vec<u8>) {
    write::event(event.name(), event, out);
}
