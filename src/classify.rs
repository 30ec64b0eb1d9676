//! What went wrong, finely: [`Kind`].

use tollgate_layers::Class;

/// What an upstream's answer, or its absence, means. Finer than [`Class`], which is all that the layers read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Answered.
    Success,
    /// The limit of requests or tokens is reached; it will pass.
    RateLimited,
    /// The account is out of money or quota; it will not pass soon.
    QuotaExhausted,
    /// Too busy at the moment.
    Overloaded,
    /// The request is longer than the model takes.
    ContextWindow,
    /// The model or its guard refuses the content.
    ContentPolicy,
    /// The credential is no good.
    Unauthorized,
    /// The credential may not do this.
    Permission,
    /// The model or deployment does not exist.
    NotFound,
    /// The request has too many bytes.
    TooLarge,
    /// The request is wrong in itself.
    BadRequest,
    /// A clock ran out, theirs or ours.
    Timeout,
    /// The upstream failed.
    ServerError,
    /// It could not be reached, or the connection broke before the answer.
    Network,
    /// The answer broke off, or was no answer.
    StreamBroken,
}

impl Kind {
    /// All of them; `ALL[kind as usize] == kind`.
    pub const ALL: [Self; 15] = [
        Self::Success,
        Self::RateLimited,
        Self::QuotaExhausted,
        Self::Overloaded,
        Self::ContextWindow,
        Self::ContentPolicy,
        Self::Unauthorized,
        Self::Permission,
        Self::NotFound,
        Self::TooLarge,
        Self::BadRequest,
        Self::Timeout,
        Self::ServerError,
        Self::Network,
        Self::StreamBroken,
    ];

    /// The class that the layers act on.
    #[must_use]
    pub const fn class(self) -> Class {
        match self {
            Self::Success => Class::Success,
            Self::RateLimited | Self::QuotaExhausted => Class::RateLimited,
            Self::ContextWindow => Class::ContextWindow,
            Self::ContentPolicy => Class::ContentPolicy,
            Self::Unauthorized | Self::Permission | Self::NotFound => Class::Unauthorized,
            Self::TooLarge | Self::BadRequest => Class::Caller,
            Self::Timeout => Class::Timeout,
            Self::Overloaded | Self::ServerError | Self::Network | Self::StreamBroken => Class::Unavailable,
        }
    }
}
