//! Writes a request to `generateContent`.

use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    contents::{WrittenPart, WrittenTurn, system, turns},
    generation::{Generation, Thinking},
};
use crate::dialect::{
    conversation::{Conversation, OutputFormat, Refusal, Tool, ToolChoice},
    features::GEMINI,
    json::{self, Json},
    sent::{Limits, Sent},
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    contents: Vec<WrittenTurn<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system_instruction: Option<SystemInstruction<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<WrittenTool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_config: Option<ToolConfig<'a>>,
    generation_config: GenerationConfig<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    safety_settings: Option<Json<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cached_content: Option<Json<'a>>,
}

#[derive(Serialize)]
struct SystemInstruction<'a> {
    parts: Vec<WrittenPart<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum WrittenTool<'a> {
    Functions {
        #[serde(rename = "functionDeclarations")]
        declarations: Vec<Declaration<'a>>,
    },
    /// A tool of Google, as the client wrote it.
    Vendor(Json<'a>),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Declaration<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters_json_schema: Option<Json<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ToolConfig<'a> {
    function_calling_config: FunctionCalling<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FunctionCalling<'a> {
    mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_function_names: Option<[&'a str; 1]>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GenerationConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<Json<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<Json<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<Json<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<Json<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stop_sequences: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_mime_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_json_schema: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_config: Option<Thinking>,
}

/// Writes a request.
///
/// # Errors
/// Returns the parameter that cannot be translated.
pub(in crate::dialect) fn write(conversation: &Conversation<'_>, limits: Limits) -> Result<Sent, Refusal> {
    let generation = Generation::of(&conversation.model);
    GEMINI.check(&conversation.others, limits.drop, |name| GEMINI.is_native(name))?;
    let system = system(&conversation.system);
    let request = Request {
        contents: turns(conversation, generation.needs_signatures())?,
        system_instruction: (!system.is_empty()).then_some(SystemInstruction { parts: system }),
        tools: tools(conversation)?,
        tool_config: conversation.tool_choice.as_ref().filter(|_| !conversation.tools.is_empty()).map(choice),
        generation_config: config(conversation, generation),
        safety_settings: conversation.other("safety_settings"),
        cached_content: conversation.other("cached_content"),
    };
    let body = serde_json::to_vec(&request).map_err(|error| Refusal::invalid("body", error))?;
    let method = if conversation.stream { ":streamGenerateContent?alt=sse" } else { ":generateContent" };
    Ok(Sent { body, betas: Vec::new(), method: Some((conversation.model.to_string(), method)) })
}

/// Returns the tools: all functions are one of Google's.
fn tools<'a>(conversation: &'a Conversation<'a>) -> Result<Vec<WrittenTool<'a>>, Refusal> {
    let (mut tools, mut declarations) = (Vec::new(), Vec::new());
    for tool in &conversation.tools {
        match tool {
            Tool::Function { name, description, schema, .. } => declarations.push(Declaration {
                name,
                description: description.as_deref(),
                parameters_json_schema: *schema,
            }),
            // One of Google's has no type: its name is that of its only member.
            Tool::Vendor(json) if json::member(json, "type").is_none() => {
                tools.push(WrittenTool::Vendor(json))
            }
            Tool::Vendor(json) => return Err(Refusal::tool(json)),
        }
    }
    if !declarations.is_empty() {
        tools.push(WrittenTool::Functions { declarations });
    }
    Ok(tools)
}

fn choice<'a>(choice: &'a ToolChoice<'a>) -> ToolConfig<'a> {
    let (mode, allowed_function_names) = match choice {
        ToolChoice::Auto => ("AUTO", None),
        ToolChoice::None => ("NONE", None),
        ToolChoice::Required => ("ANY", None),
        ToolChoice::Named(name) => ("ANY", Some([&**name])),
    };
    ToolConfig { function_calling_config: FunctionCalling { mode, allowed_function_names } }
}

fn config<'a>(conversation: &'a Conversation<'a>, generation: Generation) -> GenerationConfig<'a> {
    let (response_mime_type, response_json_schema) = match &conversation.format {
        OutputFormat::Text => (None, None),
        OutputFormat::Object => (Some("application/json"), None),
        OutputFormat::Schema(schema) => (Some("application/json"), Some(*schema)),
    };
    GenerationConfig {
        max_output_tokens: conversation.max_tokens,
        temperature: conversation.temperature,
        top_p: conversation.top_p,
        top_k: conversation.other("top_k"),
        seed: conversation.other("seed"),
        presence_penalty: conversation.other("presence_penalty"),
        frequency_penalty: conversation.other("frequency_penalty"),
        stop_sequences: conversation.stop.iter().map(|stop| &**stop).collect(),
        response_mime_type,
        response_json_schema,
        thinking_config: conversation.effort.and_then(|effort| generation.thinking(effort)),
    }
}
