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

/// The options of Ollama's native API, which its `/v1` ignores. They must be set in the model file.
pub(super) const OLLAMA_OPTIONS: &[&str] = &[
    "keep_alive",
    "main_gpu",
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
    "repeat_last_n",
    "repeat_penalty",
    "template",
    "tensor_split",
    "tfs_z",
    "use_mlock",
    "use_mmap",
];
