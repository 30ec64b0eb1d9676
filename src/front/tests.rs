//! The contract that every layer of `layers/` passes, for those of the gateway: readiness is asked of the very value
//! that is called, and lost when it is cloned.

use std::{convert::Infallible, fmt::Debug, future::Ready};

use crate::{
    Error,
    body::Body,
    config::Config,
    deployment::instrument::InstrumentLayer,
    front::{
        admin::AdminLayer,
        admission::{AdmissionControlLayer, Admitted, Call},
        auth::AuthLayer,
        handle_error::HandleErrorLayer,
        paths::{Draining, Endpoint, PathsLayer, Routed},
    },
    metrics::Metrics,
    request::{Operation, Response},
};
use bytes::Bytes;
use http_body_util::Empty;
use tollgate_layers::testing::Strict;
use tower::{Layer, Service, ServiceExt, util::ServiceFn};

type Leaf<Req, E> = ServiceFn<fn(Req) -> Ready<Result<Response, E>>>;

fn well<Req, E>(_: Req) -> Ready<Result<Response, E>> {
    std::future::ready(Ok(http::Response::new(Body::full("well")).into()))
}

/// Calls it twice on one value, and once on a clone.
async fn passes<L, Req, E>(layer: L, request: impl Fn() -> Req)
where
    L: Layer<Strict<Leaf<Req, E>>>,
    L::Service: Service<Req, Response = Response, Error: Debug> + Clone,
{
    passes_over(layer, request, well::<Req, E>).await;
}

async fn passes_over<L, Req, Inner, E>(
    layer: L,
    request: impl Fn() -> Req,
    leaf: fn(Inner) -> Ready<Result<Response, E>>,
) where
    L: Layer<Strict<Leaf<Inner, E>>>,
    L::Service: Service<Req, Response = Response, Error: Debug> + Clone,
{
    let mut service = layer.layer(Strict::new(tower::service_fn(leaf)));
    for _ in 0..2 {
        let answer = service.ready().await.unwrap().call(request()).await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.status());
    }
    let clone = service.clone();
    assert!(clone.oneshot(request()).await.unwrap().status().is_success());
}

fn chat() -> http::Request<Empty<Bytes>> {
    http::Request::post("/v1/chat/completions").body(Empty::new()).unwrap()
}

fn routed() -> Routed<Empty<Bytes>> {
    Routed { endpoint: Endpoint::Call(Operation::Chat), request: chat() }
}

fn call() -> Call<Empty<Bytes>> {
    Call { operation: Operation::Chat, request: chat() }
}

#[tokio::test]
async fn instrument_calls_only_a_service_that_is_ready() {
    passes::<_, _, Infallible>(InstrumentLayer::new(Metrics::default().gateway()), chat).await;
}

#[tokio::test]
async fn respond_calls_only_a_service_that_is_ready() {
    passes::<_, _, Error>(HandleErrorLayer, chat).await;
}

#[tokio::test]
async fn paths_calls_only_a_service_that_is_ready() {
    passes_over(PathsLayer::new(Draining::default()), chat, well::<Routed<Empty<Bytes>>, Error>).await;
}

#[tokio::test]
async fn auth_calls_only_a_service_that_is_ready() {
    passes::<_, _, Error>(AuthLayer::new(None), routed).await;
}

#[tokio::test]
async fn admission_calls_only_a_service_that_is_ready() {
    passes_over(AdmissionControlLayer::new(1), call, well::<Admitted<Empty<Bytes>>, Error>).await;
}

#[tokio::test]
async fn admin_calls_only_a_service_that_is_ready() {
    let yaml = "model_list: [{model_name: m, litellm_params: {model: openai/m, mock_response: hi}}]";
    let (config, _) = Config::from_yaml(yaml, "test.yaml", &|_| None).unwrap();
    let layer = AdminLayer::new(&config, Metrics::default());
    passes_over(layer, routed, well::<Call<Empty<Bytes>>, Error>).await;
}
