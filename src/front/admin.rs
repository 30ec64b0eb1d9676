//! The layer that serves the lists of models, groups, deployments and paths, single models, and the operator: the metrics, the
//! status, checks of the health of deployments, and operations on them. [`Admin`] stands inside auth and outside admission control, so that an operator can read
//! the metrics of a gateway that is at its limit.

use std::{
    future::ready,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::future::Either;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use tokio::{task::spawn_blocking, time::Instant};
use tower::{Layer, Service, layer::layer_fn};

use super::{
    admission::ModelCall,
    handle_error,
    health_checks::HealthChecks,
    model_list::ModelList,
    operations,
    paths::{Draining, RouteTarget, RoutedRequest},
};
use crate::{
    Error,
    body::{Body, BoxResponseFuture},
    config::Config,
    error::OperatorError,
    group::ArcService,
    metrics::{Format, Metrics},
    request::{Client, Response},
    status::{Access, Action, Status},
};

/// The parts of the responses. All clones of the layer share them.
#[derive(Debug)]
struct Shared {
    listed: ModelList,
    checks: HealthChecks,
    metrics: Metrics,
    status: Arc<Status>,
    draining: Draining,
}

/// A service that responds to all requests that are not calls of models. See the [module](self).
#[derive(Clone, Debug)]
pub(crate) struct Admin<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> Admin<S> {
    /// Returns a layer that lists the groups and the visible aliases of this configuration, shows `metrics` and `status`, and
    /// checks the health of deployments by calls of `tree`.
    pub(crate) fn layer(
        (config, tree): (&Config, ArcService),
        metrics: Metrics,
        (status, draining): (Arc<Status>, Draining),
    ) -> impl Layer<S, Service = Self> {
        let (listed, checks) = (ModelList::new(config), HealthChecks::new(tree));
        let shared = Arc::new(Shared { listed, checks, metrics, status, draining });
        layer_fn(move |inner| Self { inner, shared: Arc::clone(&shared) })
    }
}

impl Shared {
    /// Returns one model as JSON.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownModel`] if the list does not contain the model.
    fn model(&self, name: Arc<str>, client: Option<&Client>) -> Result<Bytes, Error> {
        self.listed.model(&name, client).map(Bytes::from).ok_or(Error::UnknownModel(name))
    }

    /// Applies an operation of an operator to a deployment, and returns its new state as JSON.
    ///
    /// # Errors
    ///
    /// [`Error::Operator`] if the operation is refused.
    fn operate<B>(&self, action: Action, id: &str, request: &http::Request<B>) -> Result<Bytes, Error> {
        if is_cross_site(request.headers()) {
            return Err(Error::Operator(OperatorError::CrossSite));
        }
        self.status.operate(action, id, request.uri().query()).map(Bytes::from).map_err(Error::Operator)
    }

    /// Renders the metrics.
    fn metrics(&self, format: Format) -> Rendered {
        (HeaderValue::from_static(format.content_type()), self.metrics.render(format).into_bytes())
    }

    /// Renders the status.
    fn status(&self, access: Access) -> Rendered {
        const JSON: HeaderValue = HeaderValue::from_static("application/json");
        (JSON, self.status.render(access, self.draining.has_begun()))
    }

    /// Renders outside of the workers: the metrics and the status of 10,000 deployments take a while.
    fn render(
        self: &Arc<Self>,
        render: impl FnOnce(&Self) -> Rendered + Send + 'static,
    ) -> BoxResponseFuture {
        let shared = Arc::clone(self);
        Box::pin(async move {
            let Ok((content_type, text)) = spawn_blocking(move || render(&shared)).await else {
                return Ok(handle_error::json(StatusCode::INTERNAL_SERVER_ERROR, Body::empty()));
            };
            let mut response = handle_error::json(StatusCode::OK, Body::full(text));
            response.headers_mut().insert(header::CONTENT_TYPE, content_type);
            Ok(uncached(response))
        })
    }

    /// Checks the health of the deployments that the query names.
    fn check(self: &Arc<Self>, query: Option<&str>) -> BoxResponseFuture {
        let (shared, query) = (Arc::clone(self), query.map(str::to_owned));
        Box::pin(async move {
            let (status, report) = shared.checks.run(shared.listed.all(), query.as_deref()).await;
            Ok(uncached(handle_error::json(status, Body::full(report))))
        })
    }
}

/// Marks values of this moment, which are not for other readers.
fn uncached(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Returns true if a browser sends the request for a page of another site. Without a master key such a page could
/// otherwise operate the deployments of a gateway that only this machine reaches.
fn is_cross_site(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    site.is_some_and(|site| ![&b"same-origin"[..], b"none"].contains(&site))
}

/// A content type and a text.
type Rendered = (HeaderValue, Vec<u8>);

impl<S, B> Service<RoutedRequest<B>> for Admin<S>
where
    S: Service<ModelCall<B>, Response = Response, Error = Error>,
{
    type Response = Response;
    type Error = Error;
    type Future = Either<BoxResponseFuture, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, routed: RoutedRequest<B>) -> Self::Future {
        let RoutedRequest { target, model, client, request } = routed;
        let (shared, key) = (&self.shared, client.as_deref());
        let query = request.uri().query();
        if target.is_for_operators() && key.is_some() {
            return Either::Left(Box::pin(ready(Err(Error::MasterKeyOnly))));
        }
        let json = match target {
            RouteTarget::Call(operation) => {
                let arrival = Instant::now();
                let call = ModelCall { operation, model, client, arrival, request };
                return Either::Right(self.inner.call(call));
            }
            RouteTarget::Metrics => {
                let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
                let format = accept.map(Format::accepted).unwrap_or_default();
                return Either::Left(shared.render(move |shared| shared.metrics(format)));
            }
            RouteTarget::Status(access) => {
                return Either::Left(shared.render(move |shared| shared.status(access)));
            }
            RouteTarget::Health => return Either::Left(shared.check(query)),
            RouteTarget::Operate(action) => shared.operate(action, &model.unwrap_or_default(), &request),
            RouteTarget::Model => shared.model(model.unwrap_or_default(), key),
            RouteTarget::Access(access) => Ok(Access::json(access.filter(|_| key.is_none())).into()),
            RouteTarget::Models => Ok(shared.listed.models(key)),
            RouteTarget::ModelInfo => Ok(shared.listed.deployments().into()),
            RouteTarget::ModelGroupInfo => Ok(shared.listed.groups(key).into()),
            RouteTarget::Routes => Ok(operations::routes().into()),
        };
        let response = json.map(|json| handle_error::json(StatusCode::OK, Body::full(json)));
        Either::Left(Box::pin(ready(response)))
    }
}
