//! The layer that routes a request by its path: [`Paths`].
//!
//! `/health/*` and the files of the status page are served here, outside auth. Every other path of the
//! [table](super::operations) continues to the inner service with its [`RouteTarget`]. Unknown paths are 404.

use std::{
    convert::Infallible,
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

use super::{handle_error, operations, rejections::Rejections};
use crate::{
    Error,
    body::Body,
    dialect::ClientDialect,
    request::{Client, Operation, Response},
    status::{
        Access, Action,
        page::{self, File},
    },
};

/// A request with the target that its path names.
#[derive(Debug)]
pub(crate) struct RoutedRequest<B> {
    /// The target of the request's path.
    pub target: RouteTarget,
    /// The model, the deployment or the response that the path names.
    pub model: Option<Arc<str>>,
    /// The client, which Auth sets if the request has a key other than the master key.
    pub client: Option<Arc<Client>>,
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
    /// A model, which the path names.
    Model,
    /// The deployments, with what is known about their models.
    ModelInfo,
    /// The groups, with what is known about their models.
    ModelGroupInfo,
    /// The paths that are served.
    Routes,
    /// Checks of the health of deployments.
    Health,
    /// The metrics.
    Metrics,
    /// The data of the status page.
    Status(Access),
    /// The access of the caller's key to the status page. `None` if it has none.
    Access(Option<Access>),
    /// An operation on a deployment, which the path names.
    Operate(Action),
}

impl RouteTarget {
    /// Returns true if no key of a client may use it.
    pub(super) const fn is_for_operators(self) -> bool {
        match self {
            Self::Metrics | Self::ModelInfo | Self::Health | Self::Status(_) | Self::Operate(_) => true,
            Self::Call(_)
            | Self::Models
            | Self::Model
            | Self::ModelGroupInfo
            | Self::Routes
            | Self::Access(_) => false,
        }
    }

    /// Returns the dialect of the errors.
    pub(super) const fn dialect(self) -> ClientDialect {
        match self {
            Self::Call(operation) => operation.dialect(),
            _ => ClientDialect::Chat,
        }
    }
}

/// The destination of a path: inside auth, or this layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// A target inside auth.
    Target(RouteTarget),
    /// The liveness of the process.
    Alive,
    /// The readiness of the process.
    Ready,
    /// A file of the status page.
    File(File),
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
    rejections: Rejections,
}

impl<S> Paths<S> {
    /// Returns a layer that reports readiness until `draining` begins, and unknown paths to `rejections`.
    pub(crate) fn layer(draining: Draining, rejections: Rejections) -> impl Layer<S, Service = Self> {
        layer_fn(move |inner| Self { inner, draining: draining.clone(), rejections: rejections.clone() })
    }

    fn reject<B>(&self, error: &Error, dialect: ClientDialect, request: &http::Request<B>) -> Response {
        self.rejections.record(error, request);
        handle_error::error_response(error, dialect)
    }

    /// Returns the response at a path that is not in the table: the status page, for a browser at the root.
    fn other<B>(&self, request: &http::Request<B>) -> Response {
        let path = request.uri().path();
        let reads = [Method::GET, Method::HEAD].contains(request.method());
        if path == "/" && reads && page::accepts_html(request.headers()) {
            return File::Page.response();
        }
        self.reject(&no_route(path), ClientDialect::Chat, request)
    }

    fn ready(&self) -> (StatusCode, &'static str) {
        if self.draining.has_begun() {
            return (StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"shutting_down"}"#);
        }
        (StatusCode::OK, r#"{"status":"healthy"}"#)
    }
}

/// Returns the error of a path that is not served.
fn no_route(path: &str) -> Error {
    let served = operations::help(path).into();
    let path: String = path.chars().take(200).collect();
    Error::NoRoute { path: path.into(), served }
}

impl<S, B> Service<http::Request<B>> for Paths<S>
where
    S: Service<RoutedRequest<B>, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Either<Ready<Result<Response, Infallible>>, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let path = request.uri().path();
        let Some((row, model)) = operations::find(path, request.method()) else {
            return Either::Left(ready(Ok(self.other(&request))));
        };
        if !row.accepts(request.method()) {
            let dialect = match row.route {
                Route::Target(target) => target.dialect(),
                _ => ClientDialect::Chat,
            };
            return Either::Left(ready(Ok(self.reject(&Error::Method(row.methods()), dialect, &request))));
        }
        let (status, text) = match row.route {
            Route::Target(target) => {
                return Either::Right(self.inner.call(RoutedRequest {
                    target,
                    model,
                    client: None,
                    request,
                }));
            }
            Route::Alive => (StatusCode::OK, "\"I'm alive!\""),
            Route::Ready => self.ready(),
            Route::File(file) => return Either::Left(ready(Ok(file.response()))),
        };
        Either::Left(ready(Ok(handle_error::json(status, Body::full(text)))))
    }
}
