//! The upstream of a deployment, the second boundary where types are erased: [`Upstream`].
//!
//! [`Deployed`] is the leaf service of the tree: it encodes for one deployment and calls its upstream, which is the
//! [`Client`], a mock, a simulation, or an implementation of an embedder.

mod client;
mod connect;
mod error;
mod http2;
mod other_dialects;
mod proxy;
mod resolve;
mod service;
#[cfg(test)]
mod tests;
mod translated;
mod usage_refusal;
mod yield_once;

use std::{
    future::{self, Future},
    mem::take,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use tower::Service;

#[cfg(feature = "otlp")]
pub(crate) use self::connect::{Connector, connector};
pub use self::service::UpstreamService;
pub(crate) use self::{
    client::Client, connect::CONNECT_TIMEOUT, service::ServiceUpstream, translated::DialectUpstreams,
};
use crate::{
    Error,
    body::UpstreamBody,
    dialect::{ClientDialect, Refusal},
    error::{ErrorObject, TransportError},
    provider::Encoder,
    record::TRACEPARENT,
    request::{Operation, Request, SplicedBody},
};

/// A call to an upstream.
#[derive(Debug)]
pub struct UpstreamCall {
    /// The request in the upstream's dialect.
    pub request: http::Request<SplicedBody>,
    /// The operation that was called.
    pub operation: Operation,
    /// True if the request asks for a stream.
    pub stream: bool,
    /// True if the call needs a new connection, because it has failed on one that had been idle.
    pub fresh: bool,
}

/// The future of an upstream's response.
pub type UpstreamFuture =
    Pin<Box<dyn Future<Output = Result<http::Response<UpstreamBody>, TransportError>> + Send>>;

/// A service that responds in an upstream's dialect: the client of the gateway, a mock, or an embedder's.
pub trait Upstream: Send + Sync {
    /// Sends the call. Dropping the future cancels it.
    fn call(&self, call: UpstreamCall) -> UpstreamFuture;

    /// Returns true if the upstream has one server, so that calls may have a target in origin form: path and query only.
    /// Otherwise targets are absolute.
    fn takes_origin_form(&self) -> bool {
        false
    }

    /// Returns true if calls are in OpenAI's dialect whatever the dialect of their deployment is, as those of a mock and of
    /// a simulation. Otherwise they are translated to the dialect of the deployment.
    fn speaks_openai(&self) -> bool {
        false
    }
}

/// The innermost service: encodes for one deployment and sends.
#[derive(Clone)]
pub(crate) struct Deployed {
    inner: Arc<Inner>,
}

struct Inner {
    encoder: Encoder,
    /// True if the usage of streams is requested for metering when the client did not request it. False once the upstream
    /// has refused that.
    usage: AtomicBool,
    upstreams: DialectUpstreams,
}

impl std::fmt::Debug for Deployed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deployed").field("encoder", &self.inner.encoder).finish_non_exhaustive()
    }
}

impl Deployed {
    /// Creates the service that calls `upstreams` in the dialect of `encoder`.
    pub(crate) fn new(encoder: Encoder, usage: bool, upstreams: DialectUpstreams) -> Self {
        let encoder = if upstreams.take_origin_form() { encoder.in_origin_form() } else { encoder };
        Self { inner: Arc::new(Inner { encoder, usage: usage.into(), upstreams }) }
    }
}

impl Inner {
    /// Returns true if the usage of this request's stream is requested only by the gateway.
    fn adds_usage(&self, request: &Request) -> bool {
        request.info.stream && request.info.include_usage.is_none() && self.usage.load(Relaxed)
    }

    #[inline]
    fn call(&self, request: &Request, usage: bool, fresh: bool) -> UpstreamFuture {
        let operation = request.info.operation;
        if operation.dialect() != ClientDialect::Chat || operation.is_passed() {
            return self.call_other(request, usage, fresh);
        }
        self.call_openai(&self.upstreams.openai, request, (usage, fresh))
    }

    /// Calls an upstream with a chat or a text completion.
    #[inline(always)]
    fn call_openai(
        &self,
        upstream: &Arc<dyn Upstream>,
        request: &Request,
        (usage, fresh): (bool, bool),
    ) -> UpstreamFuture {
        if let Some(parameter) = self.encoder.refused(request) {
            return Box::pin(future::ready(Ok(refusal(Refusal::unsupported(parameter)))));
        }
        let encoded = self.encoder.encode(request, usage);
        upstream.call(call_of(request, encoded, fresh))
    }
}

/// Returns the call of an encoded request.
#[inline]
fn call_of(request: &Request, mut encoded: http::Request<SplicedBody>, fresh: bool) -> UpstreamCall {
    if let Some(traceparent) = request.context.draft.as_ref().and_then(|draft| draft.traceparent()) {
        encoded.headers_mut().insert(TRACEPARENT, traceparent);
    }
    let (operation, stream) = (request.info.operation, request.info.stream);
    UpstreamCall { request: encoded, operation, stream, fresh }
}

/// Returns a complete JSON response in place of the upstream's.
fn json_response(status: StatusCode, body: impl Into<Bytes>) -> http::Response<UpstreamBody> {
    let mut response = http::Response::new(UpstreamBody::full(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Returns the response to a request that is not sent, in place of the vendor's own refusal.
fn refusal(Refusal { parameter, message }: Refusal) -> http::Response<UpstreamBody> {
    let error =
        ErrorObject::new(message, "invalid_request_error", "unsupported_parameter").with_param(&parameter);
    json_response(StatusCode::BAD_REQUEST, error.body())
}

impl Service<Request> for Deployed {
    type Response = http::Response<UpstreamBody>;
    type Error = Error;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> ResponseFuture {
        let inner = Arc::clone(&self.inner);
        let usage = inner.adds_usage(&request);
        let again = !request.info.once;
        ResponseFuture { calling: inner.call(&request, usage, false), again, usage, inner, request }
    }
}

/// The response of an upstream. If the connection had been idle and broke before the first byte of a response, the request
/// is sent once more on a new connection: the server had closed the old one, which is not evidence about its health. If
/// the upstream refuses `stream_options` that only the gateway added, the request is sent once more without them.
///
/// All [operations](Operation) may be sent again, as a model that was called twice for one response costs tokens at worst,
/// but for a request whose response is stored or made in the background.
pub(crate) struct ResponseFuture {
    calling: UpstreamFuture,
    inner: Arc<Inner>,
    request: Request,
    /// True if the request may be sent again on a new connection.
    again: bool,
    /// True if the gateway added `stream_options`.
    usage: bool,
}

impl Future for ResponseFuture {
    type Output = Result<http::Response<UpstreamBody>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        loop {
            this.calling = match ready!(this.calling.as_mut().poll(cx)) {
                Err(error) if error.stale && take(&mut this.again) => {
                    this.inner.call(&this.request, this.usage, true)
                }
                Ok(response) if usage_refusal::is_error(&response) && take(&mut this.usage) => {
                    let (inner, request) = (Arc::clone(&this.inner), this.request.clone());
                    Box::pin(usage_refusal::resend(response, inner, request))
                }
                result => return Poll::Ready(result.map_err(Error::Transport)),
            };
        }
    }
}
