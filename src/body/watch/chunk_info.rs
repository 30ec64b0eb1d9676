//! What one chunk says: [`ChunkInfo`].

use super::{quick, scan};

/// What one chunk says, as far as a gateway must know.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct ChunkInfo {
    /// It carries something that the model said.
    pub content: bool,
    /// It looks like an error object; whether it is one, the classifier says.
    pub error: bool,
    /// It ends the stream, in a dialect that has no `[DONE]`.
    pub terminal: bool,
    /// It carries usage and not a single choice.
    pub only_usage: bool,
    /// The tokens it tells.
    pub usage: Option<Usage>,
    /// The choices it speaks of, one bit each. Those past 127 share the last one.
    pub begun: u128,
    /// The choices it gives a finish reason for.
    pub finished: u128,
}

/// Tokens, as an answer tells them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    total: Option<u64>,
    input: u64,
    output: u64,
}

impl Usage {
    /// The names that count.
    pub(super) const NAMES: [&'static str; 5] =
        ["total_tokens", "prompt_tokens", "completion_tokens", "input_tokens", "output_tokens"];

    /// Notes what stands under one of [`NAMES`](Self::NAMES).
    pub(super) fn set(&mut self, name: &str, tokens: u64) {
        match name {
            "total_tokens" => self.total = Some(tokens),
            "prompt_tokens" | "input_tokens" => self.input = tokens,
            _ => self.output = tokens,
        }
    }

    /// All tokens of the call.
    pub(crate) fn total(&self) -> u64 {
        self.total.unwrap_or(self.input.saturating_add(self.output))
    }

    /// Reads a usage object at the start of `json`, whatever follows it.
    pub(crate) fn read_first(json: &[u8]) -> Option<Self> {
        scan::read_usage(json)
    }
}

/// Returns whether a delta's member of this name holds something that the model said.
pub(super) const fn is_speech(name: &[u8]) -> bool {
    matches!(
        name,
        b"content"
            | b"reasoning"
            | b"reasoning_content"
            | b"reasoning_details"
            | b"thinking_blocks"
            | b"tool_calls"
            | b"function_call"
            | b"refusal"
            | b"audio"
            | b"images"
    )
}

impl ChunkInfo {
    /// It says nothing, but who will speak.
    pub(crate) const fn only_opens(&self) -> bool {
        !self.content && !self.terminal && self.finished == 0 && self.usage.is_none()
    }

    /// Reads a JSON text; `None` when it is none.
    pub(crate) fn read(json: &[u8]) -> Option<Self> {
        quick::read(json).map(|(info, _)| info).or_else(|| Self::read_slowly(json))
    }

    /// The same of what the quick pass has declined.
    pub(super) fn read_slowly(json: &[u8]) -> Option<Self> {
        // What has no value is for the client to judge: that it is said is enough.
        scan::read(json).or_else(|| scan::is_json(json).then(|| Self { content: true, ..Self::default() }))
    }
}
