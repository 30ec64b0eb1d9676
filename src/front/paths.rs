//! The layer that routes a request by its path: [`Paths`].
//!
//! `/health/*` is served here, outside auth. Every other known path continues to the inner service with its
//! [`RouteTarget`]. Unknown paths are 404.

use std::{
    future::{Ready, ready},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use futures_util::future::Either;
use http::{Method, StatusCode};
use tower::{Layer, Service, layer::layer_fn};

use super::handle_error;
use crate::{
    Error,
    body::Body,
    request::{Operation, Response},
};

/// A request with the target that its path names.
#[derive(Debug)]
pub(crate) struct RoutedRequest<B> {
    /// The target of the request's path.
    pub target: RouteTarget,
    /// The request as the client sent it.
    pub request: http::Request<B>,
}

/// The target of a path inside auth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RouteTarget {
    /// A call of a model.
    Call(Operation),
    /// The list of models.
    Models,
    /// A model, named by the rest of the path.
    Model,
    /// The metrics.
    Metrics,
}

/// A path that is served: inside auth, or by this layer.
enum Route {
    Target(RouteTarget),
    Alive,
    Ready,
}

/// Returns the name in a path `/models/{name}`, still percent-encoded. A name may contain slashes.
pub(crate) fn model(path: &str) -> Option<&str> {
    let path = path.strip_prefix("/v1").unwrap_or(path);
    path.strip_prefix("/models/").filter(|name| !name.is_empty())
}

/// Returns the method and the route of a path, or `None` for an unknown path. Paths match exactly.
fn find(path: &str) -> Option<(&'static str, Route)> {
    use RouteTarget::{Call, Metrics, Model, Models};
    Some(match path {
        "/v1/chat/completions" | "/chat/completions" => ("POST", Route::Target(Call(Operation::Chat))),
        "/v1/completions" | "/completions" => ("POST", Route::Target(Call(Operation::Completions))),
        "/v1/embeddings" | "/embeddings" => ("POST", Route::Target(Call(Operation::Embeddings))),
        "/v1/models" | "/models" => ("GET", Route::Target(Models)),
        path if model(path).is_some() => ("GET", Route::Target(Model)),
        "/metrics" => ("GET", Route::Target(Metrics)),
        "/health/liveliness" | "/health/liveness" => ("GET", Route::Alive),
        "/health/readiness" => ("GET", Route::Ready),
        _ => return None,
    })
}

/// The shutdown state that `/health/readiness` reports to the load balancer in front of the gateway.
#[derive(Clone, Debug, Default)]
pub struct Draining(Arc<AtomicBool>);

impl Draining {
    /// Starts draining: `/health/readiness` returns 503, and requests are still served.
    pub fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Returns true if draining has begun.
    pub(crate) fn has_begun(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A service that routes requests by their paths. See the [module](self).
#[derive(Clone, Debug)]
pub(crate) struct Paths<S> {
    inner: S,
    draining: Draining,
}

impl<S> Paths<S> {
    /// Returns a layer that reports readiness until `draining` begins.
    pub(crate) fn layer(draining: Draining) -> impl Layer<S, Service = Self> {
        layer_fn(move |inner| Self { inner, draining: draining.clone() })
    }
}

impl<S, B> Service<http::Request<B>> for Paths<S>
where
    S: Service<RoutedRequest<B>, Response = Response, Error = Error>,
{
    type Response = Response;
    type Error = Error;
    type Future = Either<Ready<Result<Response, Error>>, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let Some((method, route)) = find(request.uri().path()) else {
            return Either::Left(ready(Err(Error::NoRoute)));
        };
        let sent = request.method();
        if sent.as_str() != method && !(method == "GET" && sent == Method::HEAD) {
            return Either::Left(ready(Err(Error::Method(method))));
        }
        let (status, text) = match route {
            Route::Target(target) => {
                return Either::Right(self.inner.call(RoutedRequest { target, request }));
            }
            Route::Alive => (StatusCode::OK, "\"I'm alive!\""),
            Route::Ready if self.draining.has_begun() => {
                (StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"shutting_down"}"#)
            }
            Route::Ready => (StatusCode::OK, r#"{"status":"healthy"}"#),
        };
        Either::Left(ready(Ok(handle_error::json(status, Body::full(text)))))
    }
}
