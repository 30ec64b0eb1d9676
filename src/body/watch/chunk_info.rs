//! The information in one chunk: [`ChunkInfo`].

use tollgate_layers::Outcome;

use super::{messages, quick, responses, scan, template::Varying};
use crate::{metrics::Tokens, spend::TokenCounts};

/// The information in one chunk that the gateway needs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct ChunkInfo {
    /// True for a chunk with output of the model.
    pub content: bool,
    /// True for a chunk that looks like an error object; the classifier decides.
    pub error: bool,
    /// True for a chunk with a choice that a content filter ended.
    pub filtered: bool,
    /// True for a chunk that ends the stream, in a dialect without `[DONE]`.
    pub terminal: bool,
    /// True for an event with a response of OpenAI's Responses.
    pub response: bool,
    /// True for a chunk with usage and without choices.
    pub only_usage: bool,
    /// True for a complete response with a list of data that is not empty: embeddings.
    pub data: bool,
    /// The reported usage.
    pub usage: Option<Usage>,
    /// The choices in the chunk, one bit each. Choices past 127 share the last bit.
    pub begun: u128,
    /// The choices with a finish reason.
    pub finished: u128,
}

/// The token counts of a response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    total: Option<u64>,
    input: u64,
    /// The part of `input` that the upstream had in its cache.
    cached: u64,
    output: u64,
}

impl Usage {
    /// The names of the members that are counted.
    pub(super) const NAMES: [&'static str; 5] =
        ["total_tokens", "prompt_tokens", "completion_tokens", "input_tokens", "output_tokens"];

    /// The names of the objects with details of the input.
    pub(super) const INPUT_DETAILS: [&'static str; 2] = ["prompt_tokens_details", "input_tokens_details"];

    /// The name of the count of cached tokens in the details of the input.
    pub(super) const CACHED: &'static str = "cached_tokens";

    /// Returns the usage with these counts; `input` includes the cached tokens.
    pub(super) const fn new(input: u64, cached: u64, output: u64) -> Self {
        Self { total: None, input, cached, output }
    }

    /// Returns this usage of a stream with the input of the `earlier` one where it reports none: Anthropic reports the input
    /// at the beginning and the output at the end.
    pub(super) fn after(self, earlier: Option<Self>) -> Self {
        match earlier {
            Some(Self { input, cached, .. }) if self.input == 0 && self.total.is_none() => {
                Self { input, cached, ..self }
            }
            _ => self,
        }
    }

    /// Sets the count with one of the [`NAMES`](Self::NAMES).
    pub(super) fn set(&mut self, name: &str, tokens: u64) {
        match name {
            "total_tokens" => self.total = Some(tokens),
            "prompt_tokens" | "input_tokens" => self.input = tokens,
            _ => self.output = tokens,
        }
    }

    /// Sets the count of cached tokens.
    pub(super) const fn set_cached(&mut self, tokens: u64) {
        self.cached = tokens;
    }

    /// Returns the [`counts`](Self::counts) as they are kept in every open body.
    pub(crate) fn tokens(&self) -> Tokens {
        let TokenCounts { input, cached, output } = self.counts();
        let [input, cached, output] =
            [input, cached, output].map(|count| u32::try_from(count).unwrap_or(u32::MAX));
        Tokens { input, cached, output }
    }

    /// Returns the tokens by kind. Where only a total is reported, it counts as input.
    pub(crate) fn counts(&self) -> TokenCounts {
        let input = if self.input == 0 && self.output == 0 { self.total() } else { self.input };
        TokenCounts { input, cached: self.cached, output: self.output }
    }

    /// Returns the total number of tokens of the call.
    pub(crate) fn total(&self) -> u64 {
        self.total.unwrap_or(self.input.saturating_add(self.output))
    }

    /// Adds the usage of a call to its outcome.
    pub(crate) fn on(usage: Option<Self>, outcome: Outcome) -> Outcome {
        let Some(usage) = usage else { return outcome.with_used(None) };
        outcome.with_used(Some(usage.total())).with_used_output(Some(usage.output))
    }

    /// Reads a usage object at the start of `json`, whatever follows it.
    pub(crate) fn read_first(json: &[u8]) -> Option<Self> {
        scan::read_usage(json)
    }
}

/// The member of a delta or a message that is not output of the model. Providers add names for output without notice, so
/// no list of them would be complete.
pub(super) const ROLE: &str = "role";

/// The finish reasons of a choice that a content filter ended, in lower case.
const FILTERS: [&str; 11] = [
    // OpenAI, Azure, and most servers that speak their dialect.
    "content_filter",
    "content-filter",
    "content_filtered",
    // Zhipu's API reference.
    "sensitive",
    // Gemini's `FinishReason` and Anthropic's and Bedrock's `stopReason`, which some gateways pass on.
    "safety",
    "recitation",
    "blocklist",
    "prohibited_content",
    "spii",
    "guardrail_intervened",
    "refusal",
];

/// Returns true if a finish reason states that a content filter ended the choice.
pub(super) fn is_filter(reason: &str) -> bool {
    FILTERS.iter().any(|filter| reason.eq_ignore_ascii_case(filter))
}

impl ChunkInfo {
    /// Returns true if a content filter has ended a choice and there is no output.
    pub(crate) const fn is_filtered(&self) -> bool {
        self.filtered && !self.content
    }

    /// Returns true if the chunk opens a message and has no content: a role at most.
    pub(crate) const fn only_opens(&self) -> bool {
        !self.content && !self.terminal && self.finished == 0 && self.usage.is_none()
    }

    /// Returns the info with an error as the regular end: that of a stream which repeats a failed one.
    pub(crate) fn ended_by_error(self) -> Self {
        if self.error { Self { error: false, terminal: true, begun: 1, finished: 1, ..self } } else { self }
    }

    /// Reads a JSON text. Returns `None` if it is not JSON.
    pub(crate) fn read(json: &[u8]) -> Option<Self> {
        Self::read_usual(json).map(|(info, _)| info).or_else(|| Self::read_slowly(json))
    }

    /// Reads a JSON text of a usual form. Returns the places that may vary too.
    #[inline(always)]
    pub(super) fn read_usual(json: &[u8]) -> Option<(Self, Varying)> {
        quick::read(json).or_else(|| Self::read_other_dialect(json))
    }

    /// Reads Responses before messages, whose reader takes long to decline their events.
    fn read_other_dialect(json: &[u8]) -> Option<(Self, Varying)> {
        let response = if responses::may_be(json) { responses::read(json) } else { None };
        response.or_else(|| messages::read(json))
    }

    /// Reads a JSON text that the readers of the usual forms have declined.
    pub(super) fn read_slowly(json: &[u8]) -> Option<Self> {
        // A string without a value is left to the client: it counts as content.
        let output = Self { content: true, data: true, ..Self::default() };
        responses::read(json)
            .map(|(info, _)| info)
            .or_else(|| scan::read(json))
            .or_else(|| scan::is_json(json).then_some(output))
    }
}
