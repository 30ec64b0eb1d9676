//! A gRPC client of three servers and of a fourth in reserve: all the layers in place of a tonic `Channel`. Two of the four
//! fail. `greet` and `serve` are what generated code has, written by hand so that no protoc is needed.

use std::{convert::Infallible, future::ready, time::Duration};

use bytes::Bytes;
use http::uri::PathAndQuery;
use http_body_util::{BodyExt, Full};
use tokio::net::TcpListener;
use tollgate_http::{BodyOutcome, GrpcClassifier, TrackBody, TrackBodyLayer};
use tollgate_layers::{
    BoxError,
    balance::{RateLimitBalanceLayer, Strategy},
    cooldown::{CooldownConfig, CooldownLayer, EndpointHealth},
    fallback::FallbackLayer,
    quota::{Limits, Meters, QuotaLayer},
    retry::{Budget, RetryLayer},
    timeout::TimeoutLayer,
};
use tonic::transport::{Channel, Endpoint, Server, server::TcpIncoming};
use tonic::{Request, Response, Status, body::Body, client, server};
use tonic_prost::ProstCodec;
use tower::{Service, ServiceBuilder, service_fn};

/// A response whose body reports the status in its trailers to the layers.
pub type Tracked = http::Response<TrackBody<Body, GrpcClassifier>>;

/// Returns one service of all channels, for `Greeter::new` of a generated client.
pub fn balanced(
    channels: Vec<Channel>,
    reserve: Channel,
) -> impl Service<http::Request<Body>, Response = Tracked, Error = BoxError> + Clone {
    let guarded = |channel: Channel| {
        let cooldown = CooldownConfig::new(Duration::from_secs(60)).with_allowed_fails(Some(0));
        let meters = Meters::new(Limits { in_flight: Some(64), ..Limits::default() });
        ServiceBuilder::new()
            .layer(CooldownLayer::new(EndpointHealth::new(cooldown), BodyOutcome).with_tracking(BodyOutcome))
            .layer(QuotaLayer::new(meters, BodyOutcome).with_tracking(BodyOutcome))
            .layer(TimeoutLayer::new(Duration::from_secs(2)))
            .layer(TrackBodyLayer::grpc())
            .map_request(|request: http::Request<Full<Bytes>>| request.map(Body::new))
            .map_err(BoxError::from)
            .service(channel)
    };
    ServiceBuilder::new()
        .filter_async(clonable)
        .layer(FallbackLayer::to(guarded(reserve), BodyOutcome))
        .layer(RetryLayer::new(2u32, BodyOutcome).with_budget(Budget::default()))
        .layer(RateLimitBalanceLayer::new(Strategy::Adaptive, BodyOutcome).with_tracking(BodyOutcome))
        .service(channels.into_iter().map(guarded).collect::<Vec<_>>())
}

/// Reads the one message of a request into memory, so that the request can be cloned and repeated.
async fn clonable(request: http::Request<Body>) -> Result<http::Request<Full<Bytes>>, BoxError> {
    let (head, body) = request.into_parts();
    Ok(http::Request::from_parts(head, Full::new(body.collect().await?.to_bytes())))
}

/// Calls the method, as a generated client does. Request and response are a `StringValue`.
pub async fn greet<S>(service: S, text: &str) -> Result<String, Status>
where
    S: Service<http::Request<Body>, Response = Tracked, Error = BoxError>,
{
    let mut client = client::Grpc::new(service);
    client.ready().await.map_err(Status::from_error)?;
    let (request, codec) = (Request::new(text.to_owned()), ProstCodec::<String, String>::default());
    Ok(client.unary(request, PathAndQuery::from_static("/greeter.Greeter/Greet"), codec).await?.into_inner())
}

/// Serves the method, as a generated server does: `answer` returns the response.
pub async fn serve<F>(listener: TcpListener, answer: F) -> Result<(), BoxError>
where
    F: Fn(String) -> Result<String, Status> + Clone + Send + 'static,
{
    let method = move |request: Request<String>| ready(answer(request.into_inner()).map(Response::new));
    let service = service_fn(move |request: http::Request<Body>| {
        let method = service_fn(method.clone());
        async move { Ok::<_, Infallible>(server::Grpc::new(ProstCodec::default()).unary(method, request).await) }
    });
    Ok(Server::builder().serve_with_incoming(service, TcpIncoming::from(listener)).await?)
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut channels = Vec::new();
    for name in ["dan", "ann", "ben", "cem"] {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        channels.push(Endpoint::from_shared(format!("http://{}", listener.local_addr()?))?.connect_lazy());
        tokio::spawn(serve(listener, move |text| match name {
            "ben" | "cem" => Err(Status::unavailable("not now")),
            _ => Ok(format!("{name} received: {text}")),
        }));
    }
    let service = balanced(channels.split_off(1), channels.remove(0));
    for _ in 0..10 {
        println!("{}", greet(service.clone(), "good morning").await?);
    }
    Ok(())
}
