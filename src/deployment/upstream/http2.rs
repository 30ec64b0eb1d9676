//! The HTTP/2 client, for deployments that enable it: [`Http2`].

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use http::{header, uri::Authority};
use hyper_util::{
    client::legacy,
    rt::{TokioExecutor, TokioTimer},
};

use tokio::time::Instant;

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

/// The number of calls in a row without a response after which an authority gets a new connection.
const MAX_UNANSWERED: u32 = 3;

/// The minimum time that a cancelled call must have waited to count as unanswered. A client that disconnects at once is no
/// sign of a connection that has stopped serving.
const UNANSWERED_AFTER: Duration = Duration::from_secs(1);

type Client = legacy::Client<Connector, SplicedBody>;

/// The pooled client of hyper-util. It opens one connection per authority, which all requests share and a task of its own
/// polls. A server without HTTP/2 is called with HTTP/1.1.
///
/// A connection that stays open and serves nothing, such as one whose peer permits no streams, is given up after
/// [`MAX_UNANSWERED`] calls: the authority gets another client, whose first call opens a new connection.
#[derive(Debug)]
pub(super) struct Http2 {
    connector: Connector,
    idle_timeout: Duration,
    clients: Mutex<HashMap<Authority, (Client, Arc<AtomicU32>)>>,
}

/// Counts a call as unanswered if it is dropped without a response.
struct UnansweredGuard {
    unanswered: Arc<AtomicU32>,
    since: Instant,
    answered: bool,
}

impl UnansweredGuard {
    /// Records that there is a response.
    fn complete(mut self) {
        self.answered = true;
    }
}

impl Drop for UnansweredGuard {
    fn drop(&mut self) {
        if self.answered {
            self.unanswered.store(0, Relaxed);
        } else if self.since.elapsed() >= UNANSWERED_AFTER {
            self.unanswered.fetch_add(1, Relaxed);
        }
    }
}

impl Http2 {
    pub(super) fn new(connector: Connector, idle_timeout: Duration) -> Self {
        Self { connector, idle_timeout, clients: Mutex::default() }
    }

    /// Returns the client of an authority, and the number of its last calls without a response.
    fn client(&self, authority: Option<&Authority>) -> (Client, Arc<AtomicU32>) {
        let new = || (self.new_client(), Arc::default());
        let Some(authority) = authority else { return new() };
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let known = clients.entry(authority.clone()).or_insert_with(new);
        if known.1.load(Relaxed) >= MAX_UNANSWERED {
            *known = new();
        }
        known.clone()
    }

    fn new_client(&self) -> Client {
        legacy::Client::builder(TokioExecutor::new())
            .pool_idle_timeout(self.idle_timeout)
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .http2_keep_alive_interval(KEEPALIVE_TIME)
            .http2_keep_alive_timeout(USER_TIMEOUT - KEEPALIVE_TIME)
            .http2_initial_stream_window_size(STREAM_WINDOW)
            .http2_initial_connection_window_size(CONNECTION_WINDOW)
            .build(self.connector.clone())
    }
}

impl Upstream for Http2 {
    fn call(&self, call: UpstreamCall) -> UpstreamFuture {
        let mut request = call.request;
        // HTTP/2 sends the authority as a pseudo-header, and some servers refuse both.
        request.headers_mut().remove(header::HOST);
        let (client, unanswered) = self.client(request.uri().authority());
        let guard = UnansweredGuard { unanswered, since: Instant::now(), answered: false };
        let response = client.request(request);
        Box::pin(async move {
            match response.await {
                Ok(response) => {
                    guard.complete();
                    Ok(response.map(UpstreamBody::new))
                }
                Err(error) if error.is_connect() => Err(connect_error(&error)),
                Err(error) => Err(call_error(&error)),
            }
        })
    }
}
