//! What answers for a deployment, and the second border where types are erased: [`Upstream`].
//!
//! [`Deployed`] is the leaf of the tree: it encodes for one deployment and calls its upstream. That is the [`Client`],
//! unless it is a mock, a simulation, or an embedder's own.

mod broken;
mod client;
mod connect;
mod http2;
mod resolve;
#[cfg(test)]
mod tests;
mod turn;

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tower::Service;

pub use self::{client::Client, connect::CONNECT};
use crate::{
    Error,
    body::{Payload, Wire},
    error::WireError,
    provider::Encoder,
    request::{Request, Route},
};

/// What goes out, and what a canned answer must know to look like a real one.
#[derive(Debug)]
pub struct Call {
    /// The request in the upstream's dialect.
    pub request: http::Request<Payload>,
    /// Which endpoint was called.
    pub route: Route,
    /// Whether a stream is asked for.
    pub stream: bool,
}

/// An upstream's answer on its way.
pub type Calling = Pin<Box<dyn Future<Output = Result<http::Response<Wire>, WireError>> + Send>>;

/// Whatever answers in an upstream's dialect: a [`Client`]'s, a mock, or an embedder's own.
pub trait Upstream: Send + Sync {
    /// Sends the call. Dropping the future cancels it.
    fn call(&self, call: Call) -> Calling;

    /// Whether it is a way to one server, so that calls may have their target in origin form: path and query alone. Else
    /// they are given absolute ones.
    fn takes_origin_form(&self) -> bool {
        false
    }
}

/// The innermost service: encodes for one deployment and sends.
#[derive(Clone)]
pub struct Deployed {
    inner: Arc<Inner>,
}

struct Inner {
    encoder: Encoder,
    /// Whether a stream's usage is asked for, to meter its tokens, where the client did not.
    usage: bool,
    upstream: Arc<dyn Upstream>,
}

impl std::fmt::Debug for Deployed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deployed").field("encoder", &self.inner.encoder).finish_non_exhaustive()
    }
}

impl Deployed {
    /// Calls `upstream` in the dialect of `encoder`.
    #[must_use]
    pub fn new(encoder: Encoder, usage: bool, upstream: Arc<dyn Upstream>) -> Self {
        let encoder = if upstream.takes_origin_form() { encoder.in_origin_form() } else { encoder };
        Self { inner: Arc::new(Inner { encoder, usage, upstream }) }
    }
}

impl Service<Request> for Deployed {
    type Response = http::Response<Wire>;
    type Error = Error;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> ResponseFuture {
        let (route, stream) = (request.head.route, request.head.stream);
        let request = self.inner.encoder.encode(&request, self.inner.usage);
        ResponseFuture { inner: self.inner.upstream.call(Call { request, route, stream }) }
    }
}

/// The future of [`Deployed`].
pub struct ResponseFuture {
    inner: Calling,
}

impl std::fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ResponseFuture")
    }
}

impl Future for ResponseFuture {
    type Output = Result<http::Response<Wire>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.inner.as_mut().poll(cx).map_err(Error::Wire)
    }
}
