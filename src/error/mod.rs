//! The error type of the gateway's services: [`Error`].
//!
//! An error *response* of an upstream is not an `Error`: it is passed on with its status and body. `Error` covers
//! failures of the gateway and of its connections. Two modules match it without `_`, `outcome` (its class) and
//! `object` (its status and error object), so that the compiler finds both when a variant is added.

mod body;
mod client_key;
mod invalid_request;
mod object;
mod operator;
mod origin;
mod outcome;
mod pre_call;
mod unknown_response;

use std::{fmt, sync::Arc};

use tollgate_layers::{balance::Exhausted, cooldown::CoolingDown, timeout::Elapsed};

pub use body::BodyError;
pub(crate) use body::StreamBreak;
pub(crate) use body::{HasOutcome, TimeoutKind};
pub(crate) use client_key::{KeyError, KeyLimit, KeyLimitKind};
pub(crate) use invalid_request::InvalidRequest;
pub(crate) use object::{ErrorObject, body_of};
pub(crate) use operator::OperatorError;
pub(crate) use origin::Origin;
pub(crate) use pre_call::PreCallError;
pub(crate) use unknown_response::UnknownResponse;

/// A request that failed without a response of an upstream.
#[derive(Clone, Debug)]
pub(crate) enum Error {
    /// The request is invalid.
    InvalidRequest(InvalidRequest),
    /// The key is missing, unknown or expired.
    Unauthenticated(KeyError),
    /// The client's key may not call the model.
    ModelDenied(Arc<str>),
    /// The path is for the master key alone.
    MasterKeyOnly,
    /// No deployment of the group fits the request.
    PreCall(PreCallError),
    /// The operation on a deployment is refused.
    Operator(OperatorError),
    /// The client's key has reached one of its limits.
    KeyLimit(KeyLimit),
    /// The path does not exist.
    NoRoute {
        /// The path, shortened.
        path: Arc<str>,
        /// A sentence about the paths that exist.
        served: Arc<str>,
    },
    /// The path accepts only these methods.
    Method(&'static str),
    /// The group does not exist.
    UnknownModel(Arc<str>),
    /// The id leads to no response.
    UnknownResponse(UnknownResponse),
    /// The configuration has the group, and none of its deployments can be served.
    Unserved {
        /// The name that the request contained.
        model: Arc<str>,
        /// The reason, from the configuration.
        reason: Arc<str>,
    },
    /// The tags of the request choose no deployment of the group.
    TagsDenied(Arc<str>),
    /// Admission control refused the request: the gateway is at its limit of requests or of buffered bytes.
    Busy,
    /// An attempt, or the whole request, took too long.
    Elapsed(Elapsed),
    /// No deployment of the group has capacity in time.
    Exhausted(Exhausted),
    /// The connection could not be made, or broke before the response head.
    Transport(TransportError),
    /// The response was invalid, or broke off before it was committed.
    Body(BodyError),
    /// The error of an attempt, with the deployment that was called.
    Attempt(Arc<Origin>, Box<Error>),
}

/// A connection failure before the response head.
#[derive(Clone, Debug)]
pub struct TransportError {
    /// True if the request may have reached the upstream.
    pub sent: bool,
    /// True if the connect timeout ran out.
    pub timed_out: bool,
    /// True if the failure counts against the upstream's health. False if this machine has no files or ports left.
    pub evidence: bool,
    /// True if the connection had been idle and broke before the first byte of a response: the upstream had closed it. The
    /// request is then sent once more, on a new connection.
    pub stale: bool,
    /// The message for the client, without an address.
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
            Self::InvalidRequest(invalid) => invalid.fmt(f),
            Self::Unauthenticated(error) => error.fmt(f),
            Self::ModelDenied(name) => {
                let name = truncated(name);
                write!(f, "This API key may not call the model `{name}`. GET /v1/models lists its models.")
            }
            Self::MasterKeyOnly => f.write_str("This path needs the master key."),
            Self::PreCall(error) => error.fmt(f),
            Self::Operator(error) => error.fmt(f),
            Self::KeyLimit(limit) => limit.fmt(f),
            Self::NoRoute { path, served } => {
                write!(f, "There is no path `{path}`. {served}")
            }
            Self::Method(allowed) => write!(f, "This path accepts only {allowed}."),
            Self::UnknownModel(name) => {
                write!(f, "There is no model `{}`. GET /v1/models lists the models.", truncated(name))
            }
            Self::UnknownResponse(error) => error.fmt(f),
            Self::Unserved { model, reason } => {
                write!(f, "The model `{}` has no deployment that can be served: {reason}.", truncated(model))
            }
            Self::TagsDenied(model) => {
                let model = truncated(model);
                write!(
                    f,
                    "Not allowed to access the model `{model}` due to tags configuration: no deployment has these tags."
                )
            }
            Self::Busy => {
                f.write_str("The gateway is at its limit of concurrent requests. Try again in a second.")
            }
            Self::Elapsed(elapsed) => elapsed.fmt(f),
            Self::Exhausted(exhausted) => match exhausted.retry_after() {
                Some(after) => {
                    let seconds = after.as_millis().div_ceil(1000);
                    write!(f, "No deployment of this model has capacity. Try again in {seconds} s.")
                }
                None => f.write_str("This model has no deployment."),
            },
            Self::Transport(transport) => transport.fmt(f),
            Self::Body(error) => error.fmt(f),
            Self::Attempt(_, error) => error.fmt(f),
        }
    }
}

/// Returns the first 100 characters of a name from a request.
fn truncated(name: &str) -> &str {
    name.char_indices().nth(100).map_or(name, |(end, _)| &name[..end])
}

impl std::error::Error for Error {}

impl From<InvalidRequest> for Error {
    fn from(invalid: InvalidRequest) -> Self {
        Self::InvalidRequest(invalid)
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

/// A balancer reserves each call of a deployment, so that its breaker refuses none.
impl From<CoolingDown> for Error {
    fn from(_: CoolingDown) -> Self {
        Self::Busy
    }
}

impl From<BodyError> for Error {
    fn from(error: BodyError) -> Self {
        Self::Body(error)
    }
}
