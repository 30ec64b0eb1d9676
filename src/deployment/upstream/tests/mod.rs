//! Tests of upstream connections over sockets: dial, errors, HTTP/2.

mod connect;
mod error;
mod http2;
mod kept;

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Uri};

use super::UpstreamCall;
use crate::request::{Operation, SplicedBody};

/// The time for which idle connections are kept.
const KEPT: Duration = Duration::from_secs(50);

/// A call to the server at `base`.
fn call(base: &Uri) -> UpstreamCall {
    let request = Request::post(base)
        .header("host", "server")
        .body(SplicedBody::from(Bytes::from_static(b"{}")))
        .unwrap();
    UpstreamCall { request, operation: Operation::Chat, stream: false, fresh: false }
}
