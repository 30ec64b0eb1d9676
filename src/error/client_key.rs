//! The errors of a client's key: [`KeyError`] and [`KeyLimit`].

use std::{fmt, time::Duration};

/// The reason why a request is not authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyError {
    /// The request contains no key.
    Missing,
    /// The key is not known.
    Unknown,
    /// The key has expired.
    Expired,
}

impl KeyError {
    /// Returns the `code` of the error object.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Missing | Self::Unknown => "invalid_api_key",
            Self::Expired => "expired_api_key",
        }
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "No API key was sent. Send it as `Authorization: Bearer KEY`.",
            Self::Unknown => "The API key is not valid here.",
            Self::Expired => "The API key has expired.",
        })
    }
}

/// A limit of a client's key that a request has reached.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyLimit {
    /// The limit.
    pub kind: KeyLimitKind,
    /// The time after which there may be capacity. None if there never is any.
    pub retry_after: Option<Duration>,
}

/// The kind of a limit, with its number.
#[derive(Clone, Copy, Debug)]
pub(crate) enum KeyLimitKind {
    /// Requests per minute.
    Requests(u64),
    /// Tokens per minute.
    Tokens(u64),
    /// Concurrent requests.
    Parallel(u32),
    /// Dollars.
    Budget(f64),
    /// Dollars of the whole gateway.
    GatewayBudget(f64),
}

impl KeyLimitKind {
    /// Returns the `type` of the error object, which is OpenAI's.
    pub(crate) const fn openai_type(self) -> &'static str {
        match self {
            Self::Requests(_) | Self::Parallel(_) => "requests",
            Self::Tokens(_) => "tokens",
            Self::Budget(_) | Self::GatewayBudget(_) => "insufficient_quota",
        }
    }

    /// Returns the `code` of the error object, which is OpenAI's.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Requests(_) | Self::Parallel(_) | Self::Tokens(_) => "rate_limit_exceeded",
            Self::Budget(_) | Self::GatewayBudget(_) => "insufficient_quota",
        }
    }
}

const REACHED: &str = "Rate limit reached for this API key";

impl fmt::Display for KeyLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            KeyLimitKind::Requests(limit) => write!(f, "{REACHED}: {limit} requests per minute.")?,
            KeyLimitKind::Tokens(limit) => write!(f, "{REACHED}: {limit} tokens per minute.")?,
            KeyLimitKind::Parallel(limit) => write!(f, "{REACHED}: {limit} concurrent requests.")?,
            KeyLimitKind::Budget(max) => write!(f, "This API key has spent its budget of ${max}.")?,
            KeyLimitKind::GatewayBudget(max) => write!(f, "The gateway has spent its budget of ${max}.")?,
        }
        match self.retry_after {
            Some(after) => write!(f, " Try again in {} s.", after.as_millis().div_ceil(1000)),
            None => Ok(()),
        }
    }
}
