//! What went wrong, finely: [`Kind`], its tag in an [`Ending`], and the names that LiteLLM gives it.

use http::StatusCode;
use tollgate_layers::{Class, Ending};

/// What an upstream's answer, or its absence, means. Finer than [`Class`], which is all that the layers read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum Kind {
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
    pub(crate) const ALL: [Self; 15] = [
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
    pub(crate) const fn class(self) -> Class {
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

    /// An ending of this kind and its class, with nothing more known about it.
    pub(crate) const fn ending(self) -> Ending {
        Ending::of(self.class()).with_kind(self as u8)
    }

    /// The kind that an exception of LiteLLM stands for, with or without `litellm.` before its name.
    pub(crate) fn from_exception(name: &str) -> Option<Self> {
        Some(match name.strip_prefix("litellm.").unwrap_or(name) {
            "RateLimitError" => Self::RateLimited,
            "PaymentRequiredError" | "BudgetExceededError" => Self::QuotaExhausted,
            "ServiceUnavailableError" => Self::Overloaded,
            "ContextWindowExceededError" => Self::ContextWindow,
            "ContentPolicyViolationError" | "RejectedRequestError" => Self::ContentPolicy,
            "AuthenticationError" => Self::Unauthorized,
            "PermissionDeniedError" => Self::Permission,
            "NotFoundError" => Self::NotFound,
            "BadRequestError"
            | "InvalidRequestError"
            | "UnprocessableEntityError"
            | "UnsupportedParamsError" => Self::BadRequest,
            "Timeout" | "TimeoutError" => Self::Timeout,
            "InternalServerError" | "APIError" | "BadGatewayError" | "APIResponseValidationError" => {
                Self::ServerError
            }
            "APIConnectionError" => Self::Network,
            "MidStreamFallbackError" => Self::StreamBroken,
            _ => return None,
        })
    }
}

/// The kind that the maker of an ending tagged it with. One that nobody tagged, or whose tag does not fit its class,
/// gets the plainest kind of its class.
pub(crate) fn kind_of(ending: &Ending) -> Kind {
    let tagged = Kind::ALL.get(usize::from(ending.kind())).copied();
    tagged.filter(|kind| kind.class() == ending.class()).unwrap_or(match ending.class() {
        Class::Success => Kind::Success,
        Class::Caller => Kind::BadRequest,
        Class::ContextWindow => Kind::ContextWindow,
        Class::ContentPolicy => Kind::ContentPolicy,
        Class::Unauthorized => Kind::Unauthorized,
        Class::RateLimited => Kind::RateLimited,
        Class::Timeout => Kind::Timeout,
        Class::Unavailable => Kind::ServerError,
    })
}

/// The status of an answer of our own that says this.
pub(crate) const fn status_of(kind: Kind) -> StatusCode {
    match kind {
        Kind::Success => StatusCode::OK,
        Kind::RateLimited | Kind::QuotaExhausted => StatusCode::TOO_MANY_REQUESTS,
        Kind::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
        Kind::ContextWindow | Kind::ContentPolicy | Kind::BadRequest => StatusCode::BAD_REQUEST,
        Kind::Unauthorized => StatusCode::UNAUTHORIZED,
        Kind::Permission => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::Timeout => StatusCode::REQUEST_TIMEOUT,
        Kind::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
        Kind::Network | Kind::StreamBroken => StatusCode::BAD_GATEWAY,
    }
}

/// The `type` that an error of our own has in OpenAI's shape.
pub(crate) const fn openai_type(kind: Kind) -> &'static str {
    match kind {
        Kind::RateLimited => "rate_limit_error",
        Kind::QuotaExhausted => "insufficient_quota",
        Kind::Unauthorized => "authentication_error",
        Kind::Permission => "permission_error",
        Kind::ContextWindow | Kind::ContentPolicy | Kind::NotFound | Kind::TooLarge | Kind::BadRequest => {
            "invalid_request_error"
        }
        Kind::Timeout => "timeout_error",
        Kind::Overloaded => "overloaded_error",
        Kind::Success | Kind::ServerError | Kind::Network | Kind::StreamBroken => "internal_server_error",
    }
}
