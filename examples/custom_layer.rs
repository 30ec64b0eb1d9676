//! Parts of an application's own in the gateway: a tower layer around all upstreams, and a deployment that is a stack with a
//! classifier and a strategy of its own: requests of one `prompt_cache_key` go to one of several servers.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::task::{Context, Poll};
use std::{net::SocketAddr, time::Duration};

use http::{HeaderValue, Response};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tollgate::upstream::{TransportError, UpstreamBody, UpstreamCall};
use tollgate::{Gateway, config::Config, stack, state::State};
use tollgate_http::StatusClassifier;
use tollgate_layers::balance::{RateLimitBalanceLayer, Strategy};
use tollgate_layers::endpoint::{EndpointWeight, MapScore};
use tollgate_layers::quota::{Limits, Meters, QuotaLayer};
use tollgate_layers::{BoxError, Class, Classify, Outcome, Score};
use tower::{Service, ServiceBuilder, layer::layer_fn, service_fn};

const YAML: &str = "
model_list:
  - model_name: chat
    litellm_params: {model: openai/chat, api_base: http://replicas.invalid/v1, api_key: none}
    model_info: {id: replicas}";

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

/// The strategy: the server with the lowest rank for the request's key.
fn rank(call: &UpstreamCall, server: usize) -> f64 {
    let body: serde_json::Value = serde_json::from_slice(&call.request.body().to_bytes()).unwrap_or_default();
    let key = (body["prompt_cache_key"].as_str(), server);
    BuildHasherDefault::<DefaultHasher>::default().hash_one(key) as f64 / u64::MAX as f64
}

const HOLD: Option<Duration> = Some(Duration::from_secs(30));

/// The classifier: a server that loads a model responds with 503, and is to be left alone for a time.
fn classify(result: Result<&Response<UpstreamBody>, &BoxError>) -> Outcome {
    match result {
        Ok(response) if response.status() == 503 => Outcome::new(Class::RateLimited).with_retry_after(HOLD),
        other => StatusClassifier::new().classify(other),
    }
}

/// Returns the gateway in front of these servers.
pub fn gateway(servers: Vec<SocketAddr>) -> Result<Gateway, BoxError> {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let limits = Limits { requests: Some(600), ..Limits::default() };
    let weight = EndpointWeight { rpm: Some(600.0), ..EndpointWeight::default() };
    let servers = servers.into_iter().enumerate().map(|(server, address)| {
        let client = client.clone();
        let send = service_fn(move |mut call: UpstreamCall| {
            let client = client.clone();
            async move {
                *call.request.uri_mut() = format!("http://{address}{}", call.request.uri().path()).parse()?;
                Ok(client.request(call.request).await?.map(UpstreamBody::new))
            }
        });
        let quota = QuotaLayer::new(Meters::new(limits.clone()), classify).with_weight(weight);
        let ranked = move |call: &UpstreamCall, score| Score { used: rank(call, server), ..score };
        MapScore::new(ServiceBuilder::new().layer(quota).service(send), ranked)
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
