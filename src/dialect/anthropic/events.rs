//! Reads a response of `/v1/messages`: its events, or the complete message.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::calls::{CallHints, Calls};
use crate::dialect::{
    delta::{Citation, Delta, Finish, Usage, send},
    json::{Json, Text},
    sent::NotTranslated,
};

/// The reader of one response.
#[derive(Debug)]
pub(in crate::dialect) struct Reader {
    calls: Calls,
    usage: Counts,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum EventType {
    MessageStart,
    ContentBlockStart,
    ContentBlockDelta,
    ContentBlockStop,
    MessageDelta,
    MessageStop,
    Error,
    /// A ping, or a type that is newer than this code: the API may add some at any time.
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Event<'a> {
    r#type: EventType,
    #[serde(borrow)]
    message: Option<Message<'a>>,
    #[serde(borrow)]
    content_block: Option<Block<'a>>,
    #[serde(borrow)]
    delta: Option<BlockDelta<'a>>,
    usage: Option<Counts>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    r#type: Text<'a>,
    #[serde(borrow, default)]
    id: Text<'a>,
    #[serde(borrow, default)]
    model: Text<'a>,
    #[serde(borrow, default)]
    content: Vec<Block<'a>>,
    #[serde(borrow)]
    stop_reason: Option<Text<'a>>,
    usage: Option<Counts>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum BlockType {
    Text,
    Thinking,
    RedactedThinking,
    ToolUse,
    /// A call or a result of a tool that runs at Anthropic, or a newer type.
    #[serde(other)]
    Other,
}

/// A block. Which members it has depends on its type.
#[derive(Deserialize)]
struct Block<'a> {
    r#type: BlockType,
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    citations: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    thinking: Option<Text<'a>>,
    #[serde(borrow)]
    signature: Option<Text<'a>>,
    #[serde(borrow)]
    data: Option<Text<'a>>,
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct BlockDelta<'a> {
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    thinking: Option<Text<'a>>,
    #[serde(borrow)]
    signature: Option<Text<'a>>,
    #[serde(borrow)]
    partial_json: Option<Text<'a>>,
    #[serde(borrow)]
    citation: Option<&'a RawValue>,
    #[serde(borrow)]
    stop_reason: Option<Text<'a>>,
}

/// The token counts of an event. Those of the last event are totals, and may lack what the first has stated.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct Counts {
    input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct OutputDetails {
    thinking_tokens: Option<u64>,
}

impl Counts {
    /// Replaces the counts that `newer` states.
    fn update(&mut self, newer: Self) {
        self.input_tokens = newer.input_tokens.or(self.input_tokens);
        self.cache_creation_input_tokens =
            newer.cache_creation_input_tokens.or(self.cache_creation_input_tokens);
        self.cache_read_input_tokens = newer.cache_read_input_tokens.or(self.cache_read_input_tokens);
        self.output_tokens = newer.output_tokens.or(self.output_tokens);
        self.output_tokens_details = newer.output_tokens_details.or(self.output_tokens_details);
    }

    /// Returns the usage. Anthropic counts the tokens that were read from or written to a cache apart from the input.
    fn usage(&self) -> Usage {
        let count = Option::unwrap_or_default;
        let (cached, cache_written) =
            (count(self.cache_read_input_tokens), count(self.cache_creation_input_tokens));
        Usage {
            input: count(self.input_tokens).saturating_add(cached).saturating_add(cache_written),
            cached,
            cache_written,
            output: count(self.output_tokens),
            reasoning: self.output_tokens_details.and_then(|details| details.thinking_tokens),
        }
    }
}

impl Reader {
    pub(in crate::dialect) fn new(hints: CallHints) -> Self {
        Self { calls: Calls::new(hints), usage: Counts::default() }
    }

    /// Reads the data of an event, and gives its pieces to `sink`.
    ///
    /// # Errors
    /// Returns an error for an error event, and for data that is no event.
    pub(in crate::dialect) fn event(
        &mut self,
        data: &[u8],
        sink: &mut impl FnMut(&Delta<'_>),
    ) -> Result<(), NotTranslated> {
        let event: Event<'_> = serde_json::from_slice(data).map_err(|_| NotTranslated)?;
        match event.r#type {
            EventType::MessageStart => self.start(event.message.ok_or(NotTranslated)?, sink),
            EventType::ContentBlockStart => self.open(event.content_block.ok_or(NotTranslated)?, sink),
            EventType::ContentBlockDelta => self.delta(event.delta.ok_or(NotTranslated)?, sink),
            EventType::ContentBlockStop => self.calls.close(sink),
            EventType::MessageDelta => {
                self.usage.update(event.usage.unwrap_or_default());
                self.finish(event.delta.and_then(|delta| delta.stop_reason), sink);
            }
            EventType::MessageStop => sink(&Delta::End),
            EventType::Error => return Err(NotTranslated),
            EventType::Other => sink(&Delta::Alive),
        }
        Ok(())
    }

