//! Writes a request to `Converse` or `ConverseStream`.

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::json;

use super::{
    content::{Block, Blocks},
    family::Family,
    response::Hints,
    tools::ToolConfig,
};
use crate::dialect::{
    anthropic::{CallHints, Format, Message, Names, Thinking, effort, sampling, stop, temperature},
    conversation::{Conversation, Effort, Refusal},
    features::BEDROCK,
    json::{self, Json, Member, Text, entry},
    sent::{Limits, Sent},
};

/// The parameters of Converse itself. The others of Bedrock's are the model's.
const CONVERSE: [&str; 5] = [
    "additionalModelResponseFieldPaths",
    "guardrailConfig",
    "performanceConfig",
    "promptVariables",
    "requestMetadata",
];
/// The parameters of the model, in its own words.
const FIELDS: &str = "additionalModelRequestFields";

/// Writes a request. Returns the hints that its response must be read with.
///
/// # Errors
/// Returns the parameter that cannot be translated.
pub(in crate::dialect) fn write(
    conversation: &Conversation<'_>,
    limits: Limits,
) -> Result<(Sent, Hints), Refusal> {
    let family = Family::of(&conversation.model);
    BEDROCK.check(&conversation.others, limits.drop, |name| is_sent(name, family))?;
    let mut names = Names::up_to(64);
    let fields = fields(conversation, family)?;
    let thinks = fields.thinking.is_some_and(Thinking::is_on) || fields.is_set("thinking");
    let format = Format::of(&conversation.format, false, family.can_be_forced() && !thinks);
    let mut blocks = Blocks { names: &mut names, has_cache: family.has_cache(), documents: Vec::new() };
    let (mut system, messages) = (blocks.of(&conversation.system)?, blocks.messages(&conversation.turns)?);
    system.extend(format.instruction().map(|text| Block::Text(text.into())));
    let request = Request {
        messages,
        system,
        tools: ToolConfig::of(conversation, (&format, family.has_cache()), &mut names)?,
        inference: inference(conversation, limits, family)?,
        tier: tier(conversation),
        fields,
        conversation,
    };
    let body = serde_json::to_vec(&request).map_err(|error| Refusal::invalid("body", error))?;
    let method = if conversation.stream { "/converse-stream" } else { "/converse" };
    let model = conversation.model.to_string();
    let calls = CallHints { names, json_tool: format.is_tool() };
    let hints = Hints { calls, model: model.clone() };
    Ok((Sent { body, betas: Vec::new(), method: Some((model, method)) }, hints))
}

/// Returns true for a parameter of Bedrock's that the model has.
fn is_sent(name: &str, family: Family) -> bool {
    BEDROCK.is_native(name)
        && match name {
            "top_k" => family.has_sampling(),
            "anthropic_beta" | "output_config" | "thinking" => {
                matches!(family, Family::Claude(_) | Family::Unknown)
            }
            _ => true,
        }
}

/// A request as it is written.
struct Request<'a> {
    conversation: &'a Conversation<'a>,
    messages: Vec<Message<Block<'a>>>,
    system: Vec<Block<'a>>,
    tools: Option<ToolConfig<'a>>,
    inference: Inference<'a>,
    tier: Option<&'a str>,
    fields: Fields<'a>,
}

impl Serialize for Request<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("messages", &self.messages)?;
        entry(&mut map, "system", Some(&self.system).filter(|system| !system.is_empty()))?;
        entry(&mut map, "toolConfig", self.tools.as_ref())?;
        entry(&mut map, "inferenceConfig", Some(&self.inference).filter(|config| !config.is_empty()))?;
        entry(&mut map, "serviceTier", self.tier.map(|tier| json!({ "type": tier })))?;
        entry(&mut map, FIELDS, Some(&self.fields).filter(|fields| !fields.is_empty()))?;
        for name in CONVERSE {
            entry(&mut map, name, self.conversation.other(name))?;
        }
        map.end()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Inference<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stop_sequences: Vec<&'a Text<'a>>,
}

impl Inference<'_> {
    const fn is_empty(&self) -> bool {
        self.max_tokens.is_none()
            && self.temperature.is_none()
            && self.top_p.is_none()
            && self.stop_sequences.is_empty()
    }
}

fn inference<'a>(
    conversation: &'a Conversation<'a>,
    limits: Limits,
    family: Family,
) -> Result<Inference<'a>, Refusal> {
    let sampled = (limits.drop, family.has_sampling());
    Ok(Inference {
        max_tokens: conversation.max_tokens,
        temperature: temperature(conversation, limits.drop, family.has_sampling())?,
        top_p: sampling("top_p", conversation.top_p, sampled)?,
        stop_sequences: stop(conversation, limits.drop),
    })
}

