//! HTTP/2, where a deployment asks for it: [`Http2`].

use http::header;
use hyper_util::{
    client::legacy,
    rt::{TokioExecutor, TokioTimer},
};

use super::{
    Call, Calling, Upstream,
    client::IDLE_TIMEOUT,
    connect::{Connector, KEEPALIVE_TIME, USER_TIMEOUT},
    error::{call_error, connect_error},
};
use crate::{body::UpstreamBody, request::SplicedBody};

/// What a server may send ahead of a stream's reader, and of all its readers together: one who takes nothing holds up its
/// own stream, and no other before there are 128 of them. By default two and a half would do.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 128 * STREAM_WINDOW;

/// hyper-util's pooled client: one connection per authority that all requests share, which is why it has a task of its
/// own. A server that does not take up the offer of HTTP/2 is spoken to in HTTP/1.1.
#[derive(Debug)]
pub(super) struct Http2 {
    inner: legacy::Client<Connector, SplicedBody>,
}

impl Http2 {
    pub(super) fn new(connector: Connector) -> Self {
        let inner = legacy::Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
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
    fn call(&self, call: Call) -> Calling {
        let mut request = call.request;
        // There the URL says it, and a server may want to hear it once.
        request.headers_mut().remove(header::HOST);
        let answer = self.inner.request(request);
        Box::pin(async move {
            match answer.await {
                Ok(answer) => Ok(answer.map(UpstreamBody::from)),
                Err(error) if error.is_connect() => Err(connect_error(&error)),
                Err(error) => Err(call_error(&error)),
            }
        })
    }
}
