//! The response object: [`Object`], with its items.

use serde::{Serialize, Serializer, ser::SerializeMap};

use super::Echo;
use crate::dialect::delta::{Finish, Usage};

/// The state of a response or of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    InProgress,
    Completed,
    Incomplete,
    Failed,
}

/// An item of the output.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Item {
    Reasoning {
        id: String,
        summary: Vec<Part>,
        #[serde(skip_serializing_if = "Option::is_none")]
        encrypted_content: Option<String>,
    },
    Message {
        id: String,
        status: Status,
        role: &'static str,
        content: Vec<Part>,
    },
    FunctionCall {
        id: String,
        status: Status,
        call_id: String,
        name: String,
        arguments: String,
    },
}

/// A part of an item.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Part {
    OutputText { text: String, annotations: Vec<Annotation>, logprobs: [(); 0] },
    Refusal { refusal: String },
    SummaryText { text: String },
}

/// A web page that a text cites, for the text before the index, in characters.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Annotation {
    r#type: &'static str,
    start_index: usize,
    end_index: usize,
    title: String,
    url: String,
}

/// The reason why a response failed.
#[derive(Debug, Serialize)]
pub(super) struct Failure<'a> {
    pub(super) code: &'static str,
    pub(super) message: &'a str,
}

/// A response object.
#[derive(Debug)]
pub(super) struct Object<'a> {
    pub(super) id: &'a str,
    pub(super) model: &'a str,
    /// The time of the response, in seconds since 1970.
    pub(super) created: u64,
    pub(super) status: Status,
    pub(super) finish: Option<Finish>,
    pub(super) error: Option<Failure<'a>>,
    pub(super) output: &'a [Item],
    pub(super) usage: Option<Usage>,
    pub(super) echo: &'a Echo,
}

#[derive(Serialize)]
struct WrittenUsage {
    input_tokens: u64,
    input_tokens_details: InputDetails,
    output_tokens: u64,
    output_tokens_details: OutputDetails,
    total_tokens: u64,
}

#[derive(Serialize)]
struct InputDetails {
    cached_tokens: u64,
    cache_write_tokens: u64,
}

#[derive(Serialize)]
struct OutputDetails {
    reasoning_tokens: u64,
}

#[derive(Serialize)]
struct Incomplete {
    reason: &'static str,
}

/// The prefix of the ids of reasoning.
pub(super) const REASONING: &str = "rs_";

impl Item {
    /// Returns reasoning without a summary, for the last characters of its id.
    pub(super) fn reasoning(id: &str, encrypted_content: Option<String>) -> Self {
        Self::Reasoning { id: format!("{REASONING}{id}"), summary: Vec::new(), encrypted_content }
    }

    pub(super) fn id(&self) -> &str {
        match self {
            Self::Reasoning { id, .. } | Self::Message { id, .. } | Self::FunctionCall { id, .. } => id,
        }
    }

    /// Returns the parts. A call has none.
    pub(super) fn parts(&self) -> &[Part] {
        match self {
            Self::Reasoning { summary: parts, .. } | Self::Message { content: parts, .. } => parts,
            Self::FunctionCall { .. } => &[],
        }
    }

    /// Returns the parts of an item that has any.
    pub(super) const fn parts_mut(&mut self) -> Option<&mut Vec<Part>> {
        match self {
            Self::Reasoning { summary: parts, .. } | Self::Message { content: parts, .. } => Some(parts),
            Self::FunctionCall { .. } => None,
        }
    }

    /// Sets the state of an item that has one.
    pub(super) const fn set_status(&mut self, new: Status) {
        match self {
            Self::Message { status, .. } | Self::FunctionCall { status, .. } => *status = new,
            Self::Reasoning { .. } => {}
        }
    }
}

impl Annotation {
    /// Returns the annotation of a page that is cited for the text before this index, in characters.
    pub(super) fn new((url, title): (&str, &str), at: usize) -> Self {
        let (title, url) = (title.to_owned(), url.to_owned());
        Self { r#type: "url_citation", start_index: at, end_index: at, title, url }
    }
}

impl Part {
    pub(super) fn text(&self) -> &str {
        match self {
            Self::OutputText { text, .. } | Self::Refusal { refusal: text } | Self::SummaryText { text } => {
                text
            }
        }
    }

    pub(super) const fn text_mut(&mut self) -> &mut String {
        match self {
            Self::OutputText { text, .. } | Self::Refusal { refusal: text } | Self::SummaryText { text } => {
                text
            }
        }
    }
}

impl Status {
    /// Returns the state of a response that ended for this reason.
    pub(super) const fn of(finish: Option<Finish>) -> Self {
        match finish {
            Some(Finish::Length | Finish::Filter) => Self::Incomplete,
            Some(Finish::Stop | Finish::ToolCalls) | None => Self::Completed,
        }
    }
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", self.id)?;
        map.serialize_entry("object", "response")?;
        map.serialize_entry("created_at", &self.created)?;
        map.serialize_entry("status", &self.status)?;
        map.serialize_entry("error", &self.error)?;
        map.serialize_entry("incomplete_details", &self.incomplete())?;
        map.serialize_entry("model", self.model)?;
        map.serialize_entry("output", self.output)?;
        map.serialize_entry("usage", &self.usage.map(WrittenUsage::from))?;
        self.echo.write(&mut map)?;
        map.end()
    }
}

impl Object<'_> {
    const fn incomplete(&self) -> Option<Incomplete> {
        let reason = match (self.status, self.finish) {
            (Status::Incomplete, Some(Finish::Filter)) => "content_filter",
            (Status::Incomplete, _) => "max_output_tokens",
            (Status::InProgress | Status::Completed | Status::Failed, _) => return None,
        };
        Some(Incomplete { reason })
    }
}

impl From<Usage> for WrittenUsage {
    fn from(usage: Usage) -> Self {
        Self {
            input_tokens: usage.input,
            input_tokens_details: InputDetails {
                cached_tokens: usage.cached,
                cache_write_tokens: usage.cache_written,
            },
            output_tokens: usage.output,
            output_tokens_details: OutputDetails { reasoning_tokens: usage.reasoning.unwrap_or_default() },
            total_tokens: usage.input.saturating_add(usage.output),
        }
    }
}
