//! A reader of the events and the complete responses of Anthropic's Messages: [`read`].
//!
//! All of them have a `type`, which [`quick`](super::quick) declines. A type that is not known here is left to
//! [`scan`](super::scan), as are errors.

use std::{borrow::Cow, ops::Range};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{ChunkInfo, Usage, chunk_info::is_filter, template::Varying};

/// The only choice of a message, as a bit.
const CHOICE: u128 = 1;

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum EventType {
    MessageStart,
    ContentBlockStart,
    ContentBlockDelta,
    ContentBlockStop,
    MessageDelta,
    MessageStop,
    Ping,
    /// A complete response.
    Message,
}

#[derive(Deserialize)]
struct Event<'a> {
    r#type: EventType,
    #[serde(borrow)]
    message: Option<Message<'a>>,
    #[serde(borrow)]
    content_block: Option<&'a RawValue>,
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    stop_reason: Option<Cow<'a, str>>,
    usage: Option<Counts>,
    /// OpenAI's dialect, whatever its `type` means.
    #[serde(borrow)]
    choices: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Message<'a> {
    usage: Option<Counts>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
}

/// The piece of a block, or of the message at its end. A text is the value of one of three names.
#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow, alias = "thinking", alias = "partial_json")]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    stop_reason: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Block<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    #[serde(borrow, alias = "thinking")]
    text: Option<&'a RawValue>,
}

/// The token counts of an event.
#[derive(Clone, Copy, Deserialize)]
struct Counts {
    input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    output_tokens: Option<u64>,
}

impl From<Counts> for Usage {
    /// Anthropic counts the tokens that were read from or written to a cache apart from the input.
    fn from(counts: Counts) -> Self {
        let count = Option::unwrap_or_default;
        let cached = count(counts.cache_read_input_tokens);
        let apart = cached.saturating_add(count(counts.cache_creation_input_tokens));
        Self::new(count(counts.input_tokens).saturating_add(apart), cached, count(counts.output_tokens))
    }
}

/// Returns the information of an event or a complete response, and the place of its content string, if it has one that is
/// not empty. Returns `None` for anything else.
pub(super) fn read(json: &[u8]) -> Option<(ChunkInfo, Varying)> {
    let text = simdutf8::basic::from_utf8(json).ok()?;
    let event: Event<'_> = serde_json::from_str(text).ok()?;
    if event.choices.is_some() || event.error.is_some() {
        return None;
    }
    let mut info = ChunkInfo { usage: event.usage.map(Usage::from), begun: CHOICE, ..ChunkInfo::default() };
    let mut varying = Varying::default();
    match event.r#type {
        EventType::MessageStart => {
            let message = event.message?;
            info.usage = message.usage.map(Usage::from);
            info.content = message.content.is_some_and(is_filled);
        }
        EventType::ContentBlockStart => info.content = has_output(event.content_block?)?,
        EventType::ContentBlockDelta => {
            let delta: Delta<'_> = serde_json::from_str(event.delta?.get()).ok()?;
            info.content = true;
            if let Some(place) = delta.text.and_then(|piece| inner(text, piece)) {
                varying.add_place(place);
            }
        }
        EventType::MessageDelta => {
            let delta: Delta<'_> = serde_json::from_str(event.delta?.get()).ok()?;
            finish(&mut info, delta.stop_reason.as_deref());
        }
        EventType::MessageStop => info.terminal = true,
        EventType::ContentBlockStop | EventType::Ping => {}
        EventType::Message => {
            info.content = event.content.is_some_and(is_filled);
            finish(&mut info, event.stop_reason.as_deref());
        }
    }
    Some((info, varying))
}

