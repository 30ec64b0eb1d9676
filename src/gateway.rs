//! The gateway as one tower Service: [`Gateway`].

use std::{
    convert::Infallible,
    fmt,
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http_body::Body as HttpBody;
use http_body_util::Empty;
use pin_project_lite::pin_project;
use tower::Service;

use crate::{
    body::Body,
    front::{
        admin::Admin, admission::AdmissionControl, auth::Auth, call_id::CallId, catch_panic::CatchPanic,
        handle_error::HandleError, headers::CALL_ID, paths::Paths, request_body::ReadRequest,
    },
    group::instrument::Instrument,
    record::{OpenRecord, Recorder, current},
};

/// The type of the stack that [`stack::gateway`](crate::stack::gateway) builds above the tree.
type Front = CallId<
    CatchPanic<Paths<HandleError<Auth<Admin<Instrument<CatchPanic<AdmissionControl<ReadRequest>>>>>>>>,
>;

/// A whole gateway: a tower `Service` that takes any HTTP request and never fails.
///
/// A gateway can be mounted in any hyper, axum or tower application. It is cheap to clone and always ready. It has no global
/// state: two gateways in one process are independent.
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
/// // A new tree over the same state replaces the first one. Meters and cooldowns are kept.
/// gateway.replace(&stack::gateway(&config, &state, stack::Options::default())?);
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
#[derive(Clone)]
pub struct Gateway {
    tree: Arc<ArcSwap<Front>>,
    /// `None` if the records of requests are not read.
    recorder: Option<Arc<Recorder>>,
}

impl Gateway {
    pub(crate) fn new(front: Front, recorder: Option<Recorder>) -> Self {
        Self { tree: Arc::new(ArcSwap::from_pointee(front)), recorder: recorder.map(Arc::new) }
    }

    /// Returns the gateway for the requests on one connection, of the client with this address.
    pub(crate) fn of_connection(&self, peer: SocketAddr) -> Self {
        let of_peer = |recorder: &Arc<Recorder>| Arc::new(recorder.of_peer(peer));
        Self { tree: Arc::clone(&self.tree), recorder: self.recorder.as_ref().map(of_peer) }
    }

    /// Replaces the tree of this gateway and of all its clones with the current tree of `other`. A request in flight
    /// finishes on the tree on which it started.
    ///
    /// If both were built over the same [`State`](crate::state::State), everything in it is kept. Everything else
    /// belongs to a tree and starts from zero: latency statistics, queues, and the count of admission control. So there
    /// may be `max_in_flight` requests on each tree until the last request on the old one has ended.
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
        // Always ready: admission control rejects with a response, not with backpressure.
        let _ready =
            Service::<http::Request<B>>::poll_ready(&mut front, &mut Context::from_waker(Waker::noop()));
        match self.recorder.as_ref().map(|recorder| Box::new(recorder.begin(&request))) {
            None => ResponseFuture { inner: front.call(request), record: None },
            Some(record) => {
                let inner = current::with(Arc::clone(record.draft()), || front.call(request));
                ResponseFuture { inner, record: Some(record) }
            }
        }
    }
}

pin_project! {
    /// The response future of [`Gateway`].
    pub struct ResponseFuture {
        #[pin]
        // The future type does not depend on the type of the request body.
        inner: <Front as Service<http::Request<Empty<Bytes>>>>::Future,
        record: Option<Box<OpenRecord>>,
    }
}

impl Future for ResponseFuture {
    type Output = Result<http::Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.inner.poll(cx));
        Poll::Ready(match this.record.take() {
            None => response,
            Some(record) => response.map(|response| recorded(response, record)),
        })
    }
}

/// Records the response to the end of its body.
fn recorded(response: http::Response<Body>, mut record: Box<OpenRecord>) -> http::Response<Body> {
    let (parts, body) = response.into_parts();
    if let Some(facts) = record.response() {
        facts.status = parts.status.as_u16();
        facts.call_id = parts.headers.get(CALL_ID).cloned();
    }
    http::Response::from_parts(parts, body.recorded(record))
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use http_body_util::{BodyExt, Full};
    use tower::ServiceExt;

    use super::*;
    use crate::{config::Config, stack, state::State};

    fn greeter(state: &State, mock: &str) -> Gateway {
        let yaml = format!(
            "model_list: [{{model_name: greeter, litellm_params: {{model: openai/any, mock_response: {mock}}}}}]"
        );
        let (config, _) = Config::from_yaml(&yaml, "inline.yaml", &|_| None).unwrap();
        stack::gateway(&config, state, stack::Options::default()).unwrap()
    }

    async fn response_text(gateway: &mut Gateway) -> String {
        let body = r#"{"model":"greeter","messages":[{"role":"user","content":"hello"}]}"#;
        let request = http::Request::post("/v1/chat/completions").header("content-type", "application/json");
        let request = request.body(Full::new(Bytes::from(body))).unwrap();
        let gateway = ServiceExt::<http::Request<Full<Bytes>>>::ready(gateway).await.unwrap();
        let response = gateway.call(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn replace_gives_every_clone_the_new_tree_and_drops_the_old_one() {
        let state = State::new().unwrap();
        let gateway = greeter(&state, "before");
        let old = Arc::downgrade(&gateway.tree.load_full());
        let (mut first_clone, mut second_clone) = (gateway.clone(), gateway.clone());
        assert!(response_text(&mut first_clone).await.contains("before"));

        gateway.replace(&greeter(&state, "after"));
        assert!(old.upgrade().is_none());
        assert!(response_text(&mut first_clone).await.contains("after"));
        assert!(response_text(&mut second_clone).await.contains("after"));
    }
}
