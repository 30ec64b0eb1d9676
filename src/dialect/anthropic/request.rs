//! Writes a request to `/v1/messages`.

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::json;

use super::{
    blocks::{Block, Message, blocks, messages},
    calls::CallHints,
    format::Format,
    generation::Generation,
    names::Names,
    thinking::{self, Thinking},
    tools::{WrittenChoice, WrittenTool, choice, tools},
};
use crate::dialect::{
    conversation::{Content, Conversation, Part, Refusal, Source},
    features::ANTHROPIC,
    json::{self, Json, Member, Text, entry},
    sent::{Limits, Sent},
};

/// The server of the API.
#[derive(Clone, Copy, Debug)]
pub(in crate::dialect) enum Host {
    /// Anthropic's own, or one with the same route.
    Own,
    /// Vertex AI, which has the model in the path and the version in the body.
    Vertex,
}

impl Host {
    /// Returns the method in the path.
    fn method(self, conversation: &Conversation<'_>) -> Option<(String, &'static str)> {
        match self {
            Self::Own => None,
            Self::Vertex if conversation.stream => {
                Some((conversation.model.to_string(), ":streamRawPredict"))
            }
            Self::Vertex => Some((conversation.model.to_string(), ":rawPredict")),
        }
    }
}

/// Writes a request. Returns the hints that its response must be read with.
///
/// # Errors
/// Returns the parameter that cannot be translated.
pub(in crate::dialect) fn write(
    conversation: &Conversation<'_>,
    limits: Limits,
    host: Host,
) -> Result<(Sent, CallHints), Refusal> {
    let generation = Generation::of(&conversation.model);
    let mut names = Names::default();
    let native = native(conversation, limits.drop, generation)?;
    let is_set = |name: &str| conversation.other(name).is_some();
    let thinking = Thinking::of(conversation, generation).filter(|_| !is_set("thinking"));
    let can_be_forced =
        generation.can_be_forced() && !is_set("thinking") && !thinking.is_some_and(Thinking::is_on);
    let format = Format::of(&conversation.format, generation.has_format(), can_be_forced);
    let system = blocks(&conversation.system, &mut names)?;
    let messages = messages(&conversation.turns, &mut names)?;
    let tools = tools(conversation, &format, &mut names)?;
    let request = Request {
        max_tokens: max_tokens(conversation, limits.max_tokens, (generation, thinking)),
        system,
        instruction: format.instruction(),
        messages,
        tool_choice: choice(conversation, (&format, !tools.is_empty()), &mut names),
        tools,
        temperature: temperature(conversation, limits.drop, generation.has_sampling())?,
        top_p: sampling("top_p", conversation.top_p, (limits.drop, generation.has_sampling()))?,
        stop: stop(conversation, limits.drop),
        effort: conversation.effort.and_then(|effort| thinking::effort(effort, generation)),
        host,
        conversation,
        thinking,
        format,
        native,
    };
    let body = serde_json::to_vec(&request).map_err(|error| Refusal::invalid("body", error))?;
    let betas = betas(conversation);
    Ok((
        Sent { body, betas, method: host.method(conversation) },
        CallHints { names, json_tool: request.format.is_tool() },
    ))
}

/// A request as it is written.
struct Request<'a> {
    host: Host,
    conversation: &'a Conversation<'a>,
    max_tokens: u64,
    system: Vec<Block<'a>>,
    instruction: Option<String>,
    messages: Vec<Message<Block<'a>>>,
    tools: Vec<WrittenTool<'a>>,
    tool_choice: Option<WrittenChoice>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    stop: Vec<&'a Text<'a>>,
    thinking: Option<Thinking>,
    effort: Option<&'static str>,
    format: Format<'a>,
    native: Vec<&'a Member<'a>>,
}

impl Serialize for Request<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self.host {
            Host::Own => map.serialize_entry("model", &self.conversation.model)?,
            Host::Vertex => map.serialize_entry("anthropic_version", "vertex-2023-10-16")?,
        }
        map.serialize_entry("max_tokens", &self.max_tokens)?;
        entry(&mut map, "stream", self.conversation.stream.then_some(true))?;
        entry(&mut map, "system", self.system())?;
        map.serialize_entry("messages", &self.messages)?;
        entry(&mut map, "tools", Some(&self.tools).filter(|tools| !tools.is_empty()))?;
        entry(&mut map, "tool_choice", self.tool_choice.as_ref())?;
        entry(&mut map, "temperature", self.temperature)?;
        entry(&mut map, "top_p", self.top_p)?;
        entry(&mut map, "stop_sequences", Some(&self.stop).filter(|stop| !stop.is_empty()))?;
        entry(&mut map, "thinking", self.thinking)?;
        entry(&mut map, "output_config", self.output_config())?;
        entry(
            &mut map,
            "metadata",
            user_id(self.conversation).map(|user_id| json!({ "user_id": &*user_id })),
        )?;
        entry(&mut map, "service_tier", service_tier(self.conversation))?;
        for (name, value) in &self.native {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl Request<'_> {
    /// Returns the system prompt, with the instruction as its last block.
    fn system(&self) -> Option<System<'_>> {
        let has_any = !self.system.is_empty() || self.instruction.is_some();
        has_any.then_some(System { blocks: &self.system, instruction: self.instruction.as_deref() })
    }

    /// Returns the output format and the effort, unless the client has set them in Anthropic's words.
    fn output_config(&self) -> Option<OutputConfig<'_>> {
        let is_set = self.conversation.other("output_config").is_some();
        let format = match &self.format {
            Format::Native(schema) => Some(OutputFormat { r#type: "json_schema", schema }),
            Format::Text | Format::Tool(_) | Format::Instruction(_) => None,
        };
        let has_any = format.is_some() || self.effort.is_some();
        (has_any && !is_set).then_some(OutputConfig { format, effort: self.effort })
    }
}

