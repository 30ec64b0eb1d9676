//! JSON as the output of a model: [`Format`].

use serde_json::value::RawValue;

use super::schema;
use crate::dialect::{
    conversation::OutputFormat,
    json::{self, Json, constant},
};

/// The tool that a model must call if its output has to be JSON that its format cannot express.
pub(super) const JSON_TOOL: &str = "json_tool_call";

/// The way in which a model is made to write JSON.
#[derive(Debug)]
pub(in crate::dialect) enum Format<'a> {
    /// Any text.
    Text,
    /// The output format, with a closed schema.
    Native(Box<RawValue>),
    /// A tool with this schema of its arguments, which become the text of the response.
    Tool(Json<'a>),
    /// A sentence in the system prompt: the model cannot be forced to call a tool.
    Instruction(Option<Json<'a>>),
}

impl<'a> Format<'a> {
    /// Returns the way for a format, of a model that has the output format or not. One that thinks cannot be forced to call a
    /// tool.
    pub(in crate::dialect) fn of(format: &OutputFormat<'a>, has_format: bool, can_be_forced: bool) -> Self {
        match format {
            OutputFormat::Text => Self::Text,
            OutputFormat::Object if can_be_forced => Self::Tool(constant(r#"{"type":"object"}"#)),
            OutputFormat::Object => Self::Instruction(None),
            OutputFormat::Schema(schema) => {
                let closed = has_format.then(|| schema::closed(schema)).flatten();
                match closed {
                    Some(closed) => Self::Native(closed),
                    None if can_be_forced && is_object(schema) => Self::Tool(schema),
                    None => Self::Instruction(Some(schema)),
                }
            }
        }
    }

    /// Returns true if the model must call the tool.
    pub(in crate::dialect) const fn is_tool(&self) -> bool {
        matches!(self, Self::Tool(_))
    }

    /// Returns the sentence for the system prompt.
    pub(in crate::dialect) fn instruction(&self) -> Option<String> {
        match self {
            Self::Instruction(None) => Some("Respond with one JSON object and nothing else.".to_owned()),
            Self::Instruction(Some(schema)) => {
                Some(format!("Respond with JSON of this schema and nothing else: {}", schema.get()))
            }
            Self::Text | Self::Native(_) | Self::Tool(_) => None,
        }
    }
}

/// Returns true for a schema of objects: the arguments of a tool are one.
fn is_object(schema: Json<'_>) -> bool {
    json::member(schema, "type").is_some_and(|kind| kind.get() == "\"object\"")
}
