//! Dialling and what becomes of it, over real sockets.

mod connect;
mod error;
mod http2;

use bytes::Bytes;
use http::{Request, Uri};

use super::Call;
use crate::request::{Operation, SplicedBody};

/// A call to whatever is there.
fn call(base: &Uri) -> Call {
    let request = Request::post(base)
        .header("host", "server")
        .body(SplicedBody::from(Bytes::from_static(b"{}")))
        .unwrap();
    Call { request, operation: Operation::Chat, stream: false }
}
