//! A server of hyper's behind a pipe in memory.

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

use crate::deployment::pool::{Pool, PooledBody, SendError};

pub(super) type Pipe = TokioIo<DuplexStream>;
pub(super) type Sent = Full<Bytes>;
pub(super) type Answer = Response<PooledBody<Pipe, Sent>>;

/// A pool, and the server that it connects to.
pub(super) struct Server {
    pub(super) pool: Arc<Pool<Pipe, Sent>>,
    door: Arc<Door>,
}

/// Where connections come in.
struct Door {
    opened: AtomicUsize,
    closed: watch::Sender<usize>,
    going: Notify,
}

impl Server {
    pub(super) fn new() -> Self {
        Self::kept_for(Duration::from_secs(50))
    }

    pub(super) fn kept_for(keep: Duration) -> Self {
        let door = Door { opened: AtomicUsize::new(0), closed: watch::Sender::new(0), going: Notify::new() };
        let door = Arc::new(door);
        let dialled = Arc::clone(&door);
        Self { pool: Arc::new(Pool::new(keep, move || ready(Ok(Arc::clone(&dialled).connect())))), door }
    }

    /// Asks for `path`, which says how to answer: see [`answer`].
    pub(super) async fn ask(&self, path: &str) -> Result<Answer, SendError> {
        self.post(path, "hello").await
    }

    /// Sends so much.
    pub(super) async fn post(&self, path: &str, body: impl Into<Bytes>) -> Result<Answer, SendError> {
        let request = Request::post(path).header("host", "server").body(Full::new(body.into()));
        Arc::clone(&self.pool).send(request.expect("a request")).await
    }

    /// Asks, and reads what is answered.
    pub(super) async fn whole(&self, path: &str) -> String {
        let answer = self.ask(path).await.expect("an answer");
        let bytes = answer.into_body().collect().await.expect("a whole body").to_bytes();
        String::from_utf8(bytes.into()).expect("text")
    }

    pub(super) fn opened(&self) -> usize {
        self.door.opened.load(Ordering::Relaxed)
    }

    /// Waits until so many connections have been closed, as the server sees it.
    pub(super) async fn closed(&self, count: usize) {
        until(&self.door.closed, count).await;
    }

    pub(super) fn closed_now(&self) -> usize {
        *self.door.closed.borrow()
    }

    /// Closes those connections that are idle.
    pub(super) fn hang_up(&self) {
        self.door.going.notify_waiters();
    }

    /// Drops the pool, and waits until so many connections have been closed.
    pub(super) async fn ends_with(self, count: usize) {
        let Self { pool, door } = self;
        drop(pool);
        until(&door.closed, count).await;
    }
}

impl Door {
    fn connect(self: Arc<Self>) -> Pipe {
        self.opened.fetch_add(1, Ordering::Relaxed);
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        tokio::spawn(async move {
            let connection = http1::Builder::new().serve_connection(TokioIo::new(theirs), service_fn(answer));
            let mut connection = pin!(connection);
            // A connection that its client drops ends with an error, and is as closed as any other.
            tokio::select! {
                _ended = connection.as_mut() => {}
                () = self.going.notified() => {
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

/// `/ok` answers with a length, `/last` hangs up after that, `/empty` has no body, `/chunks` are a hundred, `/never` ends
/// after the first, `/early` answers before it has read anything, `/silent` never answers.
async fn answer(request: Request<Incoming>) -> Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
    let path = request.uri().path().to_owned();
    if path != "/early" {
        // A client that leaves is noticed by the connection.
        let _read = request.into_body().collect().await;
    }
    let body = match path.as_str() {
        "/silent" => std::future::pending().await,
        "/empty" => Full::default().boxed(),
        "/chunks" => BoxBody::new(StreamBody::new(iter((0..100).map(|_| chunk())))),
        "/never" => BoxBody::new(StreamBody::new(once(ready(chunk())).chain(pending()))),
        _ => Full::new(Bytes::from_static(b"ok")).boxed(),
    };
    let mut answer = Response::new(body);
    if path == "/last" {
        answer.headers_mut().insert("connection", HeaderValue::from_static("close"));
    }
    Ok(answer)
}

fn chunk() -> Result<Frame<Bytes>, Infallible> {
    Ok(Frame::data(Bytes::from_static(b"chunk ")))
}
