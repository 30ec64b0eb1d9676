//! HTTP/1 connections to one origin, each polled by the request that uses it: [`Pool`].
//!
//! hyper's connections are futures that make progress only when they are polled. A client usually spawns a task for each
//! and communicates through channels: every head, and every body frame, then costs two scheduler turns, and a
//! burst comes out one frame at a time. Here the request that waits for a response polls its connection. There is
//! no task, a burst in the read buffer is read at once, and a cancelled request closes the socket immediately.
//!
//! The pool differs from hyper-util's legacy client in more than that: it has one origin, dials only when no connection
//! is idle, and drops a dial when its request is cancelled. As in hyper-util, the connection that was used last is taken
//! first, and a request that was not sent because its connection was closed uses another one.
//!
//! Hazards: while the body is not polled nothing is read, not even a close by the server; that is backpressure.
//! A body that is dropped before its end closes its connection.

mod body;
mod connection;
#[cfg(test)]
mod tests;
mod waker;

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body::Body;
use hyper::{
    client::conn::TrySendError,
    rt::{Read, Write},
};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    runtime::Handle,
    time::{Instant, sleep_until},
};
use tollgate_layers::BoxError;

pub(crate) use self::body::PooledBody;
use self::connection::PooledConnection;

/// A TCP connection, with or without TLS.
pub(crate) type Io = MaybeHttpsStream<TokioIo<TcpStream>>;

/// A function that opens a connection. Its future is boxed, because dials are rare.
type Dial<T> = dyn Fn() -> BoxFuture<'static, Result<T, BoxError>> + Send + Sync;

/// A pool of connections to one origin.
pub(crate) struct Pool<T: Read + Write, B: Body + 'static> {
    idle: Mutex<Idle<T, B>>,
    idle_timeout: Duration,
    dial: Box<Dial<T>>,
}

struct Idle<T: Read + Write, B: Body + 'static> {
    /// The idle connections, each with the time since when it is idle, the oldest first.
    connections: Vec<(Instant, PooledConnection<T, B>)>,
    /// True while a task runs that closes expired connections.
    has_reaper: bool,
}

impl<T: Read + Write, B: Body> fmt::Debug for Pool<T, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pool")
    }
}

/// A request that failed before its response head.
#[derive(Debug)]
pub(crate) enum SendError {
    /// The connection could not be opened. The request was not sent.
    Connect(BoxError),
    /// The connection broke before the response head.
    Broken(hyper::Error),
    /// A connection that had been idle broke before the response head: the server may have closed it while the request was
    /// being sent.
    StaleConnection(hyper::Error),
}

impl<T, B> Pool<T, B>
where
    T: Read + Write + Unpin + Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    /// Creates an empty pool; `dial` opens connections, and each is closed after `idle_timeout` without use.
    pub(crate) fn new<F>(idle_timeout: Duration, dial: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<T, BoxError>> + Send + 'static,
    {
        let idle = Mutex::new(Idle { connections: Vec::new(), has_reaper: false });
        Self { idle, idle_timeout, dial: Box::new(move || Box::pin(dial())) }
    }

    /// Sends a request over an idle connection or a new one. Its target and `host` header are sent unchanged.
    /// An idle connection is taken immediately, before the future is polled. Dropping the future, or the response body
    /// before its end, closes the connection.
    ///
    /// # Errors
    /// [`SendError`], if there is no response head.
    pub(crate) fn send(
        self: Arc<Self>,
        request: Request<B>,
    ) -> impl Future<Output = Result<Response<PooledBody<T, B>>, SendError>> {
        // The request is started outside of the async block: a future that captures a request stores it twice.
        let started = match self.take() {
            Some(mut connection) => Ok((connection.start_request(request), connection)),
            None => Err(request),
        };
        async move {
            let unsent = match started {
                Ok((response, mut connection)) => {
                    let mut response = pin!(response);
                    match poll_fn(|cx| connection.poll_with(cx, |cx| response.as_mut().poll(cx))).await {
                        Ok(response) => {
                            return Ok(response.map(|body| PooledBody::new(body, connection, self)));
                        }
                        Err(error) => unsent(error).map_err(SendError::StaleConnection)?,
                    }
                }
                Err(request) => request,
            };
            // Boxed, because dials are rare and their future is large: every call would move it.
            Box::pin(self.send_or_dial(unsent)).await
        }
    }

    async fn send_or_dial(
        self: Arc<Self>,
        mut request: Request<B>,
    ) -> Result<Response<PooledBody<T, B>>, SendError> {
        while let Some(mut connection) = self.take() {
            match connection.send(request).await {
                Ok(response) => return Ok(response.map(|body| PooledBody::new(body, connection, self))),
                Err(error) => request = unsent(error).map_err(SendError::StaleConnection)?,
            }
        }
        let io = (self.dial)().await.map_err(SendError::Connect)?;
        let mut connection = PooledConnection::handshake(io).await.map_err(SendError::Broken)?;
        match connection.send(request).await {
            Ok(response) => Ok(response.map(|body| PooledBody::new(body, connection, self))),
            Err(error) => Err(SendError::Broken(error.into_error())),
        }
    }

    fn idle(&self) -> MutexGuard<'_, Idle<T, B>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the open connection that was used last.
    fn take(&self) -> Option<PooledConnection<T, B>> {
        loop {
            let taken = self.idle().connections.pop();
            let (since, mut connection) = taken?;
            // The task that closes expired connections may be late, or stopped with its runtime.
            if since + self.idle_timeout > Instant::now() && connection.is_open() {
                return Some(connection);
            }
        }
    }

    fn put(self: &Arc<Self>, connection: PooledConnection<T, B>) {
        let now = Instant::now();
        let mut idle = self.idle();
        idle.connections.push((now, connection));
        if idle.has_reaper {
            return;
        }
        // Without a runtime no socket works either.
        if let Ok(runtime) = Handle::try_current() {
            idle.has_reaper = true;
            runtime.spawn(reap(Arc::downgrade(self), now + self.idle_timeout));
        }
    }

    /// Closes the connections that have expired by `now`, and returns when the next one expires.
    fn expire(&self, now: Instant) -> Option<Instant> {
        let mut idle = self.idle();
        let old = idle.connections.partition_point(|(since, _)| *since + self.idle_timeout <= now);
        let expired: Vec<_> = idle.connections.drain(..old).collect();
        let next = idle.connections.first().map(|(since, _)| *since + self.idle_timeout);
        idle.has_reaper = next.is_some();
        drop(idle); // sockets are closed without the lock
        drop(expired);
        next
    }
}

/// Returns the request if it was not sent, because its connection was closed while idle.
fn unsent<B>(mut error: TrySendError<Request<B>>) -> hyper::Result<Request<B>> {
    error.take_message().ok_or_else(|| error.into_error())
}

/// Closes idle connections as they expire, until none is left.
async fn reap<T, B>(pool: Weak<Pool<T, B>>, first: Instant)
where
    T: Read + Write + Unpin + Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let mut next = Some(first);
    while let Some(at) = next {
        sleep_until(at).await;
        next = pool.upgrade().and_then(|pool| pool.expire(Instant::now()));
    }
}
