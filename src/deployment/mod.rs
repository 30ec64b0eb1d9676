//! The services of one deployment: its upstream, access tokens, connection pool, peek, and the recording of attempts.

pub(crate) mod access_token;
pub(crate) mod mock;
pub(crate) mod peek;
pub(crate) mod pool;
pub(crate) mod record_attempt;
pub(crate) mod settings;
pub(crate) mod upstream;

use tollgate_layers::Endpoint;

use crate::{Error, body::Response, request::Request};

/// An alias for the bounds on a deployment's stack, which the balancer needs.
pub(crate) trait DeploymentStack:
    Endpoint<Request, Response = Response, Error = Error, Future: Send> + Send + Sync + 'static
{
}

impl<S> DeploymentStack for S where
    S: Endpoint<Request, Response = Response, Error = Error, Future: Send> + Send + Sync + 'static
{
}
