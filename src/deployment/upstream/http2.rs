//! The HTTP/2 client, for deployments that enable it: [`Http2`].

use std::time::Duration;

use http::header;
use hyper_util::{
    client::legacy,
    rt::{TokioExecutor, TokioTimer},
};

use super::{
    Upstream, UpstreamCall, UpstreamFuture,
    connect::{Connector, KEEPALIVE_TIME, USER_TIMEOUT},
    error::{call_error, connect_error},
};
use crate::{body::UpstreamBody, request::SplicedBody};

/// The flow-control windows of a stream and of a connection, in bytes. A client that stops reading blocks its own
/// stream; 128 such streams block the connection. With hyper's defaults, three would.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 128 * STREAM_WINDOW;

/// The pooled client of hyper-util. It opens one connection per authority, which all requests share and a task of its own
/// polls. A server without HTTP/2 is called with HTTP/1.1.
#[derive(Debug)]
pub(super) struct Http2 {
    inner: legacy::Client<Connector, SplicedBody>,
}

impl Http2 {
    pub(super) fn new(connector: Connector, idle_timeout: Duration) -> Self {
        let inner = legacy::Client::builder(TokioExecutor::new())
            .pool_idle_timeout(idle_timeout)
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .http2_keep_alive_interval(KEEPALIVE_TIME)
            .http2_keep_alive_timeout(USER_TIMEOUT - KEEPALIVE_TIME)
            .http2_initial_stream_window_size(STREAM_WINDOW)
            .http2_initial_connection_window_size(CONNECTION_WINDOW)
            .build(connector);
        Self { inner }
    }
}

impl Upstream for Http2 {
    fn call(&self, call: UpstreamCall) -> UpstreamFuture {
        let mut request = call.request;
        // HTTP/2 sends the authority as a pseudo-header, and some servers refuse both.
        request.headers_mut().remove(header::HOST);
        let response = self.inner.request(request);
        Box::pin(async move {
            match response.await {
                Ok(response) => Ok(response.map(UpstreamBody::from)),
                Err(error) if error.is_connect() => Err(connect_error(&error)),
                Err(error) => Err(call_error(&error)),
            }
        })
    }
}
