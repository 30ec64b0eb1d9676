//! The gateway as one tower Service: [`Gateway`].

use std::{
    convert::Infallible,
    fmt,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::Body as HttpBody;
use tower::Service;

use crate::{
    admin::Admin,
    call_id::CallId,
    front::{Auth, FrontDoor},
    instrument::Instrument,
    intake::Intake,
    paths::Paths,
    recover::Recover,
    request::Response,
    respond::Respond,
};

/// What [`stack::gateway`](crate::stack::gateway) stacks above the tree.
type Front = CallId<Instrument<Recover<Respond<Paths<Auth<FrontDoor<Admin<Intake>>>>>>>>;

/// A whole gateway: takes any HTTP request, always answers.
///
/// Mount it in any hyper, axum or tower application; it is cheap to clone and always ready. Nothing in it is global:
/// two gateways in one process do not meet.
///
/// ```
/// use tollgate::{config::Config, stack, state::State};
///
/// let yaml = "
/// model_list:
///   - model_name: greeter
///     litellm_params: {model: openai/any, mock_response: Hello!}
/// ";
/// let (config, warnings) = Config::from_yaml(yaml, "inline.yaml", &|_| None)?;
/// let gateway = stack::gateway(&config, &State::new()?, stack::Options::default());
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
#[derive(Clone)]
pub struct Gateway {
    inner: Front,
}

impl Gateway {
    pub(crate) const fn new(inner: Front) -> Self {
        Self { inner }
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gateway")
    }
}

impl<B> Service<http::Request<B>> for Gateway
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: fmt::Display,
{
    type Response = Response;
    type Error = Infallible;
    type Future = <Front as Service<http::Request<B>>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<http::Request<B>>::poll_ready(&mut self.inner, cx)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        self.inner.call(request)
    }
}
