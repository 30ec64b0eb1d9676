//! Three gRPC servers behind one service: the layers know no HTTP status, here an outcome is read from a gRPC code.
//!
//! `cargo run --example tonic` starts the three, of which two fail, and greets them ten times. The
//! service is written by hand, so that no protoc is needed.

use std::{convert::Infallible, error::Error, sync::Arc, time::Duration};

use tokio::net::TcpListener;
use tollgate_layers::{
    Attempts, BoxError, Class, Outcome,
    balance::{Exhausted, RateLimitBalanceLayer, Strategy},
    cooldown::{CooldownConfig, CooldownLayer, EndpointHealth},
    quota::{Limits, Meters, QuotaLayer},
    retry::{Budget, RetryLayer},
    timeout::TimeoutLayer,
};
use tonic::{
    Code, Request, Response, Status,
    body::Body,
    client, server,
    transport::server::TcpIncoming,
    transport::{Channel, Endpoint, Server},
};
use tonic_prost::ProstCodec;
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};

/// The message of the request and of the response.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Greeting {
    /// The text of the greeting.
    #[prost(string, tag = "1")]
    pub text: String,
}

/// A greeting with its record of attempts, so that every attempt goes to an untried server.
pub type Call = (Greeting, Arc<Attempts>);

/// Classifies a result by its gRPC code.
fn judge(result: Result<&Greeting, &BoxError>) -> Outcome {
    let Err(error) = result else { return Outcome::new(Class::Success) };
    if error.is::<Exhausted>() {
        return Outcome::new(Class::RateLimited).refused();
    }
    // An error that is not a `Status` is a timeout.
    let code = error.downcast_ref::<Status>().map_or(Code::DeadlineExceeded, Status::code);
    Outcome::new(match code {
        Code::DeadlineExceeded => Class::Timeout,
        Code::ResourceExhausted => Class::RateLimited,
        Code::Unauthenticated | Code::PermissionDenied | Code::Unimplemented => Class::Unauthorized,
        Code::Unavailable | Code::Internal | Code::Unknown | Code::Aborted => Class::Unavailable,
        _ => Class::Caller,
    })
}

/// Returns one greeter of many channels, with retries, and with a cooldown and limits for each channel.
pub fn greeter(
    channels: impl IntoIterator<Item = Channel>,
) -> impl Service<Call, Response = Greeting, Error = BoxError, Future: Send> + Clone + Send {
    let health = CooldownConfig::default().with_allowed_fails(Some(2));
    let limits = Limits { in_flight: Some(64), ..Limits::default() };
    let guarded = channels.into_iter().map(|channel| {
        ServiceBuilder::new()
            .layer(CooldownLayer::new(EndpointHealth::new(health.clone()), judge))
            .layer(QuotaLayer::new(Meters::new(limits.clone()), judge))
            .layer(TimeoutLayer::new(Duration::from_secs(2)))
            .service(service_fn(move |call: Call| greet(channel.clone(), call.0)))
    });
    ServiceBuilder::new()
        .layer(RetryLayer::new(2u32, judge).with_attempts(attempts).with_budget(Budget::default()))
        .layer(RateLimitBalanceLayer::new(Strategy::Adaptive, judge).with_attempts(attempts))
        .service(guarded.collect::<Vec<_>>())
}

fn attempts(call: &Call) -> Option<&Attempts> {
    Some(&call.1)
}

/// Calls the method as a client.
async fn greet(channel: Channel, greeting: Greeting) -> Result<Greeting, BoxError> {
    let mut grpc = client::Grpc::new(channel);
    grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let path = http::uri::PathAndQuery::from_static("/greeter.Greeter/Greet");
    let answer: Response<Greeting> = grpc.unary(Request::new(greeting), path, ProstCodec::default()).await?;
    Ok(answer.into_inner())
}

/// Serves the method: `answer` returns the response.
pub async fn serve(
    listener: TcpListener,
    answer: impl Fn(Greeting) -> Result<Greeting, Status> + Clone + Send + 'static,
) -> Result<(), BoxError> {
    let method =
        move |request: Request<Greeting>| std::future::ready(answer(request.into_inner()).map(Response::new));
    let service = service_fn(move |request: http::Request<Body>| {
        let method = service_fn(method.clone());
        async move { Ok::<_, Infallible>(server::Grpc::new(ProstCodec::default()).unary(method, request).await) }
    });
    Ok(Server::builder().serve_with_incoming(service, TcpIncoming::from(listener)).await?)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut channels = Vec::new();
    for (name, fault) in [("ann", None), ("ben", Some(Code::Unavailable)), ("cem", Some(Code::Internal))] {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        channels.push(Endpoint::from_shared(format!("http://{}", listener.local_addr()?))?.connect_lazy());
        tokio::spawn(serve(listener, move |greeting| match fault {
            Some(code) => Err(Status::new(code, "not now")),
            None => Ok(Greeting { text: format!("{name} says: {}", greeting.text) }),
        }));
    }
    let mut greeter = greeter(channels);
    for _ in 0..10 {
        let greeting = Greeting { text: "good morning".to_owned() };
        println!("{}", greeter.ready().await?.call((greeting, Arc::default())).await?.text);
    }
    Ok(())
}