/// Returns true for a block that has output from its beginning: any but empty text and thinking.
fn has_output(block: &RawValue) -> Option<bool> {
    let Block { r#type, text } = serde_json::from_str(block.get()).ok()?;
    Some(!matches!(&*r#type, "text" | "thinking") || text.is_some_and(is_filled))
}

fn finish(info: &mut ChunkInfo, reason: Option<&str>) {
    let Some(reason) = reason else { return };
    info.finished = CHOICE;
    info.filtered = is_filter(reason);
}

/// Returns the range of a string in the text that it is a slice of, without its quotes; none if it is empty.
fn inner(text: &str, string: &RawValue) -> Option<Range<usize>> {
    let string = string.get();
    let start = string.as_ptr().addr() - text.as_ptr().addr() + 1;
    let range = start..start + string.len().checked_sub(2)?;
    (string.starts_with('"') && !range.is_empty()).then_some(range)
}

/// Returns true if a string or a list is not empty.
fn is_filled(value: &RawValue) -> bool {
    let inner = value.get().strip_prefix('[').map(str::trim_ascii_start);
    !matches!(value.get(), "null" | "\"\"") && inner != Some("]")
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Event, StreamState, TemplateReader},
        *,
    };

    const START: &str = r#"{"type":"message_start","message":{"id":"m","content":[],"usage":{"input_tokens":3,"cache_read_input_tokens":4,"cache_creation_input_tokens":5,"output_tokens":1}}}"#;

    fn info(json: &str) -> ChunkInfo {
        read(json.as_bytes()).unwrap_or_else(|| panic!("{json}")).0
    }

    #[test]
    fn output_of_a_message_is_a_piece_or_a_block_that_is_not_empty() {
        for json in [
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"a"}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"a"}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":""}}"#,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}"#,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"redacted_thinking","data":"x"}}"#,
            r#"{"type":"message","content":[{"type":"text","text":"a"}],"stop_reason":"end_turn"}"#,
        ] {
            assert!(info(json).content, "{json}");
        }
        for json in [
            START,
            r#"{"type":"ping"}"#,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
            r#"{"type":"content_block_stop","index":0}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":7}}"#,
            r#"{"type":"message_stop"}"#,
            r#"{"type":"message","content":[],"stop_reason":"refusal"}"#,
        ] {
            assert!(!info(json).content, "{json}");
        }
    }

    #[test]
    fn counts_of_the_end_complete_those_of_the_beginning() {
        let mut state = StreamState::default();
        let end = r#"{"type":"message_delta","delta":{"stop_reason":"refusal"},"usage":{"output_tokens":7}}"#;
        for json in [START, end, r#"{"type":"message_stop"}"#] {
            state.note(&Event::Chunk(info(json)));
        }
        let tokens = state.usage.unwrap().tokens();
        assert_eq!((tokens.input, tokens.cached, tokens.output), (12, 4, 7));
        assert!(state.done && state.finished_all(1) && state.is_filtered());
        let whole = r#"{"type":"message_delta","delta":{},"usage":{"input_tokens":20,"output_tokens":9}}"#;
        state.note(&Event::Chunk(info(whole)));
        assert_eq!(state.usage.unwrap().total(), 29);
    }

    #[test]
    fn errors_other_types_and_chunks_of_chats_are_not_read() {
        for json in [
            r#"{"type":"error","error":{"type":"overloaded_error","message":"x"}}"#,
            r#"{"type":"message","error":{"message":"x"}}"#,
            r#"{"type":"message","choices":[]}"#,
            r#"{"type":"response.created"}"#,
            r#"{"type":1}"#,
            r#"{"choices":[]}"#,
            "[1]",
        ] {
            assert!(read(json.as_bytes()).is_none(), "{json}");
        }
    }

    #[test]
    fn pieces_that_differ_in_their_text_alone_repeat() {
        let piece = |kind: &str, name: &str, text: &str| {
            format!(
                r#"{{"type":"content_block_delta","index":1,"delta":{{"type":"{kind}","{name}":"{text}"}}}}"#
            )
        };
        for (kind, name) in
            [("text_delta", "text"), ("thinking_delta", "thinking"), ("input_json_delta", "partial_json")]
        {
            let mut reader = TemplateReader::default();
            assert!(matches!(reader.read(piece(kind, name, "Once").as_bytes()), Event::Chunk(_)));
            assert_eq!(reader.read(piece(kind, name, "upon").as_bytes()), Event::Repeat, "{kind}");
            assert!(matches!(reader.read(START.as_bytes()), Event::Chunk(_)));
        }
    }
}
