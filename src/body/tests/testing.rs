//! Helpers of the body and peek tests.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header};
use http_body_util::BodyExt;
use tokio::time::Instant;
use tollgate_layers::{Class, Outcome, setting::Constant};
use tower::{Layer, Service, ServiceExt};

use crate::{
    body::{AttemptTimeouts, Body, Classifier, OutcomeFn, ScriptStep, UpstreamBody},
    classify::OutcomeKind,
    deployment::peek::PeekLayer,
    error::BodyError,
    request::{Layout, Operation, Overrides, ParsedRequest, Request, RequestContext, RequestInfo},
};

/// Classifies by the status alone; every error object is an overload.
pub(crate) const CLASSIFIER: Classifier = Classifier { response, event, failure, success };

fn kind(kind: OutcomeKind) -> Outcome {
    Outcome::new(kind.class()).with_kind(kind as u8)
}

fn response(status: StatusCode, _: &HeaderMap, _: &[u8]) -> Outcome {
    kind(if status.is_server_error() { OutcomeKind::ServerError } else { OutcomeKind::BadRequest })
}

fn event(data: &[u8], _: &HeaderMap) -> Option<Outcome> {
    (!data.starts_with(b"{\"error\":{\"harmless\"")).then(|| kind(OutcomeKind::Overloaded))
}

fn failure(data: &[u8], _: &HeaderMap) -> Option<Outcome> {
    data.starts_with(b"{\"detail\"").then(|| kind(OutcomeKind::ServerError))
}

fn success(_: &HeaderMap) -> Outcome {
    Outcome::new(Class::Success)
}

/// Makes a request for a chat with or without `stream`.
pub(crate) fn request(stream: bool) -> Request {
    request_for(Operation::Chat, stream)
}

/// Makes a request for an operation, with or without `stream`.
pub(crate) fn request_for(operation: Operation, stream: bool) -> Request {
    let info = RequestInfo {
        operation,
        model: "m".into(),
        stream,
        streams_by_default: false,
        include_usage: None,
        overrides: Overrides::default(),
        layout: Layout::default(),
        messages: None,
        form: None,
        stored: None,
        batch: false,
        once: false,
        choices: Some(1),
        prompt_tokens: 1,
        output_tokens: None,
    };
    let context = RequestContext::new(Instant::now(), None);
    Request::from(ParsedRequest::new(Bytes::new().into(), Arc::new(info), Arc::new(context)))
}

/// Makes a response with this status, content type and body.
pub(crate) fn head(
    status: u16,
    kind: &str,
    steps: impl IntoIterator<Item = ScriptStep>,
) -> Response<UpstreamBody> {
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, kind)
        .body(UpstreamBody::scripted(steps))
        .expect("a valid head")
}

pub(crate) fn sse(steps: impl IntoIterator<Item = ScriptStep>) -> Response<UpstreamBody> {
    head(200, "text/event-stream; charset=utf-8", steps)
}

pub(crate) fn data(bytes: impl Into<Bytes>) -> ScriptStep {
    ScriptStep::Data(bytes.into())
}

/// Sends a response through Peek.
pub(crate) async fn peek(
    stream: bool,
    timeouts: AttemptTimeouts,
    upstream: Response<UpstreamBody>,
) -> Result<crate::request::Response, BodyError> {
    peek_with(PeekLayer::new(Constant(timeouts), CLASSIFIER), stream, upstream).await
}

pub(crate) async fn peek_with(
    layer: PeekLayer<Constant<AttemptTimeouts>>,
    stream: bool,
    upstream: Response<UpstreamBody>,
) -> Result<crate::request::Response, BodyError> {
    peek_for(layer, request(stream), upstream).await
}

pub(crate) async fn peek_for(
    layer: PeekLayer<Constant<AttemptTimeouts>>,
    request: Request,
    upstream: Response<UpstreamBody>,
) -> Result<crate::request::Response, BodyError> {
    layer.layer(Once(Some(upstream))).oneshot(request).await
}

/// A service that returns one response.
pub(crate) struct Once(pub(crate) Option<Response<UpstreamBody>>);

impl Service<Request> for Once {
    type Response = Response<UpstreamBody>;
    type Error = BodyError;
    type Future = std::future::Ready<Result<Response<UpstreamBody>, BodyError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request) -> Self::Future {
        std::future::ready(Ok(self.0.take().expect("called once")))
    }
}

/// Reads a body to its end. Returns the client's bytes, and the error that cut it.
pub(crate) async fn read(body: Body) -> (String, Option<BodyError>) {
    let mut body = body;
    let mut received = Vec::new();
    let error = loop {
        match body.frame().await {
            Some(Ok(frame)) => received.extend_from_slice(&frame.into_data().expect("no trailers")),
            Some(Err(error)) => break Some(error),
            None => break None,
        }
    };
    (String::from_utf8(received).expect("utf-8"), error)
}

/// The classes of the recorded outcomes; `None` for a cancelled response.
#[derive(Clone, Debug, Default)]
pub(crate) struct RecordedOutcomes(Arc<Mutex<Vec<Option<Class>>>>);

impl RecordedOutcomes {
    pub(crate) fn callback(&self) -> OutcomeFn {
        let outcomes = self.clone();
        Arc::new(move |outcome| {
            let class = outcome.map(Outcome::class);
            outcomes.0.lock().unwrap_or_else(PoisonError::into_inner).push(class);
        })
    }

    pub(crate) fn all(&self) -> Vec<Option<Class>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Polls a body once.
pub(crate) fn poll_once(body: &mut Body) -> Poll<Option<Result<Bytes, BodyError>>> {
    let frame =
        http_body::Body::poll_frame(Pin::new(body), &mut Context::from_waker(std::task::Waker::noop()));
    frame.map(|frame| frame.map(|frame| frame.map(|frame| frame.into_data().expect("no trailers"))))
}

/// Returns an event with this content.
pub(crate) fn says(content: &str) -> String {
    format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{content}\"}}}}]}}\n\n")
}

/// A complete response.
pub(crate) const COMPLETION: &str = "{\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"a\"},\"finish_reason\":\"stop\"}]}";
/// The event that ends a choice.
pub(crate) const STOP: &str =
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
pub(crate) const ROLE: &str =
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
pub(crate) const USAGE: &str =
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4,\"total_tokens\":7}}\n\n";
pub(crate) const DONE: &str = "data: [DONE]\n\n";
