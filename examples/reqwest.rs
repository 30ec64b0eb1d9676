//! A client of an API such as GitHub's over reqwest. It keeps the limits of the API, waits until the reset that a refusal states
//! and then repeats the call, and holds a slot in flight to the end of each body.
//!
//! `cargo run --example reqwest http://127.0.0.1:8000/one http://127.0.0.1:8000/two`; for https add reqwest's feature
//! `rustls`.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use reqwest::Body;
use tollgate_http::{BodyOutcome, StatusClassifier, TrackBody, TrackBodyLayer};
use tollgate_layers::{
    BoxError,
    quota::{Limits, Meters, QuotaLayer},
    retry::RetryLayer,
};
use tower::{Service, ServiceBuilder, ServiceExt};

/// Returns a client that keeps these limits. A call beyond them, or before the reset that the server states, waits for up
/// to `max_wait`.
pub fn client(
    limits: Limits,
    max_wait: Duration,
) -> impl Service<Request<Bytes>, Response = Response<TrackBody<Body>>, Error = BoxError, Future: Send>
+ Clone
+ Send {
    let quota = QuotaLayer::new(Meters::new(limits), BodyOutcome).with_tracking(BodyOutcome);
    ServiceBuilder::new()
        .layer(RetryLayer::new(2u32, BodyOutcome).with_max_wait(max_wait))
        .layer(quota.waiting(max_wait))
        // Reads the status, `Retry-After` and `x-ratelimit-*`.
        .layer(TrackBodyLayer::new(StatusClassifier::new()))
        .filter(reqwest::Request::try_from)
        .map_response(Response::<Body>::from)
        .service(reqwest::Client::new())
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    // GitHub's secondary limits: requests in a minute, and at a time.
    let limits = Limits { requests: Some(900), in_flight: Some(100), ..Limits::default() };
    let client = client(limits, Duration::from_secs(60));
    for url in std::env::args().skip(1) {
        let request = Request::get(&url).header("user-agent", "tollgate-example").body(Bytes::new())?;
        let response = client.clone().oneshot(request).await?;
        let status = response.status();
        println!("{url}: {status}, {} bytes", response.into_body().collect().await?.to_bytes().len());
    }
    Ok(())
}
