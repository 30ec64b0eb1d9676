//! The API operations that the gateway forwards: [`Operation`].

use crate::dialect::ClientDialect;

/// An API operation that the gateway forwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// `/chat/completions`.
    Chat,
    /// `/completions`.
    Completions,
    /// `/embeddings`.
    Embeddings,
    /// Anthropic's `/messages`.
    Messages,
    /// Anthropic's `/messages/count_tokens`.
    CountTokens,
    /// `/responses`.
    Responses,
}

impl Operation {
    /// All operations; `ALL[operation as usize] == operation`.
    pub(crate) const ALL: [Self; 6] =
        [Self::Chat, Self::Completions, Self::Embeddings, Self::Messages, Self::CountTokens, Self::Responses];

    /// Returns the dialect of its requests, responses and errors.
    pub(crate) const fn dialect(self) -> ClientDialect {
        match self {
            Self::Chat | Self::Completions | Self::Embeddings => ClientDialect::Chat,
            Self::Messages | Self::CountTokens => ClientDialect::Messages,
            Self::Responses => ClientDialect::Responses,
        }
    }

    /// Returns the path behind the version of the API.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Chat => "/chat/completions",
            Self::Completions => "/completions",
            Self::Embeddings => "/embeddings",
            Self::Messages => "/messages",
            Self::CountTokens => "/messages/count_tokens",
            Self::Responses => "/responses",
        }
    }

    /// Returns a short lower-case name, for labels and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
            Self::Messages => "messages",
            Self::CountTokens => "count_tokens",
            Self::Responses => "responses",
        }
    }
}
