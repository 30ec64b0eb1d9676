//! A second call without `stream_options`, for an upstream that refuses those that only the gateway added.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::Response;
use http_body_util::BodyExt;
use tokio::time::timeout;

use super::Inner;
use crate::{
    body::{ScriptStep, UpstreamBody},
    error::TransportError,
    request::Request,
};

/// The limits on the body of an error, which are those of the peek: the rest is cut.
const MAX_BYTES: usize = 1 << 20;
const MAX_TIME: Duration = Duration::from_secs(5);

/// The names in refusals, in lower case. Every server names the parameter that it does not know, in a sentence (OpenAI's
/// `Unrecognized request argument supplied`, JSON Schema's `Additional properties are not allowed`), as the location of a
/// field (pydantic's `extra_forbidden`), or as the argument of a function that fails with a 500.
const NAMES: [&str; 4] = ["stream_options", "streamoptions", "include_usage", "includeusage"];

/// Returns true if the response may be a refusal.
pub(super) fn is_error(response: &Response<UpstreamBody>) -> bool {
    let status = response.status();
    status.is_client_error() || status.is_server_error()
}

/// Returns the response without `stream_options` if `error` refuses them, else `error` itself.
///
/// The deployment remembers a refusal only if the second call succeeds: an error that repeats a prompt may contain the
/// name too.
pub(super) async fn resend(
    error: Response<UpstreamBody>,
    inner: Arc<Inner>,
    request: Request,
) -> Result<Response<UpstreamBody>, TransportError> {
    let (parts, mut body) = error.into_parts();
    let (bytes, broken) = read(&mut body).await;
    if !names_usage(&bytes) {
        let cut = broken.then_some(ScriptStep::Cut);
        let body = UpstreamBody::scripted([ScriptStep::Data(bytes)].into_iter().chain(cut));
        return Ok(Response::from_parts(parts, body));
    }
    let response = inner.call(&request, false, false).await?;
    if response.status().is_success() && inner.usage.swap(false, Relaxed) {
        tracing::warn!(
            upstream = ?inner.encoder,
            "the upstream refuses stream_options: the tokens of its streams are estimated"
        );
    }
    Ok(response)
}

/// Reads the body of an error. Returns true with it if the connection broke.
async fn read(body: &mut UpstreamBody) -> (Bytes, bool) {
    let mut bytes = BytesMut::new();
    let reading = async {
        while bytes.len() < MAX_BYTES {
            match body.frame().await.transpose() {
                Ok(Some(frame)) => bytes.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
                Ok(None) => return false,
                Err(_) => return true,
            }
        }
        false
    };
    let broken = timeout(MAX_TIME, reading).await.unwrap_or(false);
    (bytes.freeze(), broken)
}

/// Returns true if the body of an error names what the gateway added.
fn names_usage(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes).to_lowercase();
    NAMES.iter().any(|name| text.contains(name))
}