    fn start(&mut self, message: Message<'_>, sink: &mut impl FnMut(&Delta<'_>)) {
        self.usage.update(message.usage.unwrap_or_default());
        sink(&Delta::Start { id: message.id, model: message.model });
    }

    /// Reads a complete message, and gives its pieces to `sink`.
    ///
    /// # Errors
    /// Returns an error for JSON that is no message.
    pub(in crate::dialect) fn message(
        &mut self,
        json: &[u8],
        sink: &mut impl FnMut(&Delta<'_>),
    ) -> Result<(), NotTranslated> {
        let mut message: Message<'_> = serde_json::from_slice(json).map_err(|_| NotTranslated)?;
        if *message.r#type != *"message" {
            return Err(NotTranslated);
        }
        let (content, reason) = (std::mem::take(&mut message.content), message.stop_reason.take());
        self.start(message, sink);
        for block in content {
            self.whole(block, sink);
        }
        self.finish(reason, sink);
        sink(&Delta::End);
        Ok(())
    }

    /// Reads a complete block.
    fn whole(&mut self, mut block: Block<'_>, sink: &mut impl FnMut(&Delta<'_>)) {
        let (input, citations) = (block.input, block.citations.take().unwrap_or_default());
        self.open(block, sink);
        citations.into_iter().for_each(|citation| sink(&Delta::Citation(cited(citation))));
        if let Some(input) = input {
            self.calls.arguments(input.get().into(), sink);
        }
        self.calls.close(sink);
    }

    /// Reads the beginning of a block. The arguments of a call follow in pieces.
    fn open(&mut self, block: Block<'_>, sink: &mut impl FnMut(&Delta<'_>)) {
        self.calls.open_other();
        match block.r#type {
            BlockType::Text => send(block.text.unwrap_or_default(), Delta::Text, sink),
            BlockType::Thinking => {
                send(block.thinking.unwrap_or_default(), Delta::Thinking, sink);
                send(block.signature.unwrap_or_default(), Delta::Signature, sink);
            }
            BlockType::RedactedThinking => {
                send(block.data.unwrap_or_default(), Delta::RedactedThinking, sink)
            }
            BlockType::ToolUse => {
                self.calls.open(block.id.unwrap_or_default(), &block.name.unwrap_or_default(), sink);
            }
            BlockType::Other => sink(&Delta::Alive),
        }
    }

    fn delta(&mut self, delta: BlockDelta<'_>, sink: &mut impl FnMut(&Delta<'_>)) {
        match delta {
            BlockDelta { text: Some(text), .. } => send(text, Delta::Text, sink),
            BlockDelta { thinking: Some(thinking), .. } => send(thinking, Delta::Thinking, sink),
            BlockDelta { signature: Some(signature), .. } => send(signature, Delta::Signature, sink),
            BlockDelta { partial_json: Some(piece), .. } => self.calls.arguments(piece, sink),
            BlockDelta { citation: Some(citation), .. } => sink(&Delta::Citation(cited(citation))),
            BlockDelta { .. } => sink(&Delta::Alive),
        }
    }

    /// Reads the end of the message.
    fn finish(&self, reason: Option<Text<'_>>, sink: &mut impl FnMut(&Delta<'_>)) {
        let Some(reason) = reason else { return };
        sink(&Delta::Finish(self.reason(&reason)));
        sink(&Delta::Usage(self.usage.usage()));
    }

    fn reason(&self, reason: &str) -> Finish {
        match reason {
            "max_tokens" | "model_context_window_exceeded" => Finish::Length,
            "tool_use" if self.calls.any() => Finish::ToolCalls,
            "refusal" => Finish::Filter,
            // `end_turn`, `stop_sequence`, the call of the tool for JSON, and `pause_turn`, after which a client of
            // Anthropic would call again.
            _ => Finish::Stop,
        }
    }
}

fn cited(citation: Json<'_>) -> Citation<'_> {
    #[derive(Deserialize)]
    struct Page<'a> {
        #[serde(borrow)]
        url: Text<'a>,
        #[serde(borrow)]
        title: Option<Text<'a>>,
    }
    match serde_json::from_str::<Page<'_>>(citation.get()) {
        Ok(Page { url, title }) => Citation::Page { url, title: title.unwrap_or_default() },
        Err(_) => Citation::Vendor(citation),
    }
}
