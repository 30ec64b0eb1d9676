//! HTTP/2, where a deployment asks for it: [`Http2`].

use http::header;
use hyper_util::{
    client::legacy,
    rt::{TokioExecutor, TokioTimer},
};

use super::{Call, Calling, Upstream, broken::wire_error, client::IDLE, connect::Connector};
use crate::body::{Payload, Wire};

/// hyper-util's pooled client: one connection per authority that all requests share, which is why it has a task of its
/// own. A server that does not take up the offer of HTTP/2 is spoken to in HTTP/1.1.
#[derive(Debug)]
pub(super) struct Http2 {
    inner: legacy::Client<Connector, Payload>,
}

impl Http2 {
    pub(super) fn new(connector: Connector) -> Self {
        let inner = legacy::Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
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
                Ok(answer) => Ok(answer.map(Wire::from)),
                Err(error) => Err(wire_error(error.is_connect(), &error)),
            }
        })
    }
}
