//! Groups of parameters that several vendors have by another name, do not know, or ignore.

/// `max_completion_tokens` by its older name.
pub(super) const OLDER_LIMIT: &[(&str, &str)] = &[("max_completion_tokens", "max_tokens")];
/// `max_tokens` by its newer name.
pub(super) const NEWER_LIMIT: &[(&str, &str)] = &[("max_tokens", "max_completion_tokens")];
/// The names of Mistral.
pub(super) const MISTRAL: &[(&str, &str)] =
    &[("max_completion_tokens", "max_tokens"), ("seed", "random_seed")];

/// The key of the prompt cache, which more servers have than the other newer parameters.
pub(super) const CACHE_KEY: &[&str] = &["prompt_cache_key"];
/// Parameters that few servers but OpenAI's have, besides the key of the prompt cache.
pub(super) const NEWER: &[&str] = &[
    "audio",
    "modalities",
    "prediction",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "store",
    "web_search_options",
];
/// The form of tools before `tools`.
pub(super) const FUNCTIONS: &[&str] = &["function_call", "functions"];
/// Probabilities of tokens.
pub(super) const LOGPROBS: &[&str] = &["logit_bias", "logprobs", "top_logprobs"];
/// Penalties of repeated tokens.
pub(super) const PENALTIES: &[&str] = &["frequency_penalty", "presence_penalty"];
