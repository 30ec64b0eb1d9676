//! The dialects of deployments: [`Provider`].

/// The dialect of a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Provider {
    /// OpenAI's dialect, with routes directly below the base URL.
    OpenAi,
    /// OpenAI's dialect, with routes below `/v1`, which is added if the base URL lacks it.
    Versioned,
    /// OpenAI's dialect below this path, which is added to a base URL that has no path or that of the native API.
    Below(&'static str),
    /// Azure OpenAI (`azure/`).
    Azure,
    /// Models of other vendors at Azure (`azure_ai/`): OpenAI's dialect, with a version in the query.
    AzureAi,
    /// Hugging Face (`huggingface/`).
    HuggingFace,
    /// Anthropic's Messages, below this path, which is added to a base URL that lacks it.
    Anthropic(&'static str),
    /// Google's `generateContent`, with the model in the path; embeddings in OpenAI's dialect.
    Gemini,
    /// Vertex AI (`vertex_ai/`), in the dialect of the model's publisher.
    Vertex(Publisher),
    /// Ollama's `/api/chat`; text completions and embeddings in OpenAI's dialect below `/v1`.
    Ollama,
    /// Converse of AWS Bedrock, with the model in the path.
    Bedrock,
}

impl Provider {
    /// Returns true for Google's `generateContent`.
    #[must_use]
    pub const fn is_gemini(self) -> bool {
        matches!(self, Self::Gemini | Self::Vertex(Publisher::Google))
    }
}

/// The publisher of a model at Vertex AI, which determines the dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Publisher {
    /// Google's `generateContent`.
    Google,
    /// Anthropic's Messages, as the body of a prediction.
    Anthropic,
    /// OpenAI's dialect, for the open models that Google serves.
    Open,
}
