//! The gateway as one tower Service: [`Gateway`].

use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http_body::Body as HttpBody;
use http_body_util::Empty;
use pin_project_lite::pin_project;
use tower::Service;

use crate::{
    body::Body,
    deployment::instrument::Instrument,
    front::{
        admin::Admin, admission::AdmissionControl, auth::Auth, call_id::CallId, catch_panic::CatchPanic,
        handle_error::HandleError, paths::Paths, request_body::ReadRequest,
    },
};

/// What [`stack::gateway`](crate::stack::gateway) stacks above the tree.
type Front = CallId<
    CatchPanic<HandleError<Paths<Auth<Admin<Instrument<CatchPanic<AdmissionControl<ReadRequest>>>>>>>>,
>;

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
    tree: Arc<ArcSwap<Front>>,
}

impl Gateway {
    pub(crate) fn new(front: Front) -> Self {
        Self { tree: Arc::new(ArcSwap::from_pointee(front)) }
    }

    /// From now on this gateway and all its clones are what `other` is at this moment. A request that is under way ends
    /// where it began: each sees one tree from its first byte to its last.
    ///
    /// What a [`State`](crate::state::State) keeps goes on where both were built over the same one. What belongs to a
    /// tree begins anew: how quick each deployment was, who waits for room, and the count of what is held at the front
    /// door, so that until the last request of the old tree has ended there may be `max_in_flight` of each.
    pub fn replace(&self, other: &Self) {
        self.tree.store(other.tree.load_full());
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
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let mut front = Front::clone(&self.tree.load());
        // It always is: what is full at the front door says so by an answer.
        let _ready =
            Service::<http::Request<B>>::poll_ready(&mut front, &mut Context::from_waker(Waker::noop()));
        ResponseFuture { inner: front.call(request) }
    }
}

pin_project! {
    /// The future of [`Gateway`].
    pub struct ResponseFuture {
        #[pin]
        // The same for every body of a request.
        inner: <Front as Service<http::Request<Empty<Bytes>>>>::Future,
    }
}

impl Future for ResponseFuture {
    type Output = Result<http::Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().inner.poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use http_body_util::{BodyExt, Full};
    use tower::ServiceExt;

    use super::*;
    use crate::{config::Config, stack, state::State};

    fn greeter(state: &State, says: &str) -> Gateway {
        let yaml = format!(
            "model_list: [{{model_name: greeter, litellm_params: {{model: openai/any, mock_response: {says}}}}}]"
        );
        let (config, _) = Config::from_yaml(&yaml, "inline.yaml", &|_| None).unwrap();
        stack::gateway(&config, state, stack::Options::default()).unwrap()
    }

    async fn said(gateway: &mut Gateway) -> String {
        let ask = r#"{"model":"greeter","messages":[{"role":"user","content":"hello"}]}"#;
        let request = http::Request::post("/v1/chat/completions").header("content-type", "application/json");
        let request = request.body(Full::new(Bytes::from(ask))).unwrap();
        let gateway = ServiceExt::<http::Request<Full<Bytes>>>::ready(gateway).await.unwrap();
        let response = gateway.call(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn every_clone_goes_on_with_the_new_tree_and_none_keeps_the_old_one() {
        let state = State::new().unwrap();
        let gateway = greeter(&state, "before");
        let old = Arc::downgrade(&gateway.tree.load_full());
        let (mut called, mut uncalled) = (gateway.clone(), gateway.clone());
        assert!(said(&mut called).await.contains("before"));

        gateway.replace(&greeter(&state, "after"));
        assert!(old.upgrade().is_none());
        assert!(said(&mut called).await.contains("after"));
        assert!(said(&mut uncalled).await.contains("after"));
    }
}
