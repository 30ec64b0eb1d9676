//! An axum handler that calls three backends, with a limit and a cooldown for each, retries, and a fallback.
//!
//! `cargo run --example axum_balance`, then `curl -d hello http://127.0.0.1:8000/`. The backends are functions here; in a
//! program they are clients of hyper, reqwest or tonic.

use axum::{Router, http::StatusCode, routing::post};
use tollgate_http::ErrorOutcome;
use tollgate_layers::{
    BoxError, Class, Outcome,
    balance::{RateLimitBalanceLayer, Strategy},
    cooldown::{CooldownConfig, CooldownLayer, EndpointHealth},
    fallback::FallbackLayer,
    quota::{Limits, Meters, QuotaLayer},
    retry::RetryLayer,
};
use tower::{ServiceBuilder, ServiceExt, service_fn, util::BoxCloneSyncService};

/// Returns an application with one route.
pub fn application() -> Router {
    let success = Outcome::new(Class::Success);
    let classify =
        move |result: Result<&String, &BoxError>| result.map_or_else(BoxError::outcome, |_| success);
    let backends = ["a", "b", "c"].map(|name| {
        let limits = Limits { requests: Some(10), ..Limits::default() }; // per minute
        ServiceBuilder::new()
            .layer(CooldownLayer::new(EndpointHealth::new(CooldownConfig::default()), classify))
            .layer(QuotaLayer::new(Meters::new(limits), classify))
            .service(service_fn(move |text| call(name, text)))
    });
    let service = ServiceBuilder::new()
        .layer(FallbackLayer::to(service_fn(|text| call("standby", text)), classify))
        .layer(RetryLayer::new(1u32, classify))
        .layer(RateLimitBalanceLayer::new(Strategy::Adaptive, classify))
        .service(Vec::from(backends));
    // Without the box rustc reports "implementation of `FnOnce` is not general enough": it fails to prove that an async
    // block is `Send` if it captures a function of `&BoxError`, such as `classify`.
    let service = BoxCloneSyncService::new(service);
    let handler = |text: String| async move {
        service.oneshot(text).await.map_err(|error| (StatusCode::BAD_GATEWAY, format!("{error}\n")))
    };
    Router::new().route("/", post(handler))
}

/// Calls the backend of this name: `b` is down.
async fn call(name: &'static str, text: String) -> Result<String, BoxError> {
    if name == "b" { Err("down".into()) } else { Ok(format!("{name} received {text}\n")) }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    Ok(axum::serve(tokio::net::TcpListener::bind("127.0.0.1:8000").await?, application()).await?)
}
