//! The vendors: the prefixes that `model` may have, one row each in [`VENDORS`].
//!
//! Most vendors use OpenAI's dialect and differ in their URL and in the names of their environment variables, which
//! are those of LiteLLM. Request parameters are passed on unchanged; a server that does not support one refuses it
//! itself.

use super::Provider;

/// A vendor: a row of [`VENDORS`].
#[derive(Debug, PartialEq, Eq)]
pub struct Vendor {
    /// The prefix of `model`: the part before the slash.
    pub prefix: &'static str,
    /// The dialect.
    pub provider: Provider,
    /// The base URL.
    pub base: BaseUrl,
    /// The environment variables that may override the base URL; the first that is set is used.
    pub base_variables: &'static [&'static str],
    /// The environment variables that may contain the key; the first that is set is used.
    pub key_variables: &'static [&'static str],
    /// True if the vendor's servers usually need no key.
    pub keyless: bool,
    /// True if `stream_options.include_usage` is supported. Most vendors without it report the usage of a stream
    /// unasked.
    pub supports_include_usage: bool,
    /// The prefix of a model name that has no slash.
    pub model_prefix: &'static str,
}

/// The `api-version` for Azure if none is configured; LiteLLM's default.
pub const DEFAULT_API_VERSION: &str = "2025-02-01-preview";

/// The base URL of a vendor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BaseUrl {
    /// A public URL, the same for every customer.
    Public(&'static str),
    /// A URL that each customer configures, with an example.
    SelfHosted(&'static str),
}

/// All vendors.
pub static VENDORS: [Vendor; 19] = [
    public(
        ("openai", "https://api.openai.com/v1"),
        &["OPENAI_BASE_URL", "OPENAI_API_BASE"],
        &["OPENAI_API_KEY"],
    ),
    self_hosted(
        ("azure", "https://RESOURCE.openai.azure.com"),
        &["AZURE_API_BASE"],
        &["AZURE_OPENAI_API_KEY", "AZURE_API_KEY"],
    )
    .speaking(Provider::Azure),
    public(
        ("huggingface", "https://router.huggingface.co/v1"),
        &["HF_API_BASE", "HUGGINGFACE_API_BASE"],
        &["HF_TOKEN", "HUGGINGFACE_API_KEY"],
    )
    .speaking(Provider::HuggingFace),
    public(("cerebras", "https://api.cerebras.ai/v1"), &["CEREBRAS_API_BASE"], &["CEREBRAS_API_KEY"])
        .without_usage(),
    self_hosted(
        ("databricks", "https://WORKSPACE/serving-endpoints"),
        &["DATABRICKS_API_BASE"],
        &["DATABRICKS_API_KEY"],
    )
    .without_usage(),
    public(("deepseek", "https://api.deepseek.com/beta"), &["DEEPSEEK_API_BASE"], &["DEEPSEEK_API_KEY"]),
    Vendor {
        supports_include_usage: false,
        model_prefix: "accounts/fireworks/models/",
        ..public(
            ("fireworks_ai", "https://api.fireworks.ai/inference/v1"),
            &["FIREWORKS_API_BASE"],
            &["FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY", "FIREWORKSAI_API_KEY", "FIREWORKS_AI_TOKEN"],
        )
    },
    public(("groq", "https://api.groq.com/openai/v1"), &["GROQ_API_BASE"], &["GROQ_API_KEY"]),
    self_hosted(("hosted_vllm", "http://HOST:8000/v1"), &["HOSTED_VLLM_API_BASE"], &["HOSTED_VLLM_API_KEY"])
        .keyless(),
    public(("llamafile", "http://127.0.0.1:8080/v1"), &["LLAMAFILE_API_BASE"], &["LLAMAFILE_API_KEY"])
        .keyless(),
    self_hosted(("lm_studio", "http://localhost:1234/v1"), &["LM_STUDIO_API_BASE"], &["LM_STUDIO_API_KEY"])
        .keyless(),
    // Mistral refuses a request with `include_usage` (422), and sends usage with the last chunk.
    public(
        ("mistral", "https://api.mistral.ai/v1"),
        &["MISTRAL_AZURE_API_BASE"],
        &["MISTRAL_AZURE_API_KEY", "MISTRAL_API_KEY"],
    )
    .without_usage()
    .speaking(Provider::Versioned),
    public(
        ("nvidia_nim", "https://integrate.api.nvidia.com/v1"),
        &["NVIDIA_NIM_API_BASE"],
        &["NVIDIA_NIM_API_KEY"],
    )
    .without_usage(),
    OLLAMA,
    Vendor { prefix: "ollama_chat", ..OLLAMA },
    public(
        ("openrouter", "https://openrouter.ai/api/v1"),
        &["OPENROUTER_API_BASE"],
        &["OPENROUTER_API_KEY", "OR_API_KEY"],
    ),
    public(
        ("perplexity", "https://api.perplexity.ai"),
        &["PERPLEXITY_API_BASE"],
        &["PERPLEXITYAI_API_KEY", "PERPLEXITY_API_KEY"],
    )
    .without_usage(),
    public(
        ("together_ai", "https://api.together.ai/v1"),
        &["TOGETHER_AI_API_BASE"],
        &["TOGETHER_API_KEY", "TOGETHER_AI_API_KEY", "TOGETHERAI_API_KEY", "TOGETHER_AI_TOKEN"],
    ),
    public(("xai", "https://api.x.ai/v1"), &["XAI_API_BASE"], &["XAI_API_KEY"]),
];

/// Ollama, through its `/v1` routes, which accept OpenAI's parameters. Parameters that only `/api/chat` accepts
/// (`num_ctx`) must be set in the model file.
const OLLAMA: Vendor =
    public(("ollama", "http://localhost:11434/v1"), &["OLLAMA_API_BASE"], &["OLLAMA_API_KEY"])
        .keyless()
        .speaking(Provider::Versioned);

/// Returns a vendor with a public URL and OpenAI's dialect.
const fn public(
    (prefix, base): (&'static str, &'static str),
    base_variables: &'static [&'static str],
    key_variables: &'static [&'static str],
) -> Vendor {
    Vendor {
        prefix,
        provider: Provider::OpenAi,
        base: BaseUrl::Public(base),
        base_variables,
        key_variables,
        keyless: false,
        supports_include_usage: true,
        model_prefix: "",
    }
}

/// Returns a vendor with servers that the customer runs.
const fn self_hosted(
    (prefix, example): (&'static str, &'static str),
    base_variables: &'static [&'static str],
    key_variables: &'static [&'static str],
) -> Vendor {
    Vendor { base: BaseUrl::SelfHosted(example), ..public((prefix, ""), base_variables, key_variables) }
}

impl Vendor {
    const fn keyless(self) -> Self {
        Self { keyless: true, ..self }
    }

    const fn without_usage(self) -> Self {
        Self { supports_include_usage: false, ..self }
    }

    const fn speaking(self, provider: Provider) -> Self {
        Self { provider, ..self }
    }
}

/// Returns the vendor with this prefix.
#[must_use]
pub fn vendor(prefix: &str) -> Option<&'static Vendor> {
    VENDORS.iter().find(|vendor| vendor.prefix == prefix)
}
