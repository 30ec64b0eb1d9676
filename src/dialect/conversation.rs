//! A request in no dialect: [`Conversation`].

use std::fmt;

use serde::Serialize;

use super::json::{self, Json, Member, Text, constant};

/// A request in no dialect. Text borrows from the client's body.
#[derive(Debug, Default)]
pub(crate) struct Conversation<'a> {
    pub model: Text<'a>,
    /// True if a stream was requested.
    pub stream: bool,
    /// The system and developer prompts, in order.
    pub system: Vec<Part<'a>>,
    /// The turns, in order. Two that follow each other have different roles.
    pub turns: Vec<Turn<'a>>,
    pub tools: Vec<Tool<'a>>,
    pub tool_choice: Option<ToolChoice<'a>>,
    /// False if the model may call one tool at a time only.
    pub parallel_tool_calls: Option<bool>,
    pub format: OutputFormat<'a>,
    /// The name of the format's schema.
    pub format_name: Option<Text<'a>>,
    /// True if the response must have the format's schema.
    pub is_strict: Option<bool>,
    /// The reasoning effort.
    pub effort: Option<Effort>,
    pub max_tokens: Option<u64>,
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    /// The stop sequences.
    pub stop: Vec<Text<'a>>,
    /// The identifier of the end user.
    pub user: Option<Text<'a>>,
    pub service_tier: Option<Text<'a>>,
    /// The members of the request that have no place here. The upstream's dialect decides.
    pub others: Vec<Member<'a>>,
}

impl<'a> Conversation<'a> {
    /// Returns the value of a member that has no place here.
    pub(super) fn other(&self, name: &str) -> Option<Json<'a>> {
        self.others.iter().rev().find(|(known, _)| **known == *name).map(|(_, value)| *value)
    }

    /// Returns the name of the tool of a call, for an API that knows no ids.
    pub(super) fn name_of_call(&self, wanted: &str) -> Option<&str> {
        let parts = self.turns.iter().rev().flat_map(|turn| turn.parts.iter().rev());
        parts.into_iter().find_map(|part| match &part.content {
            Content::ToolCall { id, name, .. } if **id == *wanted => Some(&**name),
            _ => None,
        })
    }

    /// Appends parts to the last turn, or begins one if that has another role.
    pub(super) fn push(&mut self, role: Role, parts: Vec<Part<'a>>) {
        match self.turns.last_mut().filter(|turn| turn.role == role) {
            Some(turn) => turn.parts.extend(parts),
            None if parts.is_empty() => {}
            None => self.turns.push(Turn { role, parts }),
        }
    }
}

/// The author of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    User,
    Assistant,
}

/// A turn of a conversation. A last turn of the assistant is a prefix, which the model continues.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    pub role: Role,
    pub parts: Vec<Part<'a>>,
}

/// A part of a turn or of a system prompt.
#[derive(Debug)]
pub(crate) struct Part<'a> {
    pub content: Content<'a>,
    /// The mark behind which a prompt is cached, as the client wrote it.
    pub cache: Option<Json<'a>>,
}

impl<'a> Part<'a> {
    /// Returns a part without a cache mark.
    pub(super) const fn new(content: Content<'a>) -> Self {
        Self { content, cache: None }
    }
}

