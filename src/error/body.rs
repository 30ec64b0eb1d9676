//! Errors of a response body, and of a stream that broke off: [`BodyError`] and [`StreamBreak`].

use std::{error::Error, fmt};

use tollgate_layers::{Outcome, timeout::Limit};

use crate::classify::OutcomeKind;

/// The timeout that ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeoutKind {
    /// `stream_timeout`.
    FirstContent,
    /// `stream_idle_timeout`.
    Idle,
    /// `request_timeout`.
    Attempt,
}

impl TimeoutKind {
    /// Returns the `code` of this timeout in errors.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::FirstContent => "first_content_timeout",
            Self::Idle => "idle_timeout",
            Self::Attempt => "attempt_timeout",
        }
    }
}

impl fmt::Display for TimeoutKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FirstContent => "the first content",
            Self::Idle => "the next event",
            Self::Attempt => "the attempt",
        })
    }
}

/// The reason why an upstream response cannot be used. Its text names no upstream, no header and no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// A timeout ran out.
    Timeout {
        /// The timeout.
        kind: TimeoutKind,
        /// The limit that was exceeded.
        limit: Limit,
    },
    /// The deadline of the whole request has passed.
    Deadline,
    /// The connection broke before the end of the response.
    Cut,
    /// The response has fewer bytes than its Content-Length, or its JSON is incomplete.
    Truncated,
    /// The stream ended without a finish reason or a terminal event, although the connection ended cleanly.
    Unfinished,
    /// The response is empty, or contains no output of the model.
    Empty,
    /// A stream was requested; the response is not an event stream.
    NotAStream,
    /// A complete response was requested; the response is an event stream.
    UnrequestedStream,
    /// The response is compressed or in frames, and cannot be decoded.
    Undecodable,
    /// The response is not JSON, for example an HTML page.
    NotJson,
    /// The response is a redirect or a 304. Redirects are not followed: the credential of the gateway belongs to this
    /// address only.
    Redirect,
    /// An event is longer than `limit` bytes.
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
}

impl BodyError {
    /// Returns the kind of the outcome, which is finer than its class.
    pub(crate) const fn kind(&self) -> OutcomeKind {
        match self {
            Self::Timeout { .. } | Self::Deadline => OutcomeKind::Timeout,
            // The address serves no API.
            Self::Redirect => OutcomeKind::NotFound,
            Self::Cut
            | Self::Truncated
            | Self::Unfinished
            | Self::Empty
            | Self::NotAStream
            | Self::UnrequestedStream
            | Self::Undecodable
            | Self::NotJson
            | Self::TooLarge { .. } => OutcomeKind::StreamBroken,
        }
    }

    /// Returns the `code` of the error object, also used in logs.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::Timeout { kind, .. } => kind.code(),
            Self::Deadline => "deadline",
            Self::Cut => "stream_cut",
            Self::Truncated => "answer_truncated",
            Self::Unfinished => "stream_unfinished",
            Self::Empty => "empty_answer",
            Self::NotAStream => "not_a_stream",
            Self::UnrequestedStream => "unrequested_stream",
            Self::Undecodable => "undecodable",
            Self::NotJson => "not_json",
            Self::Redirect => "upstream_redirect",
            Self::TooLarge { .. } => "event_too_large",
        }
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout { kind, limit } => write!(f, "{kind} took longer than {:?}", limit.after),
            Self::Deadline => f.write_str("the deadline of the whole request has passed"),
            Self::Cut => f.write_str("the upstream's connection broke before the end of its response"),
            Self::Truncated => f.write_str("the upstream's response is incomplete"),
            Self::Unfinished => f.write_str("the upstream's stream ended without a finish reason"),
            Self::Empty => f.write_str("the upstream's response contains no output"),
            Self::NotAStream => f.write_str("the upstream's response is not an event stream"),
            Self::UnrequestedStream => {
                f.write_str("the upstream's response is an event stream, which was not requested")
            }
            Self::Undecodable => f.write_str("the upstream's response cannot be decoded"),
            Self::NotJson => f.write_str("the upstream's response is not JSON"),
            Self::Redirect => f.write_str(
                "the upstream responded with a redirect, which is not followed: check its api_base",
            ),
            Self::TooLarge { limit } => {
                write!(f, "an event of the upstream's stream is longer than {limit} bytes")
            }
        }
    }
}

impl Error for BodyError {}

/// The reason why a stream broke off, before or after its response was committed.
#[derive(Clone, Debug)]
pub(crate) enum StreamBreak {
    /// The body is invalid, incomplete or too slow.
    Body(BodyError),
    /// The upstream sent an error event: its data, and the outcome that the classifier found in it.
    Upstream(bytes::Bytes, Box<Outcome>),
}

impl StreamBreak {
    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::Body(error) => error.outcome(),
            Self::Upstream(_, outcome) => **outcome,
        }
    }
}

impl From<BodyError> for StreamBreak {
    fn from(error: BodyError) -> Self {
        Self::Body(error)
    }
}

/// An error of the gateway that has an [`Outcome`] of its own.
pub(crate) trait HasOutcome {
    /// Returns the outcome of an attempt that failed with this error.
    fn outcome(&self) -> Outcome;
}

impl HasOutcome for BodyError {
    fn outcome(&self) -> Outcome {
        let outcome = self.kind().outcome();
        match self {
            Self::Timeout { limit, .. } if !limit.evidence => outcome.without_evidence(),
            // Earlier attempts used up the deadline as much as this one.
            Self::Deadline => outcome.without_evidence(),
            _ => outcome,
        }
    }
}
