//! Detailed kind of an outcome: [`OutcomeKind`], its tag in an [`Outcome`], and LiteLLM's names for it.

use http::StatusCode;
use tollgate_layers::{Class, Outcome};

/// The meaning of an upstream's response or of its absence. More detailed than [`Class`], which is all that the
/// layers read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum OutcomeKind {
    /// A successful response.
    Success,
    /// A successful response without output, because a content filter removed it.
    Filtered,
    /// A rate limit of requests or tokens is reached; it recovers by itself.
    RateLimited,
    /// The account has no money or quota left; it does not recover soon.
    QuotaExhausted,
    /// The upstream is temporarily overloaded.
    Overloaded,
    /// The request exceeds the context window of the model.
    ContextWindow,
    /// The model or its content filter refuses the content.
    ContentPolicy,
    /// The credential is not valid.
    Unauthorized,
    /// The credential has no permission for this.
    Permission,
    /// The model or deployment does not exist, or cannot be called as it is configured.
    NotFound,
    /// The request body is too large.
    TooLarge,
    /// The request is invalid.
    BadRequest,
    /// A timeout, of the upstream or of the gateway.
    Timeout,
    /// The upstream returned a server error.
    ServerError,
    /// The upstream could not be reached, or the connection broke before the response.
    Network,
    /// The response broke off, or was not a valid response.
    StreamBroken,
}

impl OutcomeKind {
    /// All kinds; `ALL[kind as usize] == kind`.
    pub(crate) const ALL: [Self; 16] = [
        Self::Success,
        Self::Filtered,
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

    /// Returns the class, on which the layers act.
    pub(crate) const fn class(self) -> Class {
        match self {
            Self::Success | Self::Filtered => Class::Success,
            Self::RateLimited | Self::QuotaExhausted => Class::RateLimited,
            Self::ContextWindow => Class::ContextWindow,
            Self::ContentPolicy => Class::ContentPolicy,
            Self::Unauthorized | Self::Permission | Self::NotFound => Class::Unauthorized,
            Self::TooLarge | Self::BadRequest => Class::Caller,
            Self::Timeout => Class::Timeout,
            Self::Overloaded | Self::ServerError | Self::Network | Self::StreamBroken => Class::Unavailable,
        }
    }

    /// Returns an outcome of this kind and its class, without further information.
    pub(crate) const fn outcome(self) -> Outcome {
        Outcome::new(self.class()).with_kind(self as u8)
    }

    /// Returns the kind for the name of a LiteLLM exception, with or without the prefix `litellm.`.
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

/// Returns the kind with which an outcome is tagged. Without a tag, or with one that does not fit the class, it is
/// the most general kind of the class.
pub(crate) fn kind_of(outcome: &Outcome) -> OutcomeKind {
    let tagged = OutcomeKind::ALL.get(usize::from(outcome.kind())).copied();
    tagged.filter(|kind| kind.class() == outcome.class()).unwrap_or(match outcome.class() {
        Class::Success => OutcomeKind::Success,
        Class::Caller => OutcomeKind::BadRequest,
        Class::ContextWindow => OutcomeKind::ContextWindow,
        Class::ContentPolicy => OutcomeKind::ContentPolicy,
        Class::Unauthorized => OutcomeKind::Unauthorized,
        Class::RateLimited => OutcomeKind::RateLimited,
        Class::Timeout => OutcomeKind::Timeout,
        Class::Unavailable => OutcomeKind::ServerError,
    })
}

/// Returns the status of the gateway's own response for this kind.
pub(crate) const fn status_of(kind: OutcomeKind) -> StatusCode {
    match kind {
        OutcomeKind::Success | OutcomeKind::Filtered => StatusCode::OK,
        OutcomeKind::RateLimited | OutcomeKind::QuotaExhausted => StatusCode::TOO_MANY_REQUESTS,
        OutcomeKind::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
        OutcomeKind::ContextWindow | OutcomeKind::ContentPolicy | OutcomeKind::BadRequest => {
            StatusCode::BAD_REQUEST
        }
        OutcomeKind::Unauthorized => StatusCode::UNAUTHORIZED,
        OutcomeKind::Permission => StatusCode::FORBIDDEN,
        OutcomeKind::NotFound => StatusCode::NOT_FOUND,
        OutcomeKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        OutcomeKind::Timeout => StatusCode::REQUEST_TIMEOUT,
        OutcomeKind::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
        OutcomeKind::Network | OutcomeKind::StreamBroken => StatusCode::BAD_GATEWAY,
    }
}

/// Returns the `type` of the gateway's own errors of this kind, in OpenAI's format.
pub(crate) const fn openai_type(kind: OutcomeKind) -> &'static str {
    match kind {
        OutcomeKind::RateLimited => "rate_limit_error",
        OutcomeKind::QuotaExhausted => "insufficient_quota",
        OutcomeKind::Unauthorized => "authentication_error",
        OutcomeKind::Permission => "permission_error",
        OutcomeKind::ContextWindow
        | OutcomeKind::ContentPolicy
        | OutcomeKind::NotFound
        | OutcomeKind::TooLarge
        | OutcomeKind::BadRequest => "invalid_request_error",
        OutcomeKind::Timeout => "timeout_error",
        OutcomeKind::Overloaded => "overloaded_error",
        OutcomeKind::Success
        | OutcomeKind::Filtered
        | OutcomeKind::ServerError
        | OutcomeKind::Network
        | OutcomeKind::StreamBroken => "internal_server_error",
    }
}
