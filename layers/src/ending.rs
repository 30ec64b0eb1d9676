//! How an attempt ended, in plain numbers: [`Ending`].
//!
//! This is all that a layer ever learns about an answer. Whoever makes it may have read headers, status codes or the
//! last event of a stream; a layer only sees the numbers.

use std::time::Duration;

use crate::Class;

/// How one attempt ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ending {
    class: Class,
    kind: u8,
    sent: bool,
    evidence: bool,
    refused: bool,
    retry_after: Option<Duration>,
    used: Option<u64>,
    requests: Seen,
    tokens: Seen,
}

/// What an answer told about one of the backend's limits. Each part may be unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The limit per minute.
    pub limit: Option<u64>,
    /// How much of it is left.
    pub remaining: Option<u64>,
    /// How long until it is whole again, or at least until there is some.
    pub reset: Option<Duration>,
}

impl Seen {
    /// Whether the answer told nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.limit.is_none() && self.remaining.is_none() && self.reset.is_none()
    }
}

impl Ending {
    /// An ending of this class, of an attempt that reached the backend, with nothing more known about it.
    #[must_use]
    pub const fn of(class: Class) -> Self {
        const NOTHING: Seen = Seen { limit: None, remaining: None, reset: None };
        Self {
            class,
            kind: 0,
            sent: true,
            evidence: true,
            refused: false,
            retry_after: None,
            used: None,
            requests: NOTHING,
            tokens: NOTHING,
        }
    }

    /// With a tag that the layers carry and never read: the finer kind, for the one who made the ending.
    #[must_use]
    pub const fn with_kind(mut self, kind: u8) -> Self {
        self.kind = kind;
        self
    }

    /// The attempt never left us (refused, no route, a pooled connection that was gone): it cost the backend
    /// nothing, and may be made again elsewhere at once.
    #[must_use]
    pub const fn never_sent(mut self) -> Self {
        self.sent = false;
        self
    }

    /// Says nothing about the health of the endpoint: it was cut short by the caller's own wish.
    #[must_use]
    pub const fn no_evidence(mut self) -> Self {
        self.evidence = false;
        self
    }

    /// Our own refusal: no endpoint was called. Such an ending is not retried; it goes straight to a fallback.
    #[must_use]
    pub const fn refused(mut self) -> Self {
        self.refused = true;
        self.sent = false;
        self.evidence = false;
        self
    }

    /// With the time that the backend (or our own refusal) asks us to wait. Zero means none was given.
    #[must_use]
    pub const fn with_retry_after(mut self, after: Option<Duration>) -> Self {
        self.retry_after = match after {
            Some(after) if after.is_zero() => None,
            other => other,
        };
        self
    }

    /// With what the call really cost, in the units that were reserved (tokens).
    #[must_use]
    pub const fn with_used(mut self, used: Option<u64>) -> Self {
        self.used = used;
        self
    }

    /// With what the answer told about the backend's limits of requests and of tokens.
    #[must_use]
    pub const fn with_seen(mut self, requests: Seen, tokens: Seen) -> Self {
        self.requests = requests;
        self.tokens = tokens;
        self
    }

    /// Of which of the eight kinds.
    #[must_use]
    pub const fn class(&self) -> Class {
        self.class
    }

    /// The tag given by [`Ending::with_kind`].
    #[must_use]
    pub const fn kind(&self) -> u8 {
        self.kind
    }

    /// Whether the backend may have seen the request.
    #[must_use]
    pub const fn was_sent(&self) -> bool {
        self.sent
    }

    /// Whether this counts for or against the endpoint's health.
    #[must_use]
    pub const fn is_evidence(&self) -> bool {
        self.evidence
    }

    /// Whether this is our own refusal, made without calling any endpoint.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        self.refused
    }

    /// Whether it went well, as far as is known.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.class == Class::Success
    }

    /// How long we were asked to wait; never zero.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// What the call really cost, where the answer said so.
    #[must_use]
    pub const fn used(&self) -> Option<u64> {
        self.used
    }

    /// What was told about the limit of requests.
    #[must_use]
    pub const fn requests(&self) -> &Seen {
        &self.requests
    }

    /// What was told about the limit of tokens.
    #[must_use]
    pub const fn tokens(&self) -> &Seen {
        &self.tokens
    }
}
