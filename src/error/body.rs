//! What can be wrong with an answer that had begun: [`BodyError`].

use std::{error::Error, fmt};

use tollgate_layers::{Outcome, timeout::Limit};

use crate::classify::OutcomeKind;

/// Which clock ran out.
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
    /// Its name in errors.
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

/// Why an answer is no good. Names no upstream, no header and no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// One of the clocks ran out.
    Timeout {
        /// Which.
        clock: TimeoutKind,
        /// How long it gave.
        limit: Limit,
    },
    /// The deadline of the whole request has passed.
    Deadline,
    /// The connection broke before the answer's end.
    Cut,
    /// The answer has fewer bytes than it announced, or stops within its JSON.
    Truncated,
    /// The stream ended, cleanly as far as the connection goes, without a finish reason or a terminal event.
    Unfinished,
    /// There was nothing in the answer.
    Empty,
    /// A stream was asked for; this is neither one nor JSON.
    NotAStream,
    /// The answer is no JSON at all, such as a page of HTML.
    NotJson,
    /// The answer leads elsewhere, or says that nothing has changed. It is not followed: our credential is for this
    /// address alone.
    Redirect,
    /// One event is longer than this many bytes.
    TooLarge {
        /// The cap.
        limit: usize,
    },
}

impl BodyError {
    /// What it means for the record of the deployment.
    pub(crate) const fn outcome(&self) -> Outcome {
        let kind = self.kind();
        let outcome = Outcome::new(kind.class()).with_kind(kind as u8);
        match self {
            Self::Timeout { limit, .. } if !limit.evidence => outcome.without_evidence(),
            // The time was used up by the walk before this attempt as much as by the attempt.
            Self::Deadline => outcome.without_evidence(),
            Self::Timeout { .. }
            | Self::Cut
            | Self::Truncated
            | Self::Unfinished
            | Self::Empty
            | Self::NotAStream
            | Self::NotJson
            | Self::Redirect
            | Self::TooLarge { .. } => outcome,
        }
    }

    /// Which of the finer kinds.
    pub(crate) const fn kind(&self) -> OutcomeKind {
        match self {
            Self::Timeout { .. } | Self::Deadline => OutcomeKind::Timeout,
            // Nothing lives at this address.
            Self::Redirect => OutcomeKind::NotFound,
            Self::Cut
            | Self::Truncated
            | Self::Unfinished
            | Self::Empty
            | Self::NotAStream
            | Self::NotJson
            | Self::TooLarge { .. } => OutcomeKind::StreamBroken,
        }
    }

    /// A word for the `code` of a client-visible error, and for logs.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::Timeout { clock, .. } => clock.code(),
            Self::Deadline => "deadline",
            Self::Cut => "stream_cut",
            Self::Truncated => "answer_truncated",
            Self::Unfinished => "stream_unfinished",
            Self::Empty => "empty_answer",
            Self::NotAStream => "not_a_stream",
            Self::NotJson => "not_json",
            Self::Redirect => "upstream_redirect",
            Self::TooLarge { .. } => "event_too_large",
        }
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout { clock, limit } => write!(f, "{clock} took longer than {:?}", limit.after),
            Self::Deadline => f.write_str("the deadline of the whole request has passed"),
            Self::Cut => f.write_str("the upstream's connection broke before the end of its answer"),
            Self::Truncated => f.write_str("the upstream's answer is shorter than it should be"),
            Self::Unfinished => f.write_str("the upstream's stream ended without a finish reason"),
            Self::Empty => f.write_str("the upstream's answer is empty"),
            Self::NotAStream => f.write_str("the upstream's answer is neither an event stream nor JSON"),
            Self::NotJson => f.write_str("the upstream's answer is not JSON"),
            Self::Redirect => f.write_str(
                "the upstream answered with a redirect, which is not followed: check its api_base",
            ),
            Self::TooLarge { limit } => {
                write!(f, "an event of the upstream's stream is longer than {limit} bytes")
            }
        }
    }
}

impl Error for BodyError {}

/// How a stream broke off, for one whose answer is committed or is about to be.
#[derive(Clone, Debug)]
pub(crate) enum StreamBreak {
    /// Something is wrong with it.
    Body(BodyError),
    /// The upstream said so: the data of its error event, and what the classifier made of it.
    Upstream(bytes::Bytes, Box<Outcome>),
}

impl StreamBreak {
    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::Body(fault) => fault.outcome(),
            Self::Upstream(_, outcome) => **outcome,
        }
    }
}

impl From<BodyError> for StreamBreak {
    fn from(fault: BodyError) -> Self {
        Self::Body(fault)
    }
}

/// An error that knows what it means: the gateway's own.
pub(crate) trait HasOutcome {
    /// How the attempt ended that failed with this.
    fn outcome(&self) -> Outcome;
}

impl HasOutcome for BodyError {
    fn outcome(&self) -> Outcome {
        Self::outcome(self)
    }
}
