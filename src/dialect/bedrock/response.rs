//! Reads a response of `Converse`, or the events of `ConverseStream`.
//!
//! An event is recognised by its members: each type has one that no other has.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::dialect::{
    anthropic::{CallHints, Calls},
    delta::{Delta, Finish, Usage, send},
    json::Text,
    sent::NotTranslated,
};

/// The header of the id that AWS gives a request.
pub(in crate::dialect) const ID_HEADER: &str = "x-amzn-requestid";

/// The parts of a request that its response must be read with.
#[derive(Debug)]
pub(in crate::dialect) struct Hints {
    pub(super) calls: CallHints,
    /// The model, which the response does not name.
    pub(super) model: String,
}

/// The reader of one response.
#[derive(Debug)]
pub(in crate::dialect) struct Reader {
    calls: Calls,
    /// The model, which a response does not name.
    model: String,
    /// The id of the request at AWS: a response has none.
    id: String,
    has_begun: bool,
    /// True after the reason of the end.
    has_finished: bool,
    usage: Usage,
}

/// An event. Which members it has depends on its type.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    #[serde(borrow)]
    role: Option<Text<'a>>,
    #[serde(borrow)]
    start: Option<BlockStart<'a>>,
    #[serde(borrow)]
    delta: Option<BlockDelta<'a>>,
    content_block_index: Option<u64>,
    #[serde(borrow)]
    stop_reason: Option<Text<'a>>,
    usage: Option<Counts>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockStart<'a> {
    #[serde(borrow)]
    tool_use: Option<ToolUse<'a>>,
}

/// A piece of a block.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockDelta<'a> {
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    tool_use: Option<Arguments<'a>>,
    #[serde(borrow)]
    reasoning_content: Option<ReasoningDelta<'a>>,
}

#[derive(Deserialize)]
struct Arguments<'a> {
    #[serde(borrow, default)]
    input: Text<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReasoningDelta<'a> {
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    signature: Option<Text<'a>>,
    #[serde(borrow)]
    redacted_content: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response<'a> {
    #[serde(borrow)]
    output: Output<'a>,
    #[serde(borrow)]
    stop_reason: Text<'a>,
    usage: Option<Counts>,
}

#[derive(Deserialize)]
struct Output<'a> {
    #[serde(borrow)]
    message: Message<'a>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    content: Vec<Block<'a>>,
}

/// A block of a complete response.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Block<'a> {
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    tool_use: Option<ToolUse<'a>>,
    #[serde(borrow)]
    reasoning_content: Option<Reasoning<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolUse<'a> {
    #[serde(borrow)]
    tool_use_id: Text<'a>,
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reasoning<'a> {
    #[serde(borrow)]
    reasoning_text: Option<ReasoningDelta<'a>>,
    #[serde(borrow)]
    redacted_content: Option<Text<'a>>,
}

/// The token counts.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Counts {
    input_tokens: u64,
    output_tokens: u64,
    cache_read_input_tokens: Option<u64>,
    cache_write_input_tokens: Option<u64>,
}

impl From<Counts> for Usage {
    /// Bedrock counts the tokens that were read from or written to a cache apart from the input.
    fn from(counts: Counts) -> Self {
        let cached = counts.cache_read_input_tokens.unwrap_or_default();
        let cache_written = counts.cache_write_input_tokens.unwrap_or_default();
        Self {
            input: counts.input_tokens.saturating_add(cached).saturating_add(cache_written),
            cached,
            cache_written,
            output: counts.output_tokens,
            reasoning: None,
        }
    }
}

impl Reader {
    pub(in crate::dialect) fn new(hints: Hints) -> Self {
        Self {
            calls: Calls::new(hints.calls),
            model: hints.model,
            id: String::new(),
            has_begun: false,
            has_finished: false,
            usage: Usage::default(),
        }
    }

    /// Sets the id of the response to that of its request at AWS.
    pub(in crate::dialect) fn identify(&mut self, request_id: &str) {
        self.id = format!("chatcmpl-{request_id}");
    }

