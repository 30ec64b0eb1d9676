//! All that can fail, in one enum: [`Error`].
//!
//! An upstream's error *answer* is no `Error`: it is a response, passed on with its status and body. This enum is what
//! we did, or what the wire did. It is matched without `_` in two places, `judged` (what class is it?) and
//! `object` (what does the client see?), so that a new layer cannot be forgotten in either.

mod body;
mod invalid_request;
mod object;
mod origin;
mod outcome;

use std::{fmt, sync::Arc};

use tollgate_layers::{balance::Exhausted, timeout::Elapsed};

pub use body::BodyError;
pub(crate) use body::StreamBreak;
pub(crate) use body::{HasOutcome, TimeoutKind};
pub(crate) use invalid_request::InvalidRequest;
pub(crate) use object::{ErrorObject, body_of};
pub(crate) use origin::Origin;

/// Why there is no answer from upstream.
#[derive(Clone, Debug)]
pub(crate) enum Error {
    /// The request is wrong: the client's fault.
    InvalidRequest(InvalidRequest),
    /// The key is missing or wrong.
    Unauthenticated {
        /// Whether there was a key at all.
        given: bool,
    },
    /// No such path.
    NoRoute,
    /// The path exists, for another method: this one.
    Method(&'static str),
    /// No such group.
    UnknownModel(Arc<str>),
    /// The front door is full: too many requests, or too many bytes, are held already.
    Busy,
    /// An attempt, or the whole request, took too long.
    Elapsed(Elapsed),
    /// No deployment of the group has room in time.
    Exhausted(Exhausted),
    /// The upstream could not be called, or broke off before its head.
    Transport(TransportError),
    /// The answer was none, or broke off before it could be committed.
    Body(BodyError),
    /// One of these, and whose attempt it was that failed with it.
    Attempt(Arc<Origin>, Box<Error>),
}

/// The wire failed before there was an answer.
#[derive(Clone, Debug)]
pub struct TransportError {
    /// Whether the request may have reached the upstream.
    pub sent: bool,
    /// Whether it was a clock that ended it: the connect clock.
    pub timed_out: bool,
    /// Whether it says anything about the upstream's health. Not so where this machine has no files or ports left, or where
    /// the upstream closed a connection that had been idle.
    pub evidence: bool,
    /// What happened, without any address in it.
    pub what: Arc<str>,
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for TransportError {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidRequest(rejected) => rejected.fmt(f),
            Self::Unauthenticated { given: false } => {
                f.write_str("No API key was sent. Send it as `Authorization: Bearer KEY`.")
            }
            Self::Unauthenticated { given: true } => f.write_str("The API key is not valid here."),
            Self::NoRoute => f.write_str(
                "There is no such path. Served are /v1/chat/completions, /v1/completions, /v1/embeddings and /v1/models.",
            ),
            Self::Method(allowed) => write!(f, "This path takes {allowed} alone."),
            Self::UnknownModel(name) => {
                write!(f, "There is no model `{}`. GET /v1/models lists those that are.", shortened(name))
            }
            Self::Busy => f.write_str("The gateway holds as many requests as it may. Try again in a second."),
            Self::Elapsed(elapsed) => elapsed.fmt(f),
            Self::Exhausted(exhausted) => match exhausted.retry_after() {
                Some(after) => {
                    let seconds = after.as_millis().div_ceil(1000);
                    write!(f, "No deployment of this model has room. Try again in {seconds} s.")
                }
                None => f.write_str("This model has no deployment."),
            },
            Self::Transport(wire) => wire.fmt(f),
            Self::Body(fault) => fault.fmt(f),
            Self::Attempt(_, error) => error.fmt(f),
        }
    }
}

/// A name from a request, short enough to be shown back.
fn shortened(name: &str) -> &str {
    name.char_indices().nth(100).map_or(name, |(end, _)| &name[..end])
}

impl std::error::Error for Error {}

impl From<InvalidRequest> for Error {
    fn from(rejected: InvalidRequest) -> Self {
        Self::InvalidRequest(rejected)
    }
}

impl From<Elapsed> for Error {
    fn from(elapsed: Elapsed) -> Self {
        Self::Elapsed(elapsed)
    }
}

impl From<Exhausted> for Error {
    fn from(exhausted: Exhausted) -> Self {
        Self::Exhausted(exhausted)
    }
}

impl From<TransportError> for Error {
    fn from(wire: TransportError) -> Self {
        Self::Transport(wire)
    }
}

impl From<BodyError> for Error {
    fn from(fault: BodyError) -> Self {
        Self::Body(fault)
    }
}
