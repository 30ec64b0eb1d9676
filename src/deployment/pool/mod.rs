//! HTTP/1 connections to one origin, each polled by the request that uses it: [`Pool`].
//!
//! hyper's connections are futures that make progress only when they are polled. A client usually spawns a task for each
//! and communicates through channels: every head, and every body frame, then costs two scheduler turns, and a
//! burst comes out one frame at a time. Here the request that waits for a response polls its connection. There is
//! no task, a burst in the read buffer is read at once, and a cancelled request closes the socket immediately.
//!
//! The pool differs from hyper-util's legacy client in more than that: it has one origin, dials only when no connection
//! is idle, and drops a dial when its request is cancelled. As in hyper-util, the connection that was used last is taken
//! first. Before it is used again, the kernel is asked if it was closed, or if there are bytes that no request asked for.
//! A request that fails all the same on a connection that had been idle is sent once more, on a new one, if no byte of
//! a response was received: at once if it was not sent, else by the caller ([`SendError::StaleConnection`]).
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
    io,
    mem::MaybeUninit,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body::Body;
use hyper::{
    body::Incoming,
    client::conn::TrySendError,
    rt::{Read, Write},
};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use tokio::{
    net::TcpStream,
    runtime::Handle,
    time::{Instant, sleep_until},
};
use tollgate_layers::BoxError;

pub(crate) use self::body::PooledBody;
use self::connection::PooledConnection;
use crate::body::events::is_events;

/// A TCP connection, with or without TLS.
pub(crate) type Io = MaybeHttpsStream<TokioIo<TcpStream>>;

/// A function that opens a connection. Its future is boxed, because dials are rare.
type Dial<T> = dyn Fn() -> BoxFuture<'static, Result<T, BoxError>> + Send + Sync;

/// The I/O of a pooled connection, which can tell without a read if there is something to read.
pub(crate) trait PooledIo: Read + Write + Unpin {
    /// Returns true if bytes, or the end, have arrived and were not read.
    fn has_unread(&self) -> bool;
}

impl PooledIo for Io {
    fn has_unread(&self) -> bool {
        match self {
            Self::Http(tcp) => has_unread(tcp.inner()),
            Self::Https(tls) => has_unread(tls.inner().get_ref().0.inner().inner()),
        }
    }
}

/// Asks the kernel, because the runtime may not have been notified yet.
fn has_unread(tcp: &TcpStream) -> bool {
    let peeked = SockRef::from(tcp).peek(&mut [MaybeUninit::uninit()]);
    !peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

/// A pool of connections to one origin.
pub(crate) struct Pool<T: PooledIo, B: Body + 'static> {
    idle: Mutex<Idle<T, B>>,
    dial: Box<Dial<T>>,
}

struct Idle<T: PooledIo, B: Body + 'static> {
    /// The time after which an idle connection is closed.
    timeout: Duration,
    /// The idle connections, each with the time since when it is idle, the oldest first.
    connections: Vec<(Instant, PooledConnection<T, B>)>,
    /// True while a task runs that closes expired connections.
    has_reaper: bool,
}

impl<T: PooledIo, B: Body> fmt::Debug for Pool<T, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pool")
    }
}

/// A request that failed before its response head.
#[derive(Debug)]
pub(crate) enum SendError {
    /// The connection could not be opened, or was closed at once. The request was not sent.
    Connect(BoxError),
    /// The connection broke before the response head.
    Broken(hyper::Error),
    /// A connection that had been idle broke before the first byte of a response: the server has closed it, perhaps while
    /// the request was being sent.
    StaleConnection(hyper::Error),
}