    /// Reads the data of an event, and gives its pieces to `sink`.
    ///
    /// # Errors
    /// Returns an error for data that is no event.
    pub(in crate::dialect) fn event(
        &mut self,
        data: &[u8],
        sink: &mut impl FnMut(&Delta<'_>),
    ) -> Result<(), NotTranslated> {
        match serde_json::from_slice::<Event<'_>>(data).map_err(|_| NotTranslated)? {
            Event { role: Some(_), .. } => self.begin(sink),
            Event { start: Some(start), .. } => self.open(start, sink),
            Event { delta: Some(delta), .. } => self.delta(delta, sink),
            Event { stop_reason: Some(reason), .. } => self.finish(&reason, sink),
            Event { usage: Some(usage), .. } => self.usage = usage.into(),
            Event { content_block_index: Some(_), .. } => self.calls.close(sink),
            _ => return Err(NotTranslated),
        }
        Ok(())
    }

    /// Reads a complete response, and gives its pieces to `sink`.
    ///
    /// # Errors
    /// Returns an error for JSON that is no response.
    pub(in crate::dialect) fn response(
        &mut self,
        json: &[u8],
        sink: &mut impl FnMut(&Delta<'_>),
    ) -> Result<(), NotTranslated> {
        let response: Response<'_> = serde_json::from_slice(json).map_err(|_| NotTranslated)?;
        self.begin(sink);
        for block in response.output.message.content {
            self.whole(block, sink);
        }
        self.usage = response.usage.unwrap_or_default().into();
        self.finish(&response.stop_reason, sink);
        self.end(sink);
        Ok(())
    }

    /// Reads the end of a stream, or of a complete response. It is regular after the reason of the end; the usage follows
    /// that.
    pub(in crate::dialect) fn end(&mut self, sink: &mut impl FnMut(&Delta<'_>)) {
        if self.has_finished {
            sink(&Delta::Usage(self.usage));
            sink(&Delta::End);
        }
    }

    fn begin(&mut self, sink: &mut impl FnMut(&Delta<'_>)) {
        if !std::mem::replace(&mut self.has_begun, true) {
            let (id, model) = (self.id.as_str().into(), self.model.as_str().into());
            sink(&Delta::Start { id, model });
        }
    }

    /// Reads a complete block.
    fn whole(&mut self, block: Block<'_>, sink: &mut impl FnMut(&Delta<'_>)) {
        match block {
            Block { text: Some(text), .. } => send(text, Delta::Text, sink),
            Block { tool_use: Some(call), .. } => {
                self.calls.open(call.tool_use_id, &call.name, sink);
                if let Some(input) = call.input {
                    self.calls.arguments(input.get().into(), sink);
                }
                self.calls.close(sink);
            }
            Block { reasoning_content: Some(Reasoning { reasoning_text, redacted_content }), .. } => {
                if let Some(text) = reasoning_text {
                    reasoning(text, sink);
                }
                send(redacted_content.unwrap_or_default(), Delta::RedactedThinking, sink);
            }
            Block { .. } => sink(&Delta::Alive),
        }
    }

    /// Reads the beginning of a block: only that of a call has content.
    fn open(&mut self, start: BlockStart<'_>, sink: &mut impl FnMut(&Delta<'_>)) {
        self.calls.open_other();
        match start.tool_use {
            Some(call) => self.calls.open(call.tool_use_id, &call.name, sink),
            None => sink(&Delta::Alive),
        }
    }

    fn delta(&mut self, delta: BlockDelta<'_>, sink: &mut impl FnMut(&Delta<'_>)) {
        match delta {
            BlockDelta { text: Some(text), .. } => send(text, Delta::Text, sink),
            BlockDelta { tool_use: Some(piece), .. } => self.calls.arguments(piece.input, sink),
            BlockDelta { reasoning_content: Some(piece), .. } => reasoning(piece, sink),
            BlockDelta { .. } => sink(&Delta::Alive),
        }
    }

    fn finish(&mut self, reason: &str, sink: &mut impl FnMut(&Delta<'_>)) {
        self.has_finished = true;
        sink(&Delta::Finish(match reason {
            "max_tokens" | "model_context_window_exceeded" => Finish::Length,
            "tool_use" if self.calls.any() => Finish::ToolCalls,
            "guardrail_intervened" | "content_filtered" => Finish::Filter,
            // `end_turn`, `stop_sequence`, and the call of the tool for JSON.
            _ => Finish::Stop,
        }));
    }
}

/// Reads a piece of reasoning.
fn reasoning(piece: ReasoningDelta<'_>, sink: &mut impl FnMut(&Delta<'_>)) {
    send(piece.text.unwrap_or_default(), Delta::Thinking, sink);
    send(piece.signature.unwrap_or_default(), Delta::Signature, sink);
    send(piece.redacted_content.unwrap_or_default(), Delta::RedactedThinking, sink);
}
