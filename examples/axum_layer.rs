//! A single layer in an axum application: a timeout that depends on the request.
//!
//! `cargo run --example axum_layer`, then `curl -i http://127.0.0.1:8000/patient` and `/hasty`.

use std::{error::Error, time::Duration};

use axum::{
    BoxError, Router, error_handling::HandleErrorLayer, extract::Request, http::StatusCode, routing::get,
};
use tokio::{net::TcpListener, time::sleep};
use tollgate_layers::timeout::{Elapsed, TimeoutLayer};
use tower::ServiceBuilder;

/// Returns an application with two routes that take equally long; `/hasty` has the shorter timeout.
pub fn application() -> Router {
    let slow = || async {
        sleep(Duration::from_millis(100)).await;
        "done\n"
    };
    let limit = |request: &Request| match request.uri().path() {
        "/hasty" => Duration::from_millis(10),
        _ => Duration::from_secs(60),
    };
    // axum's routes are infallible: `map_err` gives them an error type, and `HandleErrorLayer` makes a response of it.
    let layers = ServiceBuilder::new()
        .layer(HandleErrorLayer::new(too_late))
        .layer(TimeoutLayer::new(limit))
        .map_err(BoxError::from);
    Router::new().route("/patient", get(slow)).route("/hasty", get(slow)).layer(layers)
}

async fn too_late(error: BoxError) -> (StatusCode, String) {
    let status =
        if error.is::<Elapsed>() { StatusCode::GATEWAY_TIMEOUT } else { StatusCode::INTERNAL_SERVER_ERROR };
    (status, format!("{error}\n"))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    axum::serve(TcpListener::bind("127.0.0.1:8000").await?, application()).await?;
    Ok(())
}
