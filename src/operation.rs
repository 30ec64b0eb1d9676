//! The API operations that the gateway forwards: [`Operation`], and sets of them: [`Operations`].

use http::Method;

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
    /// GET `/responses/{id}`.
    RetrieveResponse,
    /// DELETE `/responses/{id}`.
    DeleteResponse,
    /// `/responses/{id}/cancel`.
    CancelResponse,
    /// `/responses/{id}/input_items`.
    ListInputItems,
    /// `/moderations`.
    Moderations,
    /// `/rerank`, in the words of Cohere and Jina.
    Rerank,
    /// `/images/generations`.
    Images,
    /// `/images/edits`.
    ImageEdits,
    /// `/audio/transcriptions`.
    Transcriptions,
    /// `/audio/translations`.
    Translations,
    /// `/audio/speech`.
    Speech,
}

impl Operation {
    /// The number of operations.
    pub(crate) const COUNT: usize = 17;

    /// All operations; `ALL[operation as usize] == operation`.
    pub(crate) const ALL: [Self; Self::COUNT] = [
        Self::Chat,
        Self::Completions,
        Self::Embeddings,
        Self::Messages,
        Self::CountTokens,
        Self::Responses,
        Self::RetrieveResponse,
        Self::DeleteResponse,
        Self::CancelResponse,
        Self::ListInputItems,
        Self::Moderations,
        Self::Rerank,
        Self::Images,
        Self::ImageEdits,
        Self::Transcriptions,
        Self::Translations,
        Self::Speech,
    ];

    /// Returns the dialect of its requests, responses and errors.
    pub(crate) const fn dialect(self) -> ClientDialect {
        match self {
            Self::Completions => ClientDialect::Completions,
            Self::Messages | Self::CountTokens => ClientDialect::Messages,
            Self::Responses
            | Self::RetrieveResponse
            | Self::DeleteResponse
            | Self::CancelResponse
            | Self::ListInputItems => ClientDialect::Responses,
            _ => ClientDialect::Chat,
        }
    }

    /// Returns the method and the end of the path of an operation on a response that is stored. Returns none for all others.
    pub(crate) const fn on_stored(self) -> Option<(Method, &'static str)> {
        Some(match self {
            Self::RetrieveResponse => (Method::GET, ""),
            Self::DeleteResponse => (Method::DELETE, ""),
            Self::CancelResponse => (Method::POST, "/cancel"),
            Self::ListInputItems => (Method::GET, "/input_items"),
            _ => return None,
        })
    }

    /// Returns true if a request is never translated: it goes only to deployments that have the operation.
    pub(crate) const fn is_passed(self) -> bool {
        match self {
            Self::Chat
            | Self::Completions
            | Self::Embeddings
            | Self::Messages
            | Self::CountTokens
            | Self::Responses
            | Self::RetrieveResponse
            | Self::DeleteResponse
            | Self::CancelResponse
            | Self::ListInputItems => false,
            Self::Moderations
            | Self::Rerank
            | Self::Images
            | Self::ImageEdits
            | Self::Transcriptions
            | Self::Translations
            | Self::Speech => true,
        }
    }

    /// Returns true if the body of a request may be `multipart/form-data`.
    pub(crate) const fn takes_form(self) -> bool {
        matches!(self, Self::ImageEdits | Self::Transcriptions | Self::Translations)
    }

    /// Returns the path behind the version of the API; of an operation on a stored response, the path before its id.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Chat => "/chat/completions",
            Self::Completions => "/completions",
            Self::Embeddings => "/embeddings",
            Self::Messages => "/messages",
            Self::CountTokens => "/messages/count_tokens",
            Self::Responses
            | Self::RetrieveResponse
            | Self::DeleteResponse
            | Self::CancelResponse
            | Self::ListInputItems => "/responses",
            Self::Moderations => "/moderations",
            Self::Rerank => "/rerank",
            Self::Images => "/images/generations",
            Self::ImageEdits => "/images/edits",
            Self::Transcriptions => "/audio/transcriptions",
            Self::Translations => "/audio/translations",
            Self::Speech => "/audio/speech",
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
            Self::RetrieveResponse => "retrieve_response",
            Self::DeleteResponse => "delete_response",
            Self::CancelResponse => "cancel_response",
            Self::ListInputItems => "list_input_items",
            Self::Moderations => "moderations",
            Self::Rerank => "rerank",
            Self::Images => "images",
            Self::ImageEdits => "image_edits",
            Self::Transcriptions => "transcriptions",
            Self::Translations => "translations",
            Self::Speech => "speech",
        }
    }
}

/// A set of operations: those that a deployment has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Operations(u32);

impl Operations {
    /// All operations.
    pub(crate) const ALL: Self = Self((1 << Operation::COUNT) - 1);

    /// Returns the operations for which `has` returns true.
    pub(crate) fn of(has: impl Fn(Operation) -> bool) -> Self {
        let has = Operation::ALL.into_iter().filter(|operation| has(*operation));
        Self(has.fold(0, |set, operation| set | 1 << operation as u32))
    }

    /// Returns true if the set contains the operation.
    pub(crate) const fn contains(self, operation: Operation) -> bool {
        self.0 >> operation as u32 & 1 == 1
    }
}
