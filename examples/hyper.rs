//! All the layers round two plain HTTP servers, a smaller on port 8001 and a larger on 8002, which become one on 8000.
//! There is no gateway and no configuration: closures classify the responses, and a request may be any HTTP request.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{client::legacy::Client, rt::TokioExecutor, rt::TokioIo};
use tokio::net::TcpListener;
use tollgate_layers::{
    Attempts, BoxError, Class, Outcome,
    balance::{Exhausted, RateLimitBalanceLayer, Strategy},
    context_window::ContextWindowFallbackLayer,
    cooldown::{CooldownConfig, CooldownLayer, EndpointHealth},
    fallback::FallbackLayer,
    quota::{Limits, Meters, QuotaLayer},
    retry::{Budget, RetryLayer},
    timeout::{Elapsed, TimeoutLayer},
};
use tower::{Service, ServiceBuilder, ServiceExt, service_fn, steer::Steer};

/// A request that can be repeated, its record of attempts, and the choice of the server.
#[derive(Clone)]
struct Call {
    request: Request<Full<Bytes>>,
    attempts: Arc<Attempts>,
    larger: bool,
}

type Answer = Response<Full<Bytes>>;

fn attempts(call: &Call) -> Option<&Attempts> {
    Some(&call.attempts)
}

/// Returns one service of both servers: a request that fails on the smaller is sent to the larger.
fn both(
    smaller: SocketAddr,
    larger: SocketAddr,
) -> impl Service<Call, Response = Answer, Error = BoxError, Future: Send> + Clone + Send {
    let judge = |result: Result<&Answer, &BoxError>| match result.map(|answer| answer.status().as_u16()) {
        Ok(413) => Outcome::new(Class::ContextWindow),
        Ok(429) => Outcome::new(Class::RateLimited),
        Ok(..400) => Outcome::new(Class::Success),
        Ok(..500) => Outcome::new(Class::Caller),
        Err(error) if error.is::<Exhausted>() => Outcome::new(Class::RateLimited).refused(),
        Err(error) if error.is::<Elapsed>() => Outcome::new(Class::Timeout),
        Ok(_) | Err(_) => Outcome::new(Class::Unavailable),
    };
    let to_larger = |call: &Call, _: &Outcome| (!call.larger).then(|| Call { larger: true, ..call.clone() });
    let group = |address: SocketAddr| {
        let client = Client::builder(TokioExecutor::new()).build_http();
        let server = ServiceBuilder::new()
            .layer(CooldownLayer::new(EndpointHealth::new(CooldownConfig::default()), judge))
            .layer(QuotaLayer::new(Meters::new(Limits::default()), judge))
            .layer(TimeoutLayer::new(Duration::from_secs(5)))
            .service(service_fn(move |call: Call| {
                let (mut request, client) = (call.request, client.clone());
                async move {
                    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
                    *request.uri_mut() = format!("http://{address}{path}").parse::<Uri>()?;
                    let (head, body) = client.request(request).await?.into_parts();
                    Ok::<_, BoxError>(Response::from_parts(head, Full::new(body.collect().await?.to_bytes())))
                }
            }));
        ServiceBuilder::new()
            .layer(RetryLayer::new(1u32, judge).with_attempts(attempts).with_budget(Budget::default()))
            .layer(RateLimitBalanceLayer::new(Strategy::Adaptive, judge).with_attempts(attempts))
            .service(vec![server])
    };
    ServiceBuilder::new()
        .layer(FallbackLayer::new(to_larger, judge))
        .layer(ContextWindowFallbackLayer::new(to_larger, judge))
        .service(Steer::new([group(smaller), group(larger)], |call: &Call, _: &[_]| usize::from(call.larger)))
}

/// Serves both servers on one listener, until the task is dropped.
pub async fn serve(listener: TcpListener, smaller: SocketAddr, larger: SocketAddr) -> Result<(), BoxError> {
    let both = both(smaller, larger);
    let front = hyper::service::service_fn(move |request: Request<Incoming>| {
        let both = both.clone();
        async move {
            let (head, body) = request.into_parts();
            let request = Request::from_parts(head, Full::new(body.collect().await?.to_bytes()));
            both.oneshot(Call { request, attempts: Arc::default(), larger: false }).await
        }
    });
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), front.clone()));
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    serve(TcpListener::bind("127.0.0.1:8000").await?, "127.0.0.1:8001".parse()?, "127.0.0.1:8002".parse()?)
        .await
}
