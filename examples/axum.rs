//! A gateway as the fallback service of an axum application that has a route of its own.
//!
//! `cargo run --example axum`, then
//! `curl http://127.0.0.1:8000/v1/chat/completions -d '{"model": "greeter", "messages": []}'`.

use std::error::Error;

use axum::{Router, routing::get};
use tokio::net::TcpListener;
use tollgate::{config::Config, stack, state::State};

const YAML: &str = "
model_list:
  - model_name: greeter
    litellm_params:
      model: openai/any
      mock_response: Hello from inside axum!
";

/// The application: its own route first, and the gateway for all else.
pub fn application() -> Result<Router, Box<dyn Error + Send + Sync>> {
    let (config, warnings) = Config::from_yaml(YAML, "examples/axum.rs", &|name| std::env::var(name).ok())?;
    eprint!("{warnings}");
    let gateway = stack::gateway(&config, &State::new()?, stack::Options::default())?;
    Ok(Router::new().route("/", get(|| async { "an application of my own\n" })).fallback_service(gateway))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let listener = TcpListener::bind("127.0.0.1:8000").await?;
    axum::serve(listener, application()?).await?;
    Ok(())
}