/// Returns the service tier, unless the vendor's default is meant.
fn tier<'a>(conversation: &'a Conversation<'a>) -> Option<&'a str> {
    conversation
        .service_tier
        .as_deref()
        .filter(|tier| ["priority", "default", "flex", "reserved"].contains(tier))
}

/// The parameters of the model, in its own words. Those of the client's `additionalModelRequestFields` take precedence.
struct Fields<'a> {
    own: Vec<Member<'a>>,
    others: Vec<(&'a str, Json<'a>)>,
    thinking: Option<Thinking>,
    effort: Option<Reasoning>,
    /// True if the sampling from the most likely tokens is a member of Nova's `inferenceConfig`.
    nests_top_k: bool,
    top_k: Option<Json<'a>>,
}

/// The reasoning of a model, in its own words.
enum Reasoning {
    Claude(&'static str),
    Nova(&'static str),
    GptOss(&'static str),
}

impl Fields<'_> {
    /// Returns true if the client has set a parameter in the model's own words.
    fn is_set(&self, name: &str) -> bool {
        self.own.iter().any(|(own, _)| **own == *name) || self.others.iter().any(|(other, _)| *other == name)
    }

    const fn is_empty(&self) -> bool {
        self.own.is_empty()
            && self.others.is_empty()
            && self.thinking.is_none()
            && self.effort.is_none()
            && self.top_k.is_none()
    }

    /// Returns a name and a value of those that the client has not set.
    fn unset<T>(&self, name: &str, value: Option<T>) -> Option<T> {
        value.filter(|_| !self.own.iter().any(|(own, _)| **own == *name))
    }
}

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        entry(&mut map, "thinking", self.thinking)?;
        let (name, value) = match &self.effort {
            Some(Reasoning::Claude(effort)) => ("output_config", Some(json!({ "effort": effort }))),
            Some(Reasoning::Nova(effort)) => {
                ("reasoningConfig", Some(json!({"type": "enabled", "maxReasoningEffort": effort})))
            }
            Some(Reasoning::GptOss(effort)) => ("reasoning_effort", Some(json!(effort))),
            None => ("", None),
        };
        entry(&mut map, name, self.unset(name, value))?;
        match self.nests_top_k {
            true => {
                let nested = self.top_k.map(|top_k| json!({ "topK": top_k }));
                entry(&mut map, "inferenceConfig", self.unset("inferenceConfig", nested))?;
            }
            false => entry(&mut map, "top_k", self.unset("top_k", self.top_k))?,
        }
        for (name, value) in &self.others {
            entry(&mut map, name, self.unset(name, Some(value)))?;
        }
        for (name, value) in &self.own {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

fn fields<'a>(conversation: &'a Conversation<'a>, family: Family) -> Result<Fields<'a>, Refusal> {
    let own = match conversation.other(FIELDS) {
        Some(fields) => json::members(fields.get()).map_err(|error| Refusal::invalid(FIELDS, error))?,
        None => Vec::new(),
    };
    let is_models = |name: &str| !CONVERSE.contains(&name) && name != FIELDS && name != "top_k";
    let others = conversation.others.iter().filter(|(name, _)| is_models(name) && is_sent(name, family));
    let top_k = conversation.other("top_k").filter(|_| family.has_sampling());
    let nests_top_k = matches!(family, Family::Nova(_));
    let others = others.map(|(name, value)| (&**name, *value)).collect();
    let mut fields = Fields { own, others, thinking: None, effort: None, nests_top_k, top_k };
    reason(&mut fields, conversation, family);
    Ok(fields)
}

/// Sets the reasoning for the effort of a request. Other models do not reason, or always do.
fn reason(fields: &mut Fields<'_>, conversation: &Conversation<'_>, family: Family) {
    let wanted = conversation.effort.filter(|effort| *effort != Effort::None);
    match family {
        Family::Claude(generation) => {
            let thinking = Thinking::of(conversation, generation);
            fields.thinking = thinking.filter(|_| !fields.is_set("thinking"));
            let effort = conversation.effort.and_then(|wanted| effort(wanted, generation));
            fields.effort = effort.map(Reasoning::Claude).filter(|_| !fields.is_set("output_config"));
        }
        Family::Nova(true) => fields.effort = wanted.map(level).map(Reasoning::Nova),
        Family::GptOss => fields.effort = wanted.map(level).map(Reasoning::GptOss),
        Family::Nova(false) | Family::Unknown | Family::Other => {}
    }
}

/// Returns one of the three levels that Nova and OpenAI's open models have.
const fn level(effort: Effort) -> &'static str {
    match effort {
        Effort::None | Effort::Minimal | Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High | Effort::XHigh | Effort::Max => "high",
    }
}
