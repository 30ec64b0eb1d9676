//! Vendors that have several prefixes.

use super::{
    BaseUrl, Vendor,
    parameters::{CACHE_KEY, FUNCTIONS, LOGPROBS, NEWER, OLDER_LIMIT, PENALTIES},
    public, self_hosted,
};
use crate::config::{Provider, Publisher};

/// OpenAI.
pub(super) const OPENAI: Vendor = public(
    ("openai", "https://api.openai.com/v1"),
    &["OPENAI_BASE_URL", "OPENAI_API_BASE"],
    &["OPENAI_API_KEY"],
)
.with_responses();

/// Azure OpenAI.
pub(super) const AZURE: Vendor = self_hosted(
    ("azure", "https://RESOURCE.openai.azure.com"),
    &["AZURE_API_BASE"],
    &["AZURE_OPENAI_API_KEY", "AZURE_API_KEY"],
)
.speaking(Provider::Azure)
.with_responses()
.without_completions();

/// The models of other vendors at Azure.
pub(super) const AZURE_AI: Vendor = self_hosted(
    ("azure_ai", "https://RESOURCE.services.ai.azure.com"),
    &["AZURE_AI_API_BASE"],
    &["AZURE_AI_API_KEY"],
)
.speaking(Provider::AzureAi)
.without_completions();

/// Claude at Azure, which has Anthropic's API below a path of its own.
pub(in crate::config) static AZURE_CLAUDE: Vendor =
    Vendor { provider: Provider::Anthropic("/anthropic"), ..AZURE_AI };

/// AWS Bedrock.
pub(super) const BEDROCK: Vendor = Vendor {
    base: BaseUrl::Regional("https://bedrock-runtime.", ".amazonaws.com"),
    ..public(("bedrock", ""), &["AWS_BEDROCK_RUNTIME_ENDPOINT"], &["AWS_BEARER_TOKEN_BEDROCK"])
        .speaking(Provider::Bedrock)
        .without_completions()
};

/// Ollama.
pub(super) const OLLAMA: Vendor =
    public(("ollama", "http://localhost:11434/v1"), &["OLLAMA_API_BASE"], &["OLLAMA_API_KEY"])
        .keyless()
        .speaking(Provider::Ollama);

/// Cohere's compatibility API. LiteLLM's variable names a route of the native API.
pub(super) const COHERE: Vendor = public(
    ("cohere", "https://api.cohere.ai/compatibility/v1"),
    &["COHERE_API_BASE"],
    &["COHERE_API_KEY", "CO_API_KEY"],
)
.speaking(Provider::Below("/compatibility/v1"))
.losing("connectors, documents and citation options are lost")
.without_completions();

/// AI21.
pub(super) const AI21: Vendor =
    public(("ai21", "https://api.ai21.com/studio/v1"), &["AI21_API_BASE"], &["AI21_API_KEY"])
        .without_completions()
        .renaming(OLDER_LIMIT)
        .not_knowing(&[NEWER, CACHE_KEY, FUNCTIONS, LOGPROBS, PENALTIES, &["parallel_tool_calls", "top_p"]]);

/// Google's models at Vertex AI. The translation decides about the parameters.
pub(super) const VERTEX: Vendor = Vendor { base: BaseUrl::Vertex, ..public(("vertex_ai", ""), &[], &[]) }
    .without_completions()
    .speaking(Provider::Vertex(Publisher::Google));

/// Anthropic's models at Vertex AI.
pub(in crate::config) static VERTEX_CLAUDE: Vendor =
    Vendor { provider: Provider::Vertex(Publisher::Anthropic), ..VERTEX };

/// Open models at Vertex AI.
pub(in crate::config) static VERTEX_OPEN: Vendor =
    Vendor { provider: Provider::Vertex(Publisher::Open), ..VERTEX };
