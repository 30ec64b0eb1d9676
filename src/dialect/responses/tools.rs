//! Reads the tools of a request, and which of them are called.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::dialect::{
    conversation::{Refusal, Tool, ToolChoice},
    json::{self, Json, Text},
    read::{self, typed},
};

/// The tools that run at OpenAI, and those that only its models know.
const BUILT_IN: [&str; 17] = [
    "apply_patch",
    "code_interpreter",
    "computer",
    "computer_use_preview",
    "custom",
    "file_search",
    "image_generation",
    "local_shell",
    "mcp",
    "namespace",
    "programmatic_tool_calling",
    "shell",
    "tool_search",
    "web_search",
    "web_search_2025_08_26",
    "web_search_preview",
    "web_search_preview_2025_03_11",
];

#[derive(Deserialize)]
struct Described<'a> {
    #[serde(borrow)]
    r#type: Text<'a>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    description: Option<Text<'a>>,
    #[serde(borrow)]
    parameters: Option<&'a RawValue>,
    strict: Option<bool>,
}

/// Reads the tools. A tool of another vendor stays in its words.
pub(super) fn read(value: Json<'_>) -> Result<Vec<Tool<'_>>, Refusal> {
    typed::<Vec<Json<'_>>>("tools", value)?.into_iter().map(tool).collect()
}

fn tool(value: Json<'_>) -> Result<Tool<'_>, Refusal> {
    let Described { r#type, name, description, parameters, strict } = typed("tools", value)?;
    match (&*r#type, name) {
        ("function", Some(name)) => {
            let schema = parameters.filter(|schema| json::is_object(schema));
            Ok(Tool::Function { name, description, schema, strict, cache: None })
        }
        ("function", None) => Err(Refusal::invalid("tools", "a function without a name")),
        (built_in, _) if BUILT_IN.contains(&built_in) => Err(Refusal::tool(value)),
        _ => Ok(Tool::Vendor(value)),
    }
}

/// Reads the choice of tools: a word, or the one that must be called.
pub(super) fn choice(value: Json<'_>) -> Result<ToolChoice<'_>, Refusal> {
    const NAME: &str = "tool_choice";
    if json::is_text(value) {
        return read::choice(NAME, value);
    }
    let Described { r#type, name, .. } = typed(NAME, value)?;
    match (&*r#type, name) {
        ("function", Some(name)) => Ok(ToolChoice::Named(name)),
        (kind, _) => {
            Err(Refusal::new(NAME, format!("The provider of this model has no choice of type {kind:?}.")))
        }
    }
}
