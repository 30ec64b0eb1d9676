//! One layer alone, in an axum application of one's own: how long a request may take depends on the request.
//!
//! `cargo run --example axum_layer`, then `curl -i http://127.0.0.1:8000/patient` and `/hasty`.

use std::{error::Error, time::Duration};

use axum::{
    BoxError, Router, error_handling::HandleErrorLayer, extract::Request, http::StatusCode, routing::get,
};
use tokio::{net::TcpListener, time::sleep};
use tollgate_layers::timeout::{Elapsed, TimeoutLayer};
use tower::ServiceBuilder;

/// Both routes take the same time, and one has less.
pub fn application() -> Router {
    let slow = || async {
        sleep(Duration::from_millis(100)).await;
        "done\n"
    };
    let limit = |request: &Request| match request.uri().path() {
        "/hasty" => Duration::from_millis(10),
        _ => Duration::from_secs(60),
    };
    // axum's routes cannot fail. So below the layer its error is made possible, and above it becomes a response.
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
