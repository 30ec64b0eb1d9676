//! The layer that serves the lists of models and of deployments, single models, and the operator: the metrics, the status,
//! and operations on deployments. [`Admin`] stands inside auth and outside admission control, so that an operator can read
//! the metrics of a gateway that is at its limit.

use std::{
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::{
    FutureExt,
    future::{Either, Map},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use tokio::{
    task::{JoinError, JoinHandle, spawn_blocking},
    time::Instant,
};
use tower::{Layer, Service, layer::layer_fn};

use super::{
    admission::ModelCall,
    handle_error,
    model_list::ModelList,
    paths::{Draining, RouteTarget, RoutedRequest},
};
use crate::{
    Error,
    body::Body,
    config::Config,
    error::OperatorError,
    metrics::{Format, Metrics},
    request::{Client, Response},
    status::{Access, Action, Status},
};

/// The parts of the responses. All clones of the layer share them.
#[derive(Debug)]
struct Shared {
    listed: ModelList,
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
    /// Returns a layer that lists the groups and the visible aliases of this configuration, and shows `metrics` and
    /// `status`.
    pub(crate) fn layer(
        config: &Config,
        metrics: Metrics,
        (status, draining): (Arc<Status>, Draining),
    ) -> impl Layer<S, Service = Self> {
        let listed = ModelList::new(config);
        let shared = Arc::new(Shared { listed, metrics, status, draining });
        layer_fn(move |inner| Self { inner, shared: Arc::clone(&shared) })
    }
}

impl Shared {
    /// Returns the response for one model.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownModel`] if the list does not contain the model.
    fn model(&self, name: Arc<str>, client: Option<&Client>) -> Result<Response, Error> {
        match self.listed.model(&name, client) {
            Some(model) => Ok(handle_error::json(StatusCode::OK, Body::full(model))),
            None => Err(Error::UnknownModel(name)),
        }
    }

    /// Applies an operation of an operator to a deployment.
    ///
    /// # Errors
    ///
    /// [`Error::Operator`] if the operation is refused.
    fn operate<B>(&self, action: Action, id: &str, request: &http::Request<B>) -> Result<Response, Error> {
        if is_cross_site(request.headers()) {
            return Err(Error::Operator(OperatorError::CrossSite));
        }
        let changed = self.status.operate(action, id, request.uri().query()).map_err(Error::Operator)?;
        Ok(handle_error::json(StatusCode::OK, Body::full(changed)))
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
}

/// Returns true if a browser sends the request for a page of another site. Without a master key such a page could
/// otherwise operate the deployments of a gateway that only this machine reaches.
fn is_cross_site(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    site.is_some_and(|site| ![&b"same-origin"[..], b"none"].contains(&site))
}

/// A content type and a text.
type Rendered = (HeaderValue, Vec<u8>);

/// The future of a response that is rendered outside of the workers.
type RenderFuture = Map<JoinHandle<Rendered>, fn(Result<Rendered, JoinError>) -> Result<Response, Error>>;

/// Renders outside of the workers: the metrics and the status of 10,000 deployments take a while.
fn render(shared: &Arc<Shared>, render: impl FnOnce(&Shared) -> Rendered + Send + 'static) -> RenderFuture {
    let shared = Arc::clone(shared);
    spawn_blocking(move || render(&shared)).map(rendered_response as fn(_) -> _)
}

fn rendered_response(rendered: Result<Rendered, JoinError>) -> Result<Response, Error> {
    let Ok((content_type, text)) = rendered else {
        return Ok(handle_error::json(StatusCode::INTERNAL_SERVER_ERROR, Body::empty()));
    };
    let mut response = handle_error::json(StatusCode::OK, Body::full(text));
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    // Values of this moment, and not for other readers.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

impl<S, B> Service<RoutedRequest<B>> for Admin<S>
where
    S: Service<ModelCall<B>, Response = Response, Error = Error>,
{
    type Response = Response;
    type Error = Error;
    type Future = Either<Either<Ready<Result<Response, Error>>, RenderFuture>, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, routed: RoutedRequest<B>) -> Self::Future {
        let RoutedRequest { target, model, client, request } = routed;
        let key = client.as_deref();
        let response = match target {
            RouteTarget::Call(operation) => {
                let arrival = Instant::now();
                let call = ModelCall { operation, model, client, arrival, request };
                return Either::Right(self.inner.call(call));
            }
            RouteTarget::Access(access) => {
                let access = access.filter(|_| key.is_none());
                Ok(handle_error::json(StatusCode::OK, Body::full(Access::json(access))))
            }
            RouteTarget::Metrics
            | RouteTarget::ModelInfo
            | RouteTarget::Status(_)
            | RouteTarget::Operate(_)
                if key.is_some() =>
            {
                Err(Error::MasterKeyOnly)
            }
            RouteTarget::Metrics => {
                let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
                let format = accept.map(Format::accepted).unwrap_or_default();
                let metrics = move |shared: &Shared| shared.metrics(format);
                return Either::Left(Either::Right(render(&self.shared, metrics)));
            }
            RouteTarget::Status(access) => {
                let status = move |shared: &Shared| shared.status(access);
                return Either::Left(Either::Right(render(&self.shared, status)));
            }
            RouteTarget::Operate(action) => self.shared.operate(action, &model.unwrap_or_default(), &request),
            RouteTarget::Model => self.shared.model(model.unwrap_or_default(), key),
            RouteTarget::Models => {
                Ok(handle_error::json(StatusCode::OK, Body::full(self.shared.listed.models(key))))
            }
            RouteTarget::ModelInfo => {
                Ok(handle_error::json(StatusCode::OK, Body::full(self.shared.listed.deployments())))
            }
        };
        Either::Left(Either::Left(ready(response)))
    }
}
