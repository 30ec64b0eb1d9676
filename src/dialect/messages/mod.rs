//! Anthropic's Messages, as the dialect of a client: [`read`] a request, write a response and its errors.
//!
//! Source: Anthropic's API reference and its Python package (`types/`), at version `2023-06-01` of the API.

mod answer;
mod blocks;
mod error;
mod events;
mod request;

pub(super) use answer::write as write_answer;
pub(super) use error::{error_body, is_error};
pub(super) use events::{END_EVENT, Events};
pub(super) use request::read;

use serde::Serialize;

use super::{
    delta::{Finish, Usage},
    json::Json,
};

/// Returns Anthropic's name of a reason why a response ended.
const fn stop_reason(finish: Finish, has_stop_sequence: bool) -> &'static str {
    match finish {
        Finish::Stop if has_stop_sequence => "stop_sequence",
        Finish::Stop => "end_turn",
        Finish::Length => "max_tokens",
        Finish::ToolCalls => "tool_use",
        Finish::Filter => "refusal",
    }
}

/// The token counts of a response. Anthropic counts those that were read from or written to a cache apart from the input.
#[derive(Serialize)]
struct Counts {
    input_tokens: u64,
    cache_creation_input_tokens: u64,
    cache_read_input_tokens: u64,
    output_tokens: u64,
}

impl From<Usage> for Counts {
    fn from(usage: Usage) -> Self {
        let apart = usage.cached.saturating_add(usage.cache_written);
        Self {
            input_tokens: usage.input.saturating_sub(apart),
            cache_creation_input_tokens: usage.cache_written,
            cache_read_input_tokens: usage.cached,
            output_tokens: usage.output,
        }
    }
}

/// A citation of a text.
#[derive(Serialize)]
#[serde(untagged)]
enum Cited<'a> {
    Page(Page<'a>),
    Vendor(Json<'a>),
}

/// A web page that a text cites.
#[derive(Serialize)]
struct Page<'a> {
    r#type: &'static str,
    url: &'a str,
    title: &'a str,
    cited_text: &'static str,
    encrypted_index: &'static str,
}

impl<'a> Page<'a> {
    const fn new(url: &'a str, title: &'a str) -> Self {
        Self { r#type: "web_search_result_location", url, title, cited_text: "", encrypted_index: "" }
    }
}