/// The content of a part.
#[derive(Debug)]
pub(crate) enum Content<'a> {
    Text(Text<'a>),
    /// Text in which an earlier response refused.
    Refusal(Text<'a>),
    Image(Source<'a>),
    Document {
        source: Source<'a>,
        name: Option<Text<'a>>,
    },
    Audio {
        /// The format, such as `wav`.
        format: Text<'a>,
        data: Text<'a>,
    },
    ToolCall {
        id: Text<'a>,
        name: Text<'a>,
        /// The arguments, as JSON text. It may be empty or invalid: a model wrote it.
        arguments: Text<'a>,
    },
    ToolResult {
        id: Text<'a>,
        parts: Vec<Part<'a>>,
        /// True if the client states that the tool has failed.
        is_error: bool,
    },
    Thinking {
        text: Text<'a>,
        /// The vendor's proof that the text is its model's.
        signature: Text<'a>,
    },
    /// Thinking that only the vendor can read.
    RedactedThinking(Text<'a>),
}

/// The place of an image or a document.
#[derive(Debug)]
pub(crate) enum Source<'a> {
    Url(Text<'a>),
    Base64 {
        media_type: Text<'a>,
        data: Text<'a>,
    },
    /// The id of a file at the vendor.
    File(Text<'a>),
}

/// A tool that the model may call.
#[derive(Debug)]
pub(crate) enum Tool<'a> {
    Function {
        name: Text<'a>,
        description: Option<Text<'a>>,
        /// The JSON schema of the arguments.
        schema: Option<Json<'a>>,
        /// True if the arguments must have the schema.
        strict: Option<bool>,
        cache: Option<Json<'a>>,
    },
    /// A tool in the words of one vendor.
    Vendor(Json<'a>),
}

/// The restriction of the tools that are called.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ToolChoice<'a> {
    Auto,
    None,
    /// At least one tool, whichever.
    Required,
    /// The tool of this name.
    Named(Text<'a>),
}

/// The format of the response's text.
#[derive(Debug, Default)]
pub(crate) enum OutputFormat<'a> {
    #[default]
    Text,
    /// Any JSON object.
    Object,
    /// JSON of this schema.
    Schema(Json<'a>),
}

/// A reasoning effort, in ascending order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Effort {
    None,
    Minimal,
    Low,
    Medium,
    High,
    XHigh,
    Max,
}

impl Effort {
    /// Returns the effort of this name, which is a value of `parameter`.
    ///
    /// # Errors
    /// Returns a refusal for any other name.
    pub(super) fn named(parameter: &str, name: &str) -> Result<Self, Refusal> {
        Ok(match name {
            "none" => Self::None,
            "minimal" => Self::Minimal,
            "low" => Self::Low,
            "medium" => Self::Medium,
            "high" => Self::High,
            "xhigh" => Self::XHigh,
            "max" => Self::Max,
            other => return Err(Refusal::invalid(parameter, format_args!("unknown effort {other:?}"))),
        })
    }
}

/// Writes the parts of turns, and joins those of one role in a row, each with its role. A turn of which nothing is written is
/// left out: upstreams refuse it.
///
/// # Errors
/// Returns the first error of `write`.
pub(super) fn joined<'a, P>(
    turns: &'a [Turn<'a>],
    mut write: impl FnMut(&'a [Part<'a>]) -> Result<Vec<P>, Refusal>,
) -> Result<Vec<(Role, Vec<P>)>, Refusal> {
    let mut joined: Vec<(Role, Vec<P>)> = Vec::with_capacity(turns.len());
    for turn in turns {
        let written = write(&turn.parts)?;
        match joined.last_mut().filter(|(role, _)| *role == turn.role) {
            Some((_, parts)) => parts.extend(written),
            None if written.is_empty() => {}
            None => joined.push((turn.role, written)),
        }
    }
    Ok(joined)
}

/// Returns the arguments of a call as an object. A model may have called a tool without any.
///
/// # Errors
/// Returns a refusal for other text, which a model may have written too.
pub(super) fn arguments<'a>(name: &str, arguments: &'a str) -> Result<Json<'a>, Refusal> {
    if arguments.trim().is_empty() {
        return Ok(constant("{}"));
    }
    let object = serde_json::from_str::<Json<'a>>(arguments).ok().filter(|value| json::is_object(value));
    object.ok_or_else(|| {
        Refusal::invalid("messages", format_args!("the arguments of a call of {name:?} are no JSON object"))
    })
}

/// The reason why a request is not sent: it has a parameter that cannot be translated.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The name of the parameter.
    pub parameter: String,
    /// The reason, and what to do.
    pub message: String,
}

impl Refusal {
    /// Returns a refusal because of this parameter.
    pub(super) fn new(parameter: &str, message: impl Into<String>) -> Self {
        Self { parameter: parameter.to_owned(), message: message.into() }
    }

    /// Returns the refusal of a value that cannot be read.
    pub(super) fn invalid(parameter: &str, error: impl fmt::Display) -> Self {
        Self::new(parameter, format!("'{parameter}' is invalid: {error}"))
    }

    /// Returns the refusal of a tool of another vendor.
    pub(super) fn tool(tool: Json<'_>) -> Self {
        let kind = json::member(tool, "type").map_or("null", |kind| kind.get());
        Self::new("tools", format!("The provider of this model has no tool of type {kind}."))
    }

    /// Returns the refusal of a part that the upstream does not take.
    pub(super) fn part(kind: &str) -> Self {
        Self::new("messages", format!("The provider of this model takes no part of type {kind:?}."))
    }

    /// Returns the refusal of an operation.
    pub(crate) fn operation(name: &str) -> Self {
        Self::new(
            "model",
            format!("The provider of this model has no {name}: call a model of another provider."),
        )
    }

    /// Returns the refusal of a parameter that `drop_params` would drop.
    pub(crate) fn unsupported(parameter: &str) -> Self {
        Self::new(
            parameter,
            format!(
                "The provider of this model does not know '{parameter}'. With `drop_params: true` it is dropped."
            ),
        )
    }
}