impl<T, B> Pool<T, B>
where
    T: PooledIo + Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    /// Creates an empty pool; `dial` opens connections, and each is closed after `idle_timeout` without use.
    pub(crate) fn new<F>(idle_timeout: Duration, dial: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<T, BoxError>> + Send + 'static,
    {
        let idle = Idle { timeout: idle_timeout, connections: Vec::new(), has_reaper: false };
        Self { idle: Mutex::new(idle), dial: Box::new(move || Box::pin(dial())) }
    }

    /// Replaces the time after which an idle connection is closed.
    pub(crate) fn set_idle_timeout(&self, idle_timeout: Duration) {
        self.idle().timeout = idle_timeout;
    }

    /// Sends a request, with its target and `host` header unchanged, over an idle connection, or over a new one
    /// if there is none or `fresh` is set. An idle connection is taken immediately, before the future is polled. Dropping
    /// the future, or the response body before its end, closes the connection.
    ///
    /// # Errors
    /// [`SendError`], if there is no response head.
    pub(crate) fn send(
        self: Arc<Self>,
        request: Request<B>,
        fresh: bool,
    ) -> impl Future<Output = Result<Response<PooledBody<T, B>>, SendError>> {
        // The request is started outside of the async block: a future that captures a request stores it twice.
        let started = match if fresh { None } else { self.take() } {
            Some(mut connection) => Ok((connection.start_request(request), connection)),
            None => Err(request),
        };
        async move {
            let unsent = match started {
                Ok((response, mut connection)) => {
                    let mut response = pin!(response);
                    match poll_fn(|cx| connection.poll_with(cx, |cx| response.as_mut().poll(cx))).await {
                        Ok(response) => return Ok(self.pooled(response, connection)),
                        Err(error) => unsent(error, connection)?,
                    }
                }
                Err(request) => request,
            };
            // Boxed, because dials are rare and their future is large: every call would move it.
            Box::pin(self.dial_and_send(unsent)).await
        }
    }

    async fn dial_and_send(
        self: Arc<Self>,
        request: Request<B>,
    ) -> Result<Response<PooledBody<T, B>>, SendError> {
        let io = (self.dial)().await.map_err(SendError::Connect)?;
        let mut connection = PooledConnection::handshake(io).await.map_err(SendError::Broken)?;
        match connection.send(request).await {
            Ok(response) => Ok(self.pooled(response, connection)),
            // The connection was closed before it took the request.
            Err(error) if error.message().is_some() => Err(SendError::Connect(error.into_error().into())),
            Err(error) => Err(SendError::Broken(error.into_error())),
        }
    }

    /// Returns the response with a body that polls the connection, in large reads if it is not a stream.
    fn pooled(
        self: Arc<Self>,
        response: Response<Incoming>,
        connection: PooledConnection<T, B>,
    ) -> Response<PooledBody<T, B>> {
        if !is_events(response.headers()) {
            connection.read_large();
        }
        response.map(|body| PooledBody::new(body, connection, self))
    }

    fn idle(&self) -> MutexGuard<'_, Idle<T, B>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the open connection that was used last.
    fn take(&self) -> Option<PooledConnection<T, B>> {
        loop {
            let mut idle = self.idle();
            let (timeout, taken) = (idle.timeout, idle.connections.pop());
            drop(idle);
            let (since, mut connection) = taken?;
            // The task that closes expired connections may be late, or stopped with its runtime.
            if since + timeout > Instant::now() && connection.is_open() {
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
            runtime.spawn(reap(Arc::downgrade(self), now + idle.timeout));
        }
    }

    /// Closes the connections that have expired by `now`, and returns when the next one expires.
    fn expire(&self, now: Instant) -> Option<Instant> {
        let mut idle = self.idle();
        let timeout = idle.timeout;
        let old = idle.connections.partition_point(|(since, _)| *since + timeout <= now);
        let expired: Vec<_> = idle.connections.drain(..old).collect();
        let next = idle.connections.first().map(|(since, _)| *since + timeout);
        idle.has_reaper = next.is_some();
        drop(idle); // sockets are closed without the lock
        drop(expired);
        next
    }
}

/// Returns the request if it was not sent, because the connection was closed while idle.
fn unsent<T, B>(
    mut error: TrySendError<Request<B>>,
    connection: PooledConnection<T, B>,
) -> Result<Request<B>, SendError>
where
    T: PooledIo,
    B: Body + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    error.take_message().ok_or_else(|| {
        let error = error.into_error();
        if connection.received_nothing(&error) {
            SendError::StaleConnection(error)
        } else {
            SendError::Broken(error)
        }
    })
}

/// Closes idle connections as they expire, until none is left.
async fn reap<T, B>(pool: Weak<Pool<T, B>>, first: Instant)
where
    T: PooledIo + Send + 'static,
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
