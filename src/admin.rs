//! What is answered without a model: the list of models, and the counters. [`Admin`] stands behind auth.

use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use tower::{Layer, Service};

use crate::{
    Error,
    body::Body,
    config::Config,
    front::{Admitted, Call, Settled},
    metrics::Metrics,
    paths::Endpoint,
    request::Response,
    respond,
};

/// The layer of [`Admin`].
#[derive(Clone, Debug)]
pub struct AdminLayer {
    models: Bytes,
    metrics: Metrics,
}

#[derive(Serialize)]
struct Models<'a> {
    data: Vec<Model<'a>>,
    object: &'static str,
}

#[derive(Serialize)]
struct Model<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    owned_by: &'static str,
}

impl AdminLayer {
    /// Lists the groups and the visible aliases of this configuration.
    #[must_use]
    pub fn new(config: &Config, metrics: Metrics) -> Self {
        // LiteLLM's constants: nobody knows when a group was made.
        let model = |id| Model { id, object: "model", created: 1_677_610_602, owned_by: "openai" };
        let data = config.shown().map(|name| model(name)).collect();
        let models = serde_json::to_vec(&Models { data, object: "list" }).unwrap_or_default();
        Self { models: models.into(), metrics }
    }
}

impl<S> Layer<S> for AdminLayer {
    type Service = Admin<S>;

    fn layer(&self, inner: S) -> Admin<S> {
        Admin { inner, models: self.models.clone(), metrics: self.metrics.clone() }
    }
}

/// See the [module](self).
#[derive(Clone, Debug)]
pub struct Admin<S> {
    inner: S,
    models: Bytes,
    metrics: Metrics,
}

impl<S> Admin<S> {
    fn counters(&self) -> Response {
        let Ok(text) = self.metrics.render() else {
            return respond::json(StatusCode::INTERNAL_SERVER_ERROR, Body::empty());
        };
        let mut response = respond::json(StatusCode::OK, Body::full(text));
        // OpenMetrics' own media type: Prometheus reads it since 2.5.
        const TEXT: HeaderValue =
            HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, TEXT);
        response
    }
}

impl<S, B> Service<Admitted<B>> for Admin<S>
where
    S: Service<Call<B>, Response = Response, Error = Error>,
{
    type Response = Response;
    type Error = Error;
    type Future = Settled<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, admitted: Admitted<B>) -> Self::Future {
        let Admitted { routed, permit } = admitted;
        match routed.endpoint {
            Endpoint::Call(route) => {
                Settled::later(self.inner.call(Call { route, request: routed.request, permit }))
            }
            Endpoint::Models => {
                let body = Body::full(self.models.clone());
                Settled::now(Ok(respond::json(StatusCode::OK, body)))
            }
            Endpoint::Metrics => Settled::now(Ok(self.counters())),
        }
    }
}
