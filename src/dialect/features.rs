//! The parameters of chat completions that have no place in a conversation, and what becomes of each: [`Parameters`].

use super::{
    conversation::Refusal,
    json::{Json, Member},
};

/// The treatment of parameters in the dialect of an upstream. All others are refused, or dropped with `drop_params`.
pub(super) struct Parameters {
    /// The upstream's own, which a client of chat completions may send too.
    pub(super) native: &'static [&'static str],
    /// Parameters without an effect on the output. They are dropped.
    pub(super) dropped: &'static [&'static str],
}

/// The parameters of Anthropic's Messages.
pub(super) static ANTHROPIC: Parameters = Parameters {
    native: &[
        "cache_control",
        "container",
        "context_management",
        "inference_geo",
        "mcp_servers",
        "output_config",
        "speed",
        "thinking",
        "top_k",
    ],
    dropped: &[
        "metadata",
        "prediction",
        "prompt_cache_key",
        "prompt_cache_retention",
        "safety_identifier",
        "store",
        "user",
    ],
};

/// The parameters of Google's `generateContent`.
pub(super) static GEMINI: Parameters = Parameters {
    native: &["cached_content", "frequency_penalty", "presence_penalty", "safety_settings", "seed", "top_k"],
    dropped: &[
        "cache_control",
        "metadata",
        "prediction",
        "prompt_cache_key",
        "prompt_cache_retention",
        "safety_identifier",
        "store",
    ],
};

/// The parameters of Ollama's `/api/chat`: those of the request, and the options of the model.
pub(super) static OLLAMA: Parameters = Parameters {
    native: &[
        "frequency_penalty",
        "keep_alive",
        "main_gpu",
        "min_p",
        "mirostat",
        "mirostat_eta",
        "mirostat_tau",
        "num_batch",
        "num_ctx",
        "num_gpu",
        "num_keep",
        "num_predict",
        "num_thread",
        "options",
        "presence_penalty",
        "repeat_last_n",
        "repeat_penalty",
        "seed",
        "tfs_z",
        "think",
        "top_k",
        "typical_p",
        "use_mlock",
        "use_mmap",
    ],
    dropped: GEMINI.dropped,
};

/// The parameters of Bedrock's Converse: its own, and those of the models' own that clients send by name.
pub(super) static BEDROCK: Parameters = Parameters {
    native: &[
        "additionalModelRequestFields",
        "additionalModelResponseFieldPaths",
        "anthropic_beta",
        "guardrailConfig",
        "output_config",
        "performanceConfig",
        "promptVariables",
        "requestMetadata",
        "thinking",
        "top_k",
    ],
    dropped: GEMINI.dropped,
};

/// The parameters of OpenAI's Responses.
pub(super) static RESPONSES: Parameters = Parameters {
    native: &[
        "include",
        "max_tool_calls",
        "metadata",
        "prompt_cache_key",
        "prompt_cache_retention",
        "safety_identifier",
        "store",
        "truncation",
    ],
    dropped: &["cache_control", "prediction"],
};

/// The parameters of Anthropic's Messages that OpenAI's chat completions do not have. All others are passed on: the server
/// knows its own.
pub(super) static OPENAI_LACKS: [&str; 2] = ["container", "mcp_servers"];

/// The values with which a parameter has no effect.
const DEFAULTS: [(&str, &[&str]); 7] = [
    ("n", &["1"]),
    ("frequency_penalty", &["0", "0.0"]),
    ("presence_penalty", &["0", "0.0"]),
    ("logprobs", &["false"]),
    ("top_logprobs", &["0"]),
    ("logit_bias", &["{}"]),
    ("modalities", &["[\"text\"]"]),
];

impl Parameters {
    /// Refuses a parameter that is neither translated nor one of the upstream's own that `is_sent`, unless it is dropped.
    pub(super) fn check(
        &self,
        others: &[Member<'_>],
        drop: bool,
        is_sent: impl Fn(&str) -> bool,
    ) -> Result<(), Refusal> {
        let is_refused = |(name, value): &&Member<'_>| !is_sent(name) && !self.is_harmless(name, value);
        match others.iter().find(is_refused).filter(|_| !drop) {
            Some((name, _)) => Err(Refusal::unsupported(name)),
            None => Ok(()),
        }
    }

    /// Returns true for one of the upstream's own.
    pub(super) fn is_native(&self, name: &str) -> bool {
        self.native.contains(&name)
    }

    /// Returns true for a parameter that can be dropped without an effect on the output.
    fn is_harmless(&self, name: &str, value: Json<'_>) -> bool {
        let is_default = |(known, values): &(&str, &[&str])| *known == name && values.contains(&value.get());
        self.dropped.contains(&name) || DEFAULTS.iter().any(is_default)
    }
}
