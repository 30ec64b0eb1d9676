//! A hyper server behind in-memory pipes, for the tests of the pool.

use std::{
    convert::Infallible,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{
    StreamExt,
    future::ready,
    stream::{iter, once, pending},
};
use http::{HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::DuplexStream,
    sync::{Notify, watch},
};

use crate::deployment::pool::{Pool, PooledBody, PooledIo, SendError};

pub(super) type Pipe = TokioIo<DuplexStream>;
pub(super) type Sent = Full<Bytes>;
pub(super) type PooledResponse = Response<PooledBody<Pipe, Sent>>;

/// A read of the pipe knows of all that was written.
impl PooledIo for Pipe {
    fn has_unread(&self) -> bool {
        false
    }
}

/// A pool, and the server that it connects to.
pub(super) struct Server {
    pub(super) pool: Arc<Pool<Pipe, Sent>>,
    acceptor: Arc<Acceptor>,
}

/// The server's end of all connections.
struct Acceptor {
    opened: AtomicUsize,
    closed: watch::Sender<usize>,
    close: Notify,
}

impl Server {
    pub(super) fn new() -> Self {
        Self::with_idle_timeout(Duration::from_secs(50))
    }

    pub(super) fn with_idle_timeout(idle_timeout: Duration) -> Self {
        let acceptor =
            Acceptor { opened: AtomicUsize::new(0), closed: watch::Sender::new(0), close: Notify::new() };
        let acceptor = Arc::new(acceptor);
        let dialed = Arc::clone(&acceptor);
        Self {
            pool: Arc::new(Pool::new(idle_timeout, move || ready(Ok(Arc::clone(&dialed).connect())))),
            acceptor,
        }
    }

    /// Sends a request to `path`, which selects the response: see [`respond`].
    pub(super) async fn send(&self, path: &str) -> Result<PooledResponse, SendError> {
        self.post(path, "hello").await
    }

    /// Sends a request with this body.
    pub(super) async fn post(&self, path: &str, body: impl Into<Bytes>) -> Result<PooledResponse, SendError> {
        let request = Request::post(path).header("host", "server").body(Full::new(body.into()));
        Arc::clone(&self.pool).send(request.expect("a request"), false).await
    }

    /// Sends a request and returns the body of its response.
    pub(super) async fn send_and_read(&self, path: &str) -> String {
        let response = self.send(path).await.expect("a response");
        let bytes = response.into_body().collect().await.expect("a whole body").to_bytes();
        String::from_utf8(bytes.into()).expect("text")
    }

    pub(super) fn opened(&self) -> usize {
        self.acceptor.opened.load(Ordering::Relaxed)
    }

    /// Waits until the server has seen the end of this many connections.
    pub(super) async fn closed(&self, count: usize) {
        until(&self.acceptor.closed, count).await;
    }

    pub(super) fn closed_now(&self) -> usize {
        *self.acceptor.closed.borrow()
    }

    /// Closes the idle connections.
    pub(super) fn close_idle(&self) {
        self.acceptor.close.notify_waiters();
    }

    /// Drops the pool, and waits until this many connections have been closed.
    pub(super) async fn ends_with(self, count: usize) {
        let Self { pool, acceptor } = self;
        drop(pool);
        until(&acceptor.closed, count).await;
    }
}

impl Acceptor {
    fn connect(self: Arc<Self>) -> Pipe {
        self.opened.fetch_add(1, Ordering::Relaxed);
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        tokio::spawn(async move {
            let connection =
                http1::Builder::new().serve_connection(TokioIo::new(theirs), service_fn(respond));
            let mut connection = pin!(connection);
            // A connection that the client drops ends with an error, which counts as closed.
            tokio::select! {
                _ended = connection.as_mut() => {}
                () = self.close.notified() => {
                    connection.as_mut().graceful_shutdown();
                    let _ended = connection.await;
                }
            }
            self.closed.send_modify(|closed| *closed += 1);
        });
        TokioIo::new(ours)
    }
}

async fn until(closed: &watch::Sender<usize>, count: usize) {
    let mut closed = closed.subscribe();
    closed.wait_for(|closed| *closed == count).await.expect("the sender is ours");
}

/// Responds by path: `/ok` with a length, `/last` also with `connection: close`, `/empty` without a body, `/chunks` with 100
/// chunks, `/never` with one chunk and no end, `/early` before the request is read, `/silent` never.
async fn respond(request: Request<Incoming>) -> Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
    let path = request.uri().path().to_owned();
    if path != "/early" {
        // The connection handles a client that disconnects.
        let _read = request.into_body().collect().await;
    }
    let body = match path.as_str() {
        "/silent" => std::future::pending().await,
        "/empty" => Full::default().boxed(),
        "/chunks" => BoxBody::new(StreamBody::new(iter((0..100).map(|_| chunk())))),
        "/never" => BoxBody::new(StreamBody::new(once(ready(chunk())).chain(pending()))),
        _ => Full::new(Bytes::from_static(b"ok")).boxed(),
    };
    let mut response = Response::new(body);
    if path == "/last" {
        response.headers_mut().insert("connection", HeaderValue::from_static("close"));
    }
    Ok(response)
}

fn chunk() -> Result<Frame<Bytes>, Infallible> {
    Ok(Frame::data(Bytes::from_static(b"chunk ")))
}
