//! Parts of an application's own in the gateway: a tower layer around all upstreams, and a deployment that is a stack with a
//! classifier and a balancing strategy of its own.
//!
//! The deployment has several servers. The requests of a `prompt_cache_key` go to one of them, which has the beginning of the
//! prompt in its cache, and to the next one while it has no capacity.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::task::{Context, Poll};
use std::{net::SocketAddr, sync::Weak, time::Duration};

use http::{HeaderValue, Response};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::time::Instant;
use tollgate::upstream::{TransportError, UpstreamBody, UpstreamCall};
use tollgate::{Gateway, config::Config, stack, state::State};
use tollgate_http::StatusClassifier;
use tollgate_layers::balance::{RateLimitBalanceLayer, Strategy};
use tollgate_layers::endpoint::{CapacityListener, EndpointWeight, Horizon};
use tollgate_layers::quota::{Limits, Meters, QuotaLayer};
use tollgate_layers::{BoxError, Class, Classify, Endpoint, NoCapacity, Outcome, Score};
use tower::{Service, ServiceBuilder, layer::layer_fn, service_fn};

const YAML: &str = "
model_list:
  - model_name: chat
    litellm_params: {model: openai/chat, api_base: http://replicas.invalid/v1, api_key: none}
    model_info: {id: replicas}
";

/// The layer: adds the key by which the servers recognise the gateway.
#[derive(Clone)]
pub struct AddKey<S>(S);

impl<S: Service<UpstreamCall>> Service<UpstreamCall> for AddKey<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut call: UpstreamCall) -> S::Future {
        call.request.headers_mut().insert("x-gateway", HeaderValue::from_static("example"));
        self.0.call(call)
    }
}

/// The strategy: an endpoint whose usage is its rank for the request's key, for [`Strategy::UsageBased`].
#[derive(Clone)]
struct Ranked<S>(usize, S);

impl<S: Service<UpstreamCall>> Service<UpstreamCall> for Ranked<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.1.poll_ready(cx)
    }

    fn call(&mut self, call: UpstreamCall) -> S::Future {
        self.1.call(call)
    }
}

impl<S: Endpoint<UpstreamCall>> Endpoint<UpstreamCall> for Ranked<S> {
    fn score(&self, call: &UpstreamCall, now: Instant) -> Result<Score, NoCapacity> {
        let body: serde_json::Value =
            serde_json::from_slice(&call.request.body().to_bytes()).unwrap_or_default();
        let hash = BuildHasherDefault::<DefaultHasher>::default()
            .hash_one((body["prompt_cache_key"].as_str(), self.0));
        Ok(Score { used: hash as f64 / u64::MAX as f64, ..self.1.score(call, now)? })
    }

    fn reserve(&mut self, call: &UpstreamCall, seen: &Score, now: Instant) -> Result<(), NoCapacity> {
        self.1.reserve(call, seen, now)
    }

    fn weight(&self) -> EndpointWeight {
        // The usage counts only for an endpoint with a limit.
        EndpointWeight { rpm: Some(600.0), ..self.1.weight() }
    }

    fn slots(&self, call: &UpstreamCall, horizon: Horizon) -> u64 {
        self.1.slots(call, horizon)
    }

    fn subscribe(&self, listener: &Weak<dyn CapacityListener>) {
        self.1.subscribe(listener);
    }
}

/// The classifier: a server that loads a model responds with 503, and is to be left alone for a time.
fn classify(result: Result<&Response<UpstreamBody>, &BoxError>) -> Outcome {
    match result {
        Ok(response) if response.status() == 503 => {
            Outcome::new(Class::RateLimited).with_retry_after(Some(Duration::from_secs(30)))
        }
        other => StatusClassifier::new().classify(other),
    }
}

/// Returns the gateway in front of these servers.
pub fn gateway(servers: Vec<SocketAddr>) -> Result<Gateway, BoxError> {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let servers = servers.into_iter().enumerate().map(|(index, address)| {
        let (client, limits) = (client.clone(), Limits { requests: Some(600), ..Limits::default() });
        let send = service_fn(move |mut call: UpstreamCall| {
            let client = client.clone();
            async move {
                *call.request.uri_mut() = format!("http://{address}{}", call.request.uri().path()).parse()?;
                Ok(client.request(call.request).await?.map(UpstreamBody::new))
            }
        });
        Ranked(
            index,
            ServiceBuilder::new().layer(QuotaLayer::new(Meters::new(limits), classify)).service(send),
        )
    });
    let replicas = ServiceBuilder::new()
        .map_err(|error: BoxError| TransportError {
            sent: true,
            timed_out: false,
            evidence: true,
            stale: false,
            what: error.to_string().into(),
        })
        .layer(RateLimitBalanceLayer::new(Strategy::UsageBased, classify))
        .service(servers.collect::<Vec<_>>());
    let (config, _) = Config::from_yaml(YAML, "examples/custom_layer.rs", &|_| None)?;
    let state = State::new()?.with_upstream("replicas", replicas).with_upstream_layer(layer_fn(AddKey));
    Ok(stack::gateway(&config, &state, stack::Options::default())?)
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let servers = [8001, 8002, 8003].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let application = axum::Router::new().fallback_service(gateway(servers.into())?);
    Ok(axum::serve(tokio::net::TcpListener::bind("127.0.0.1:8000").await?, application).await?)
}
