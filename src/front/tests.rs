//! Tests of tower's readiness contract for the layers of `front`: each calls only the value that was polled ready, as a
//! clone is not ready.

use std::{convert::Infallible, fmt::Debug, future::Ready};

use crate::{
    Error,
    body::Body,
    config::Config,
    front::{
        admin::Admin,
        admission::{AdmissionControl, AdmittedCall, ModelCall},
        auth::Auth,
        handle_error::{HandleError, ToResponse},
        paths::{Draining, Paths, RouteTarget, RoutedRequest},
        rejections::Rejections,
    },
    group::{ArcService, instrument::Instrument},
    metrics::Metrics,
    request::{Operation, Request, Response},
    state::State,
};
use bytes::Bytes;
use http_body_util::Empty;
use tokio::time::Instant;
use tollgate_layers::testing::Strict;
use tower::{Layer, Service, ServiceExt, util::ServiceFn};

type Leaf<Req, E> = ServiceFn<fn(Req) -> Ready<Result<Response, E>>>;

fn success<Req, E>(_: Req) -> Ready<Result<Response, E>> {
    std::future::ready(Ok(http::Response::new(Body::full("success")).into()))
}

/// Calls the service twice on one value, and once on a clone.
async fn passes<L, Req, E>(layer: L, request: impl Fn() -> Req)
where
    L: Layer<Strict<Leaf<Req, E>>>,
    L::Service: Service<Req, Response = Response, Error: Debug> + Clone,
{
    passes_over(layer, request, success::<Req, E>).await;
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
        let response = service.ready().await.unwrap().call(request()).await.unwrap();
        assert!(response.status().is_success(), "{}", response.status());
    }
    let clone = service.clone();
    assert!(clone.oneshot(request()).await.unwrap().status().is_success());
}

fn chat() -> http::Request<Empty<Bytes>> {
    http::Request::post("/v1/chat/completions").body(Empty::new()).unwrap()
}

fn routed() -> RoutedRequest<Empty<Bytes>> {
    RoutedRequest { target: RouteTarget::Call(Operation::Chat), model: None, client: None, request: chat() }
}

fn call() -> ModelCall<Empty<Bytes>> {
    ModelCall {
        operation: Operation::Chat,
        model: None,
        client: None,
        arrival: Instant::now(),
        request: chat(),
    }
}

#[tokio::test]
async fn instrument_calls_only_a_service_that_is_ready() {
    passes::<_, _, Infallible>(Instrument::layer(Metrics::default().gateway()), call).await;
}

#[tokio::test]
async fn handle_error_calls_only_a_service_that_is_ready() {
    passes::<_, _, Error>(HandleError::layer(ToResponse), routed).await;
}

#[tokio::test]
async fn paths_calls_only_a_service_that_is_ready() {
    passes_over(
        Paths::layer(Draining::default(), Rejections::default()),
        chat,
        success::<RoutedRequest<Empty<Bytes>>, Infallible>,
    )
    .await;
}

#[tokio::test]
async fn auth_calls_only_a_service_that_is_ready() {
    passes::<_, _, Error>(Auth::layer(None, Rejections::default()), routed).await;
}

#[tokio::test]
async fn admission_calls_only_a_service_that_is_ready() {
    passes_over(AdmissionControl::layer(1), call, success::<AdmittedCall<Empty<Bytes>>, Error>).await;
}

/// Returns a tree that always succeeds.
fn tree() -> ArcService {
    ArcService::layer().layer(tower::service_fn(success::<Request, Error>))
}

#[tokio::test]
async fn admin_calls_only_a_service_that_is_ready() {
    let yaml = "model_list: [{model_name: m, litellm_params: {model: openai/m, mock_response: hi}}]";
    let (config, _) = Config::from_yaml(yaml, "test.yaml", &|_| None).unwrap();
    let status = State::new().unwrap().status(&config, &[]);
    let layer = Admin::layer((&config, tree()), Metrics::default(), (status, Draining::default()));
    passes_over(layer, routed, success::<ModelCall<Empty<Bytes>>, Error>).await;
}

#[tokio::test]
async fn the_metrics_are_written_outside_of_the_workers() {
    let (config, _) = Config::from_yaml("model_list: []", "test.yaml", &|_| None).unwrap();
    let inner = tower::service_fn(success::<ModelCall<Empty<Bytes>>, Error>);
    let status = State::new().unwrap().status(&config, &[]);
    let mut admin =
        Admin::layer((&config, tree()), Metrics::default(), (status, Draining::default())).layer(inner);
    let metrics = RoutedRequest { target: RouteTarget::Metrics, ..routed() };
    let mut response = tokio_test::task::spawn(admin.ready().await.unwrap().call(metrics));
    // The poll of the worker has not written them: on a runtime of one thread nothing else has run yet.
    tokio_test::assert_pending!(response.poll());
    assert!(response.await.unwrap().status().is_success());
}
