//! A gateway under the path `/llm` of an axum application, beside a route and below layers of the application's own.
//!
//! `cargo run --example axum`, then `curl http://127.0.0.1:8000/llm/v1/chat/completions -H 'x-team: any'
//! -d '{"model": "greeter", "messages": []}'`.

use std::error::Error;

use axum::{
    Router,
    extract::Request,
    http::StatusCode,
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::net::TcpListener;
use tollgate::{config::Config, stack, state::State};
use tower::ServiceBuilder;
use tower_http::trace::TraceLayer;

const YAML: &str = "
model_list:
  - model_name: greeter
    litellm_params:
      model: openai/any
      mock_response: Hello from inside axum!
";

/// Returns the application: the layers apply to its own route and to the gateway.
pub fn application() -> Result<Router, Box<dyn Error + Send + Sync>> {
    let (config, warnings) = Config::from_yaml(YAML, "examples/axum.rs", &|name| std::env::var(name).ok())?;
    eprint!("{warnings}");
    let gateway = stack::gateway(&config, &State::new()?, stack::Options::default())?;
    Ok(Router::new()
        .route("/", get(|| async { "an application of my own\n" }))
        .nest_service("/llm", gateway)
        .layer(ServiceBuilder::new().layer(TraceLayer::new_for_http()).layer(from_fn(known_team))))
}

/// Rejects a request that names no team.
async fn known_team(request: Request, next: Next) -> Response {
    if request.headers().contains_key("x-team") {
        next.run(request).await
    } else {
        (StatusCode::UNAUTHORIZED, "the header x-team is missing\n").into_response()
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let listener = TcpListener::bind("127.0.0.1:8000").await?;
    axum::serve(listener, application()?).await?;
    Ok(())
}
