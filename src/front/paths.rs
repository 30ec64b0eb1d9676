//! Which path leads where: [`Paths`]. `/health/*` answers here, before auth; all else that is known goes on with the
//! [`Endpoint`] that was found, the same one that auth judges; the rest is 404.

use std::{
    future::{Ready, ready},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::future::Either;
use http::{Method, StatusCode};
use tower::{Layer, Service};

use super::handle_error;
use crate::{
    Error,
    body::Body,
    request::{Operation, Response},
};

/// A request with the endpoint that its path names.
#[derive(Debug)]
pub(crate) struct Routed<B> {
    /// What is asked for.
    pub endpoint: Endpoint,
    /// The request as it came.
    pub request: http::Request<B>,
}

/// What a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// A call of a model.
    Call(Operation),
    /// The list of models.
    Models,
    /// One of them, whose name is the rest of the path.
    Model,
    /// The counters.
    Metrics,
}

enum Found {
    Endpoint(Endpoint),
    Alive,
    Ready,
}

/// The name in the path of one model, as it is written there: it may have slashes in it.
pub(crate) fn model(path: &str) -> Option<&str> {
    let path = path.strip_prefix("/v1").unwrap_or(path);
    path.strip_prefix("/models/").filter(|name| !name.is_empty())
}

/// The paths that are served, whole and exact: what is not listed does not exist.
fn find(path: &str) -> Option<(&'static str, Found)> {
    use Endpoint::{Call, Metrics, Model, Models};
    Some(match path {
        "/v1/chat/completions" | "/chat/completions" => ("POST", Found::Endpoint(Call(Operation::Chat))),
        "/v1/completions" | "/completions" => ("POST", Found::Endpoint(Call(Operation::Completions))),
        "/v1/embeddings" | "/embeddings" => ("POST", Found::Endpoint(Call(Operation::Embeddings))),
        "/v1/models" | "/models" => ("GET", Found::Endpoint(Models)),
        path if model(path).is_some() => ("GET", Found::Endpoint(Model)),
        "/metrics" => ("GET", Found::Endpoint(Metrics)),
        "/health/liveliness" | "/health/liveness" => ("GET", Found::Alive),
        "/health/readiness" => ("GET", Found::Ready),
        _ => return None,
    })
}

/// Whether the process is about to go: readiness says so to whoever balances over gateways.
#[derive(Clone, Debug, Default)]
pub struct Draining(Arc<AtomicBool>);

impl Draining {
    /// From now on readiness is refused; requests are still served.
    pub fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The layer of [`Paths`].
#[derive(Clone, Debug)]
pub(crate) struct PathsLayer {
    draining: Draining,
}

impl PathsLayer {
    /// Readiness ends with `draining`.
    pub(crate) const fn new(draining: Draining) -> Self {
        Self { draining }
    }
}

impl<S> Layer<S> for PathsLayer {
    type Service = Paths<S>;

    fn layer(&self, inner: S) -> Paths<S> {
        Paths { inner, draining: self.draining.clone() }
    }
}

/// See the [module](self).
#[derive(Clone, Debug)]
pub(crate) struct Paths<S> {
    inner: S,
    draining: Draining,
}

impl<S, B> Service<http::Request<B>> for Paths<S>
where
    S: Service<Routed<B>, Response = Response, Error = Error>,
{
    type Response = Response;
    type Error = Error;
    type Future = Either<Ready<Result<Response, Error>>, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let Some((method, found)) = find(request.uri().path()) else {
            return Either::Left(ready(Err(Error::NoRoute)));
        };
        let asked = request.method();
        if asked.as_str() != method && !(method == "GET" && asked == Method::HEAD) {
            return Either::Left(ready(Err(Error::Method(method))));
        }
        match found {
            Found::Endpoint(endpoint) => Either::Right(self.inner.call(Routed { endpoint, request })),
            Found::Alive => Either::Left(ready(Ok(said(StatusCode::OK, "\"I'm alive!\"")))),
            Found::Ready if self.draining.has_begun() => {
                let text = r#"{"status":"shutting_down"}"#;
                Either::Left(ready(Ok(said(StatusCode::SERVICE_UNAVAILABLE, text))))
            }
            Found::Ready => Either::Left(ready(Ok(said(StatusCode::OK, r#"{"status":"healthy"}"#)))),
        }
    }
}

fn said(status: StatusCode, text: &'static str) -> Response {
    handle_error::json(status, Body::full(Bytes::from_static(text.as_bytes())))
}
