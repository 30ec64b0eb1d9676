//! What answers for a deployment, and the second border where types are erased: [`Upstream`].
//!
//! [`Deployed`] is the leaf of the tree: it encodes for one deployment and calls its upstream. That is the [`Client`],
//! unless it is a mock, a simulation, or an embedder's own.

mod client;
mod connect;
mod error;
mod http2;
mod resolve;
#[cfg(test)]
mod tests;
mod yield_once;

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::{TryFutureExt, future::MapErr};
use tower::Service;

pub(crate) use self::{client::Client, connect::CONNECT_TIMEOUT};
use crate::{
    Error,
    body::UpstreamBody,
    error::TransportError,
    provider::Encoder,
    request::{Operation, Request, SplicedBody},
};

/// What goes out, and what a canned answer must know to look like a real one.
#[derive(Debug)]
pub struct Call {
    /// The request in the upstream's dialect.
    pub request: http::Request<SplicedBody>,
    /// Which endpoint was called.
    pub operation: Operation,
    /// Whether a stream is asked for.
    pub stream: bool,
}

/// An upstream's answer on its way.
pub type Calling = Pin<Box<dyn Future<Output = Result<http::Response<UpstreamBody>, TransportError>> + Send>>;

/// Whatever answers in an upstream's dialect: the gateway's own client, a mock, or an embedder's own.
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
pub(crate) struct Deployed {
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
    pub(crate) fn new(encoder: Encoder, usage: bool, upstream: Arc<dyn Upstream>) -> Self {
        let encoder = if upstream.takes_origin_form() { encoder.in_origin_form() } else { encoder };
        Self { inner: Arc::new(Inner { encoder, usage, upstream }) }
    }
}

impl Service<Request> for Deployed {
    type Response = http::Response<UpstreamBody>;
    type Error = Error;
    type Future = MapErr<Calling, fn(TransportError) -> Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let (operation, stream) = (request.head.operation, request.head.stream);
        let request = self.inner.encoder.encode(&request, self.inner.usage);
        self.inner.upstream.call(Call { request, operation, stream }).map_err(Error::Transport as fn(_) -> _)
    }
}
