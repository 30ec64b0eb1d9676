//! A response in no dialect: its [`Delta`]s, and the [`Answer`] that they add up to.

use super::json::{Json, Text};

/// A piece of a response in no dialect. A piece that continues a part belongs to the part that began last.
#[derive(Debug)]
pub(crate) enum Delta<'a> {
    /// The beginning: the upstream's id of the response, and its name of the model.
    Start {
        id: Text<'a>,
        model: Text<'a>,
    },
    Text(Text<'a>),
    /// Text in which the model refuses.
    Refusal(Text<'a>),
    Thinking(Text<'a>),
    /// The signature of the thinking before it.
    Signature(Text<'a>),
    RedactedThinking(Text<'a>),
    /// The beginning of a tool call.
    ToolCall {
        id: Text<'a>,
        name: Text<'a>,
    },
    /// A piece of the arguments of a tool call, as JSON text.
    Arguments(Text<'a>),
    Citation(Citation<'a>),
    /// The stop sequence that was found.
    StopSequence(Text<'a>),
    Finish(Finish),
    /// The tokens of the whole response.
    Usage(Usage),
    /// A sign that the upstream still works.
    Alive,
    /// The regular end.
    End,
}

/// The source of the text before it.
#[derive(Debug)]
pub(crate) enum Citation<'a> {
    /// A web page.
    Page { url: Text<'a>, title: Text<'a> },
    /// A place in a document, in the vendor's words.
    Vendor(Json<'a>),
}

/// The reason why a response ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finish {
    Stop,
    Length,
    ToolCalls,
    /// A content filter, or a refusal of the model.
    Filter,
}

/// The tokens of a response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// All tokens of the input, cached ones included.
    pub input: u64,
    /// The tokens that were read from a cache.
    pub cached: u64,
    /// The tokens that were written to a cache.
    pub cache_written: u64,
    /// All tokens of the output, reasoning included.
    pub output: u64,
    /// The tokens of reasoning, if the upstream reports them.
    pub reasoning: Option<u64>,
}

/// A complete response in no dialect: the fold of its deltas.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub id: String,
    pub model: String,
    pub parts: Vec<AnswerPart>,
    pub stop_sequence: Option<String>,
    pub finish: Option<Finish>,
    pub usage: Usage,
}

/// A part of an [`Answer`].
#[derive(Debug)]
pub(crate) enum AnswerPart {
    Text(String),
    Refusal(String),
    Thinking {
        text: String,
        signature: String,
    },
    RedactedThinking(String),
    ToolCall {
        id: String,
        name: String,
        arguments: String,
    },
    Page {
        url: String,
        title: String,
    },
    /// A citation in the vendor's words, as JSON text.
    Citation(String),
}

impl Answer {
    /// Adds a piece.
    pub(super) fn add(&mut self, delta: &Delta<'_>) {
        match delta {
            Delta::Start { id, model } => (self.id, self.model) = (id.to_string(), model.to_string()),
            Delta::Text(text) => self.text(text),
            Delta::Refusal(text) => self.refusal(text),
            Delta::Thinking(text) => self.thinking(text),
            Delta::Signature(text) => self.signature(text),
            Delta::RedactedThinking(data) => self.parts.push(AnswerPart::RedactedThinking(data.to_string())),
            Delta::ToolCall { id, name } => self.parts.push(AnswerPart::ToolCall {
                id: id.to_string(),
                name: name.to_string(),
                arguments: String::new(),
            }),
            Delta::Arguments(piece) => self.arguments(piece),
            Delta::Citation(citation) => self.parts.push(citation.into()),
            Delta::StopSequence(text) => self.stop_sequence = Some(text.to_string()),
            Delta::Finish(finish) => self.finish = Some(*finish),
            Delta::Usage(usage) => self.usage = *usage,
            Delta::Alive | Delta::End => {}
        }
    }

    fn text(&mut self, piece: &str) {
        match self.parts.last_mut() {
            Some(AnswerPart::Text(text)) => text.push_str(piece),
            _ => self.parts.push(AnswerPart::Text(piece.to_owned())),
        }
    }

    fn refusal(&mut self, piece: &str) {
        match self.parts.last_mut() {
            Some(AnswerPart::Refusal(text)) => text.push_str(piece),
            _ => self.parts.push(AnswerPart::Refusal(piece.to_owned())),
        }
    }

    fn thinking(&mut self, piece: &str) {
        match self.parts.last_mut() {
            // A signature ends a block of thinking.
            Some(AnswerPart::Thinking { text, signature }) if signature.is_empty() => text.push_str(piece),
            _ => self.parts.push(AnswerPart::Thinking { text: piece.to_owned(), signature: String::new() }),
        }
    }

    fn signature(&mut self, piece: &str) {
        match self.parts.last_mut() {
            Some(AnswerPart::Thinking { signature, .. }) => signature.push_str(piece),
            _ => self.parts.push(AnswerPart::Thinking { text: String::new(), signature: piece.to_owned() }),
        }
    }

    fn arguments(&mut self, piece: &str) {
        if let Some(AnswerPart::ToolCall { arguments, .. }) = self.parts.last_mut() {
            arguments.push_str(piece);
        }
    }
}

impl From<&Citation<'_>> for AnswerPart {
    fn from(citation: &Citation<'_>) -> Self {
        match citation {
            Citation::Page { url, title } => Self::Page { url: url.to_string(), title: title.to_string() },
            Citation::Vendor(json) => Self::Citation(json.get().to_owned()),
        }
    }
}

/// Gives text to `sink`, unless it is empty.
pub(super) fn send<'a>(text: Text<'a>, delta: fn(Text<'a>) -> Delta<'a>, sink: &mut impl FnMut(&Delta<'_>)) {
    if !text.is_empty() {
        sink(&delta(text));
    }
}

/// Returns the id of a call, made of the response's id and the number of the call if the upstream has given none.
pub(super) fn call_id<'a>(given: Option<Text<'a>>, response: Option<&str>, call: usize) -> Text<'a> {
    let made = || format!("call_{}_{call}", response.unwrap_or_default()).into();
    given.filter(|id| !id.is_empty()).unwrap_or_else(made)
}
