//! Tests of the reading of request bodies and of the bodies for upstreams.

mod bodies;
#[cfg(feature = "compression")]
mod compressed;
mod exact;
mod frames;
mod refused;
mod settings;
mod upload;

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use tokio::time::Instant;

use super::read;
use crate::{
    config::FallbackTarget,
    error::InvalidRequest,
    request::{Operation, ParsedRequest, RequestContext, RequestInfo},
};

fn chat(body: impl Into<Bytes>) -> Result<RequestInfo, InvalidRequest> {
    read(&Operation::Chat.into(), &HeaderMap::new(), &body.into())
}

fn prompt(body: impl Into<Bytes>) -> ParsedRequest {
    let bytes = body.into();
    let info = match chat(bytes.clone()) {
        Ok(info) => info,
        Err(error) => panic!("{error}: {}", String::from_utf8_lossy(&bytes)),
    };
    ParsedRequest::new(bytes.into(), Arc::new(info), Arc::new(RequestContext::new(Instant::now(), None)))
}

/// Returns a fallback that replaces these parameters.
fn fallback(of: &[(&str, &str)]) -> Option<Arc<FallbackTarget>> {
    Some(Arc::new(FallbackTarget { model: "m".into(), parameters: parameters(of) }))
}

/// Returns the upstream's body as text.
fn sent(prompt: &ParsedRequest, model: &str, defaults: &[(&str, &str)]) -> String {
    String::from_utf8(prompt.payload(model, &parameters(defaults)).to_bytes().into()).unwrap()
}

fn parameters(of: &[(&str, &str)]) -> Vec<(Arc<str>, Arc<str>)> {
    of.iter().map(|&(name, value)| (name.into(), value.into())).collect()
}

/// Returns a body `{"model": .., "messages": <nested>}` whose brackets nest to this depth.
fn nested(depth: usize) -> String {
    let inner = depth - 1;
    format!(r#"{{"model":"m","messages":{}{}}}"#, "[".repeat(inner), "]".repeat(inner))
}
