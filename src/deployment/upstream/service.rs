//! Upstreams as tower services: [`UpstreamService`] for the layers of an embedder, [`ServiceUpstream`] for its services.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use tower::{Service, ServiceExt};

use super::{Upstream, UpstreamCall, UpstreamFuture};
use crate::{body::UpstreamBody, error::TransportError};

/// The upstream of a deployment as a tower service, which [`State::with_upstream_layer`] wraps.
///
/// Always ready, and cheap to clone.
///
/// [`State::with_upstream_layer`]: crate::state::State::with_upstream_layer
#[derive(Clone)]
pub struct UpstreamService(pub(crate) Arc<dyn Upstream>);

impl fmt::Debug for UpstreamService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UpstreamService")
    }
}

impl Service<UpstreamCall> for UpstreamService {
    type Response = http::Response<UpstreamBody>;
    type Error = TransportError;
    type Future = UpstreamFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: UpstreamCall) -> UpstreamFuture {
        self.0.call(call)
    }
}

/// An upstream that calls a clone of a tower service.
pub(crate) struct ServiceUpstream<S> {
    service: S,
    takes_origin_form: bool,
    speaks_openai: bool,
}

impl<S> ServiceUpstream<S> {
    /// Creates an upstream whose calls have an absolute target, and the dialect of their deployment.
    pub(crate) const fn new(service: S) -> Self {
        Self { service, takes_origin_form: false, speaks_openai: false }
    }

    /// Creates an upstream whose calls are like those of `other`.
    pub(crate) fn like(other: &dyn Upstream, service: S) -> Self {
        let (takes_origin_form, speaks_openai) = (other.takes_origin_form(), other.speaks_openai());
        Self { service, takes_origin_form, speaks_openai }
    }
}

impl<S> Upstream for ServiceUpstream<S>
where
    S: Service<UpstreamCall, Response = http::Response<UpstreamBody>, Error = TransportError>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send,
{
    fn call(&self, call: UpstreamCall) -> UpstreamFuture {
        Box::pin(self.service.clone().oneshot(call))
    }

    fn takes_origin_form(&self) -> bool {
        self.takes_origin_form
    }

    fn speaks_openai(&self) -> bool {
        self.speaks_openai
    }
}
