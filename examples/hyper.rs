//! A proxy on port 8000: one HTTP server of two equal ones on 8001 and 8002, and of a larger one on 8003 for requests that
//! the two reject as too large, or fail.
//!
//! All the layers are around hyper's client. Bodies of responses stream through, and a slot is taken until their end.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{client::legacy::Client, rt::TokioExecutor, rt::TokioIo};
use tokio::net::TcpListener;
use tollgate_http::{BodyOutcome, StatusClassifier, TrackBody, TrackBodyLayer};
use tollgate_layers::{
    BoxError, Class,
    balance::{RateLimitBalanceLayer, Strategy},
    context_window::ContextWindowFallbackLayer,
    cooldown::{CooldownConfig, CooldownLayer, EndpointHealth},
    fallback::FallbackLayer,
    quota::{Limits, Meters, QuotaLayer},
    retry::{Budget, RetryLayer},
    timeout::TimeoutLayer,
};
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};

/// A request that can be repeated.
type Call = Request<Full<Bytes>>;

/// Returns one service of the equal servers, which falls back to the larger.
fn proxy(
    equal: Vec<SocketAddr>,
    larger: SocketAddr,
) -> impl Service<Call, Response = Response<TrackBody<Incoming>>, Error = BoxError, Future: Send> + Clone + Send
{
    let classifier = StatusClassifier::new().with_exceptions(|status| match status {
        // By default it is an error of the caller, for which no other server is called.
        StatusCode::PAYLOAD_TOO_LARGE => Some(Class::ContextWindow),
        _ => None,
    });
    let client = Client::builder(TokioExecutor::new()).build_http();
    let server = |address: SocketAddr| {
        let client = client.clone();
        let health = EndpointHealth::new(CooldownConfig::default());
        let meters = Meters::new(Limits { in_flight: Some(64), ..Limits::default() });
        ServiceBuilder::new()
            .layer(CooldownLayer::new(health, BodyOutcome).with_tracking(BodyOutcome))
            .layer(QuotaLayer::new(meters, BodyOutcome).with_tracking(BodyOutcome))
            .layer(TimeoutLayer::new(Duration::from_secs(5)))
            .layer(TrackBodyLayer::new(classifier))
            .service(service_fn(move |mut request: Call| {
                let client = client.clone();
                async move {
                    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
                    *request.uri_mut() = format!("http://{address}{path}").parse()?;
                    client.request(request).await.map_err(BoxError::from)
                }
            }))
    };
    let group = |servers| {
        ServiceBuilder::new()
            .layer(RetryLayer::new(1u32, BodyOutcome).with_budget(Budget::default()))
            .layer(RateLimitBalanceLayer::new(Strategy::Adaptive, BodyOutcome).with_tracking(BodyOutcome))
            .service(servers)
    };
    let larger = group(vec![server(larger)]);
    ServiceBuilder::new()
        .layer(FallbackLayer::to(larger.clone(), BodyOutcome))
        .layer(ContextWindowFallbackLayer::to(larger, BodyOutcome))
        .service(group(equal.into_iter().map(server).collect()))
}

/// Serves the proxy on this listener, until the task is dropped.
pub async fn serve(
    listener: TcpListener,
    equal: Vec<SocketAddr>,
    larger: SocketAddr,
) -> Result<(), BoxError> {
    let proxy = proxy(equal, larger);
    let front = hyper::service::service_fn(move |request: Request<Incoming>| {
        let proxy = proxy.clone();
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            proxy.oneshot(Request::from_parts(head, Full::new(body))).await
        }
    });
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), front.clone()));
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let [first, second, larger] = [8001, 8002, 8003].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    serve(TcpListener::bind("127.0.0.1:8000").await?, vec![first, second], larger).await
}
