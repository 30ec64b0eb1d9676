//! Writes a request to `/api/chat`.

use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::dialect::{
    conversation::{
        self, Content, Conversation, Effort, OutputFormat, Part, Refusal, Role, Source, Tool, ToolChoice,
    },
    features::OLLAMA,
    json::{self, Json, Member, any_object, constant, entry},
    sent::{Limits, Sent},
};

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    messages: Vec<Message<'a>>,
    stream: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<WrittenTool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Json<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    think: Option<Think<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_alive: Option<Json<'a>>,
    options: Options<'a>,
}

#[derive(Default, Serialize)]
struct Message<'a> {
    role: &'static str,
    content: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<ToolCall<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_name: Option<&'a str>,
}

#[derive(Serialize)]
struct ToolCall<'a> {
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    arguments: Json<'a>,
}

#[derive(Serialize)]
struct WrittenTool<'a> {
    r#type: &'static str,
    function: Declaration<'a>,
}

#[derive(Serialize)]
struct Declaration<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    parameters: Json<'a>,
}

/// The thinking of a request: the client's own word, an effort for a model that has efforts, else on or off.
#[derive(Serialize)]
#[serde(untagged)]
enum Think<'a> {
    Native(Json<'a>),
    Effort(&'static str),
    Switch(bool),
}

/// The options of the model.
struct Options<'a>(&'a Conversation<'a>);

/// Writes a request.
///
/// # Errors
/// Returns the parameter that cannot be translated.
pub(in crate::dialect) fn write(conversation: &Conversation<'_>, limits: Limits) -> Result<Sent, Refusal> {
    OLLAMA.check(&conversation.others, limits.drop, |name| OLLAMA.is_native(name))?;
    let request = Request {
        model: &conversation.model,
        messages: messages(conversation)?,
        stream: conversation.stream,
        tools: tools(conversation)?,
        format: match &conversation.format {
            OutputFormat::Text => None,
            OutputFormat::Object => Some(constant("\"json\"")),
            OutputFormat::Schema(schema) => Some(schema),
        },
        think: think(conversation),
        keep_alive: conversation.other("keep_alive"),
        options: Options(conversation),
    };
    let body = serde_json::to_vec(&request).map_err(|error| Refusal::invalid("body", error))?;
    Ok(Sent { body, betas: Vec::new(), method: None })
}

fn messages<'a>(conversation: &'a Conversation<'a>) -> Result<Vec<Message<'a>>, Refusal> {
    let mut messages = Vec::new();
    for part in &conversation.system {
        let mut message = Message { role: "system", ..Message::default() };
        add(part, &mut message)?;
        messages.push(message);
    }
    for turn in &conversation.turns {
        let role = match turn.role {
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        let mut message = Message { role, ..Message::default() };
        for part in &turn.parts {
            match &part.content {
                Content::ToolResult { id, parts, .. } => messages.push(result(conversation, id, parts)?),
                _ => add(part, &mut message)?,
            }
        }
        let is_empty =
            message.content.is_empty() && message.images.is_empty() && message.tool_calls.is_empty();
        if !is_empty {
            messages.push(message);
        }
    }
    Ok(messages)
}

/// Returns the message of a result. Ollama knows no ids.
fn result<'a>(
    conversation: &'a Conversation<'a>,
    id: &str,
    parts: &'a [Part<'a>],
) -> Result<Message<'a>, Refusal> {
    let tool_name = conversation.name_of_call(id);
    let mut message = Message { role: "tool", tool_name, ..Message::default() };
    for part in parts {
        add(part, &mut message)?;
    }
    Ok(message)
}

/// Adds a part to a message.
fn add<'a>(part: &'a Part<'a>, message: &mut Message<'a>) -> Result<(), Refusal> {
    match &part.content {
        Content::Text(text) | Content::Refusal(text) => {
            let separator = if message.content.is_empty() { "" } else { "\n" };
            message.content.extend([separator, text]);
        }
        Content::Image(Source::Base64 { data, .. }) => message.images.push(data),
        Content::Image(_) => {
            return Err(Refusal::new("messages", "Ollama takes images as data only: send a data URL."));
        }
        Content::ToolCall { name, arguments, .. } => {
            let function = Function { name, arguments: conversation::arguments(name, arguments)? };
            message.tool_calls.push(ToolCall { function });
        }
        Content::Document { .. } => return Err(Refusal::part("file")),
        Content::Audio { .. } => return Err(Refusal::part("input_audio")),
        // A result is a message of its own. Thinking is not sent back.
        Content::ToolResult { .. } | Content::Thinking { .. } | Content::RedactedThinking(_) => {}
    }
    Ok(())
}

/// Returns the tools that may be called. Ollama has no choice of tools: only that of none is possible.
fn tools<'a>(conversation: &'a Conversation<'a>) -> Result<Vec<WrittenTool<'a>>, Refusal> {
    let mut tools = Vec::new();
    for tool in &conversation.tools {
        match tool {
            Tool::Function { name, description, schema, .. } => {
                let parameters = schema.unwrap_or_else(any_object);
                let function = Declaration { name, description: description.as_deref(), parameters };
                tools.push(WrittenTool { r#type: "function", function });
            }
            Tool::Vendor(json) => return Err(Refusal::tool(json)),
        }
    }
    if conversation.tool_choice == Some(ToolChoice::None) {
        tools.clear();
    }
    Ok(tools)
}

fn think<'a>(conversation: &Conversation<'a>) -> Option<Think<'a>> {
    if let Some(native) = conversation.other("think") {
        return Some(Think::Native(native));
    }
    let effort = conversation.effort?;
    if !conversation.model.contains("gpt-oss") {
        return Some(Think::Switch(effort != Effort::None));
    }
    Some(Think::Effort(match effort {
        Effort::None | Effort::Minimal | Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High | Effort::XHigh | Effort::Max => "high",
    }))
}

impl Serialize for Options<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(conversation) = self;
        let mut map = serializer.serialize_map(None)?;
        entry(&mut map, "temperature", conversation.temperature)?;
        entry(&mut map, "top_p", conversation.top_p)?;
        entry(&mut map, "num_predict", conversation.max_tokens)?;
        entry(&mut map, "stop", Some(&conversation.stop).filter(|stop| !stop.is_empty()))?;
        for (name, value) in options(conversation) {
            map.serialize_entry(&name, value)?;
        }
        map.end()
    }
}

/// Returns the options in the client's own words: those beside the messages, then those in `options`. An option that has
/// a place in the conversation is not among them.
fn options<'a>(conversation: &Conversation<'a>) -> Vec<Member<'a>> {
    let inner = conversation.other("options").and_then(|options| json::members(options.get()).ok());
    let is_option = |(name, _): &&Member<'a>| {
        OLLAMA.is_native(name) && !matches!(&**name, "options" | "keep_alive" | "think")
    };
    let outer = conversation.others.iter().filter(is_option).cloned();
    let mut options: Vec<Member<'a>> = Vec::new();
    for (name, value) in outer.chain(inner.unwrap_or_default()) {
        let is_known = options.iter().any(|(known, _)| *known == name) || is_set(conversation, &name);
        if !is_known {
            options.push((name, value));
        }
    }
    options
}

/// Returns true for an option that the conversation has.
fn is_set(conversation: &Conversation<'_>, name: &str) -> bool {
    match name {
        "temperature" => conversation.temperature.is_some(),
        "top_p" => conversation.top_p.is_some(),
        "num_predict" => conversation.max_tokens.is_some(),
        "stop" => !conversation.stop.is_empty(),
        _ => false,
    }
}
