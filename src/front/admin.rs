//! The layer that serves the lists of models and of deployments, single models and the metrics: [`Admin`].
//!
//! The layer stands inside auth and outside admission control, so that an operator can read the metrics of a gateway that is
//! at its limit.

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
    paths::{RouteTarget, RoutedRequest},
};
use crate::{
    Error,
    body::Body,
    config::Config,
    metrics::{Format, Metrics},
    request::{Client, Response},
};

/// A service that responds to requests for the model list, for a model and for the metrics. See the [module](self).
#[derive(Clone, Debug)]
pub(crate) struct Admin<S> {
    inner: S,
    listed: Arc<ModelList>,
    metrics: Metrics,
}

impl<S> Admin<S> {
    /// Returns a layer that lists the groups and the visible aliases of this configuration.
    pub(crate) fn layer(config: &Config, metrics: Metrics) -> impl Layer<S, Service = Self> {
        let listed = Arc::new(ModelList::new(config));
        layer_fn(move |inner| Self { inner, listed: Arc::clone(&listed), metrics: metrics.clone() })
    }

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

    /// Renders the metrics outside of the workers: those of 10,000 deployments take a while.
    fn metrics(&self, headers: &HeaderMap) -> MetricsFuture {
        let metrics = self.metrics.clone();
        let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
        let format = accept.map(Format::accepted).unwrap_or_default();
        spawn_blocking(move || (format, metrics.render(format))).map(metrics_response as fn(_) -> _)
    }
}

/// The metrics as text, and the format of the text.
type MetricsText = (Format, String);

/// The future of a response with the metrics.
type MetricsFuture =
    Map<JoinHandle<MetricsText>, fn(Result<MetricsText, JoinError>) -> Result<Response, Error>>;

fn metrics_response(rendered: Result<MetricsText, JoinError>) -> Result<Response, Error> {
    let Ok((format, text)) = rendered else {
        return Ok(handle_error::json(StatusCode::INTERNAL_SERVER_ERROR, Body::empty()));
    };
    let mut response = handle_error::json(StatusCode::OK, Body::full(text));
    let content_type = HeaderValue::from_static(format.content_type());
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    Ok(response)
}

impl<S, B> Service<RoutedRequest<B>> for Admin<S>
where
    S: Service<ModelCall<B>, Response = Response, Error = Error>,
{
    type Response = Response;
    type Error = Error;
    type Future = Either<Either<Ready<Result<Response, Error>>, MetricsFuture>, S::Future>;

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
            RouteTarget::Metrics | RouteTarget::ModelInfo if key.is_some() => Err(Error::MasterKeyOnly),
            RouteTarget::Metrics => return Either::Left(Either::Right(self.metrics(request.headers()))),
            RouteTarget::Model => self.model(model.unwrap_or_default(), key),
            RouteTarget::Models => {
                Ok(handle_error::json(StatusCode::OK, Body::full(self.listed.models(key))))
            }
            RouteTarget::ModelInfo => {
                Ok(handle_error::json(StatusCode::OK, Body::full(self.listed.deployments())))
            }
        };
        Either::Left(Either::Left(ready(response)))
    }
}