struct System<'a> {
    blocks: &'a [Block<'a>],
    instruction: Option<&'a str>,
}

impl Serialize for System<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(untagged)]
        enum Either<'a> {
            Block(&'a Block<'a>),
            Instruction { r#type: &'static str, text: &'a str },
        }
        let instruction = self.instruction.map(|text| Either::Instruction { r#type: "text", text });
        serializer.collect_seq(self.blocks.iter().map(Either::Block).chain(instruction))
    }
}

#[derive(Serialize)]
struct OutputConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<OutputFormat<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'static str>,
}

#[derive(Serialize)]
struct OutputFormat<'a> {
    r#type: &'static str,
    schema: Json<'a>,
}

/// Returns the largest output: the client's, or a default that leaves enough beside the thinking.
fn max_tokens(
    conversation: &Conversation<'_>,
    default: Option<u64>,
    (generation, thinking): (Generation, Option<Thinking>),
) -> u64 {
    const BESIDE_THINKING: u64 = 4096;
    let least = thinking.map_or(1, |thinking| thinking.budget() + BESIDE_THINKING);
    let default = || default.unwrap_or_else(|| generation.max_tokens()).max(least);
    conversation.max_tokens.unwrap_or_else(default)
}

/// Returns the temperature, which is at most 1.
pub(in crate::dialect) fn temperature(
    conversation: &Conversation<'_>,
    drop: bool,
    has_sampling: bool,
) -> Result<Option<f64>, Refusal> {
    const NAME: &str = "temperature";
    // Every model accepts its default.
    let temperature = conversation.temperature.filter(|temperature| has_sampling || *temperature != 1.0);
    let temperature = sampling(NAME, temperature, (drop, has_sampling))?;
    match temperature.filter(|temperature| *temperature > 1.0) {
        None => Ok(temperature),
        Some(_) if drop => Ok(Some(1.0)),
        Some(_) => Err(Refusal::new(
            NAME,
            "The temperature of this model is at most 1. With `drop_params: true` a higher one is lowered.",
        )),
    }
}

/// Returns a parameter of sampling. Newer models have none.
pub(in crate::dialect) fn sampling(
    name: &str,
    value: Option<f64>,
    (drop, has_sampling): (bool, bool),
) -> Result<Option<f64>, Refusal> {
    match value {
        Some(_) if has_sampling => Ok(value),
        Some(_) if !drop => Err(Refusal::unsupported(name)),
        Some(_) | None => Ok(None),
    }
}

/// Returns the stop sequences. The API refuses those of white space alone.
pub(in crate::dialect) fn stop<'a>(conversation: &'a Conversation<'a>, drop: bool) -> Vec<&'a Text<'a>> {
    conversation.stop.iter().filter(|stop| !drop || !stop.trim().is_empty()).collect()
}

/// Returns the identifier of the end user. The API refuses addresses and telephone numbers.
fn user_id<'a>(conversation: &'a Conversation<'a>) -> Option<Text<'a>> {
    let in_metadata = || {
        let (_, metadata) = conversation.others.iter().find(|(name, _)| **name == *"metadata")?;
        serde_json::from_str(json::member(metadata, "user_id")?.get()).ok()
    };
    let is_phone = |user: &str| user.bytes().all(|byte| byte.is_ascii_digit() || b"+-() .".contains(&byte));
    conversation.user.clone().or_else(in_metadata).filter(|user| !user.contains('@') && !is_phone(user))
}

/// Returns the service tier: Anthropic has the best that is available, and the standard one.
fn service_tier(conversation: &Conversation<'_>) -> Option<&'static str> {
    match conversation.service_tier.as_deref()? {
        "auto" | "priority" => Some("auto"),
        "default" | "standard_only" => Some("standard_only"),
        _ => None,
    }
}

/// Returns the features that a request needs and that the API has not generally released.
fn betas(conversation: &Conversation<'_>) -> Vec<&'static str> {
    const FILES: &str = "files-api-2025-04-14";
    const MEMBERS: [(&str, &str); 3] = [
        ("context_management", "context-management-2025-06-27"),
        ("mcp_servers", "mcp-client-2025-04-04"),
        ("speed", "fast-mode-2026-02-01"),
    ];
    let has = |name: &str| conversation.other(name).is_some();
    let of_members = MEMBERS.iter().filter(|(name, _)| has(name)).map(|(_, beta)| *beta);
    of_members.chain(has_file(conversation).then_some(FILES)).collect()
}

/// Returns true if a turn has a file of which only the id is given.
fn has_file(conversation: &Conversation<'_>) -> bool {
    let is_file = |part: &Part<'_>| {
        matches!(
            part.content,
            Content::Image(Source::File(_)) | Content::Document { source: Source::File(_), .. }
        )
    };
    conversation.turns.iter().flat_map(|turn| &turn.parts).any(is_file)
}

/// Returns the members that are sent as they are.
fn native<'a>(
    conversation: &'a Conversation<'a>,
    drop: bool,
    generation: Generation,
) -> Result<Vec<&'a Member<'a>>, Refusal> {
    let is_sent = |name: &str| ANTHROPIC.is_native(name) && (name != "top_k" || generation.has_sampling());
    ANTHROPIC.check(&conversation.others, drop, is_sent)?;
    Ok(conversation.others.iter().filter(|(name, _)| is_sent(name)).collect())
}
