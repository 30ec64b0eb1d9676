//! OpenAI's chat completions, as the dialect of a client: [`read`] a request, write a response.
//!
//! The extensions for thinking are LiteLLM's: `reasoning_content` with its text, and `thinking_blocks` with the
//! signatures, which a client sends back in the messages of the next request.

mod answer;
mod chunks;
mod messages;
mod parts;
mod request;

pub(super) use answer::write as write_answer;
pub(super) use chunks::Chunks;
pub(super) use parts::{Audio, file_at, image_at};
pub(super) use request::{read, set_default, set_parameter};

use serde::Serialize;

use super::delta::{Finish, Usage};

/// Returns OpenAI's name of a finish reason.
pub(super) const fn finish_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "stop",
        Finish::Length => "length",
        Finish::ToolCalls => "tool_calls",
        Finish::Filter => "content_filter",
    }
}

/// A complete response, or a chunk of a stream, with choices of its own form: of a chat, or of a text completion.
#[derive(Serialize)]
pub(super) struct Completion<'a, C> {
    pub(super) id: &'a str,
    pub(super) object: &'static str,
    pub(super) created: u64,
    pub(super) model: &'a str,
    pub(super) choices: &'a [C],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) usage: Option<ChatUsage>,
}

/// The usage of a response.
#[derive(Serialize)]
pub(super) struct ChatUsage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: PromptDetails,
    #[serde(skip_serializing_if = "Option::is_none")]
    completion_tokens_details: Option<CompletionDetails>,
    /// LiteLLM's name for the tokens that were written to a cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_creation_input_tokens: Option<u64>,
}

#[derive(Serialize)]
struct PromptDetails {
    cached_tokens: u64,
}

#[derive(Serialize)]
struct CompletionDetails {
    reasoning_tokens: u64,
}

impl From<Usage> for ChatUsage {
    fn from(usage: Usage) -> Self {
        Self {
            prompt_tokens: usage.input,
            completion_tokens: usage.output,
            total_tokens: usage.input.saturating_add(usage.output),
            prompt_tokens_details: PromptDetails { cached_tokens: usage.cached },
            completion_tokens_details: usage
                .reasoning
                .map(|reasoning_tokens| CompletionDetails { reasoning_tokens }),
            cache_creation_input_tokens: Some(usage.cache_written).filter(|tokens| *tokens > 0),
        }
    }
}

/// A piece of thinking with what its vendor needs to see it again.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ThinkingBlock<'a> {
    Thinking { thinking: &'a str, signature: &'a str },
    RedactedThinking { data: &'a str },
}

/// A web page that a response cites.
#[derive(Serialize)]
struct Annotation<'a> {
    r#type: &'static str,
    url_citation: UrlCitation<'a>,
}

#[derive(Serialize)]
struct UrlCitation<'a> {
    start_index: usize,
    end_index: usize,
    title: &'a str,
    url: &'a str,
}

impl<'a> Annotation<'a> {
    /// Returns the annotation of a page that is cited for the text before this index, in characters.
    const fn new((url, title): (&'a str, &'a str), at: usize) -> Self {
        let url_citation = UrlCitation { start_index: at, end_index: at, title, url };
        Self { r#type: "url_citation", url_citation }
    }
}
