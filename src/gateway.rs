//! The gateway as one tower Service: [`Gateway`].

use std::{
    convert::Infallible,
    fmt,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http_body::Body as HttpBody;
use tower::Service;

use crate::{
    admin::Admin,
    body::Body,
    call_id::CallId,
    front::{Auth, FrontDoor},
    instrument::Instrument,
    intake::Intake,
    paths::Paths,
    recover::Recover,
    respond::Respond,
};

/// What [`stack::gateway`](crate::stack::gateway) stacks above the tree.
type Front = CallId<Recover<Respond<Paths<Auth<Admin<Instrument<Recover<FrontDoor<Intake>>>>>>>>>;

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
/// let state = State::new()?;
/// let gateway = stack::gateway(&config, &state, stack::Options::default())?;
///
/// // Another tree over the same state, in place of the first: its meters and benches go on.
/// gateway.replace(&stack::gateway(&config, &state, stack::Options::default())?);
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
#[derive(Clone)]
pub struct Gateway {
    front: Arc<ArcSwap<Front>>,
}

impl Gateway {
    pub(crate) fn new(front: Front) -> Self {
        Self { front: Arc::new(ArcSwap::from_pointee(front)) }
    }

    /// From now on this gateway and all its clones are what `other` is at this moment. A request that is under way ends
    /// where it began: each sees one tree from its first byte to its last.
    ///
    /// What a [`State`](crate::state::State) keeps goes on where both were built over the same one. What belongs to a
    /// tree begins anew: how quick each deployment was, who waits for room, and the count of what is held at the front
    /// door, so that until the last request of the old tree has ended there may be `max_in_flight` of each.
    pub fn replace(&self, other: &Self) {
        self.front.store(other.front.load_full());
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
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = <Front as Service<http::Request<B>>>::Future;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let mut front = Front::clone(&self.front.load());
        // It always is: what is full at the front door says so by an answer.
        let _ready =
            Service::<http::Request<B>>::poll_ready(&mut front, &mut Context::from_waker(Waker::noop()));
        front.call(request)
    }
}
