//! An HTTP/1 connection without a task of its own: [`PooledConnection`].

use std::{
    fmt,
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
};

use http::{Request, Response};
use http_body::Body;
use hyper::{
    body::Incoming,
    client::conn::{
        TrySendError,
        http1::{Builder, Connection, SendRequest},
    },
};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf, Take};
use tollgate_layers::BoxError;

use super::{PooledIo, waker::Wakeups};

/// The limit of hyper's read buffer, in bytes. A response head that is longer is an error.
const BUFFER_LIMIT: usize = 64 * 1024;

/// The maximum number of bytes of one read. hyper's buffer begins with 8 KB, and a read that fills it makes the next one
/// larger: that would be held for each slow reader of a stream.
const MAX_READ: usize = 8 * 1024 - 1;

/// The maximum number of bytes of one read of a response that is not a stream.
const MAX_LARGE_READ: usize = 32 * 1024;

/// The maximum number of headers in a response.
const MAX_HEADERS: usize = 256;

/// The number of rounds, of the connection and its user, in one poll of the task. hyper yields at intervals, and so does
/// tokio's socket when the task's budget is used up. Each frame needs one round.
const MAX_ROUNDS: usize = 8;

/// An HTTP/1 connection that is polled by the task of its current request.
///
/// hyper's connection is large and therefore boxed; the fields that each poll reads first are stored inline.
pub(super) struct PooledConnection<T: PooledIo, B: Body + 'static> {
    wakeups: Wakeups,
    halves: Box<Halves<T, B>>,
}

struct Halves<T: PooledIo, B: Body + 'static> {
    sender: SendRequest<B>,
    /// `None` when the connection has ended. It is dropped then: a request that it has not taken from its channel would
    /// wait for it for ever.
    connection: Option<Connection<TokioIo<LimitedReads<T>>, B>>,
    /// True if the connection ended with bytes that were received and not read.
    has_leftover: bool,
    /// The maximum number of bytes of one read; see [`LimitedReads`].
    max_read: Arc<AtomicUsize>,
}

/// The I/O of a connection, with limited reads. With a limit of zero a read reads nothing: it fails if there is something
/// to read.
///
/// hyper owns the I/O and reads an idle connection whenever it is polled, so this is how to ask the kernel about it.
struct LimitedReads<T> {
    io: Take<TokioIo<T>>,
    max_read: Arc<AtomicUsize>,
}

impl<T: PooledIo> AsyncRead for LimitedReads<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let limit = self.max_read.load(Relaxed);
        if limit > 0 {
            self.io.set_limit(limit as u64);
            return Pin::new(&mut self.io).poll_read(cx, buffer);
        }
        // Pending without a waker: the waker of an earlier read is still registered.
        if self.io.get_ref().inner().has_unread() {
            Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()))
        } else {
            Poll::Pending
        }
    }
}

impl<T: PooledIo> AsyncWrite for LimitedReads<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(self.io.get_mut()).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.io.get_mut()).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.io.get_mut()).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.get_ref().is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.io.get_mut()).poll_write_vectored(cx, slices)
    }
}

impl<T: PooledIo, B: Body> fmt::Debug for PooledConnection<T, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PooledConnection")
            .field("open", &self.halves.connection.is_some())
            .finish_non_exhaustive()
    }
}

impl<T, B> PooledConnection<T, B>
where
    T: PooledIo,
    B: Body + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    /// Creates a connection over `io`.
    pub(super) async fn handshake(io: T) -> hyper::Result<Self> {
        let max_read = Arc::new(AtomicUsize::new(MAX_READ));
        let io = LimitedReads { io: TokioIo::new(io).take(0), max_read: Arc::clone(&max_read) };
        let mut builder = Builder::new();
        builder.max_buf_size(BUFFER_LIMIT).max_headers(MAX_HEADERS);
        let (sender, connection) = builder.handshake(TokioIo::new(io)).await?;
        let halves = Box::new(Halves { sender, connection: Some(connection), has_leftover: false, max_read });
        Ok(Self { wakeups: Wakeups::default(), halves })
    }

    /// Starts a request, which is sent as the connection is polled, and returns a future of the response head. If the
    /// request was not sent, the error contains it.
    pub(super) fn start_request(
        &mut self,
        request: Request<B>,
    ) -> impl Future<Output = Result<Response<Incoming>, TrySendError<Request<B>>>> + use<T, B> {
        self.halves.sender.try_send_request(request)
    }

    /// Sends a request and polls the connection until the response head is there.
    pub(super) async fn send(
        &mut self,
        request: Request<B>,
    ) -> Result<Response<Incoming>, TrySendError<Request<B>>> {
        let mut response = pin!(self.start_request(request));
        poll_fn(|cx| self.poll_with(cx, |cx| response.as_mut().poll(cx))).await
    }

    /// Polls the connection, and then `user`, until neither makes progress.
    ///
    /// `user` gets a waker that does nothing, because only a poll of the connection can make it ready.
    pub(super) fn poll_with<R>(
        &mut self,
        cx: &mut Context<'_>,
        mut user: impl FnMut(&mut Context<'_>) -> Poll<R>,
    ) -> Poll<R> {
        if !self.wakeups.begin_poll(cx.waker()) {
            return Poll::Pending;
        }
        for _ in 0..MAX_ROUNDS {
            self.poll_connection();
            if let Poll::Ready(ready) = user(&mut Context::from_waker(Waker::noop())) {
                self.wakeups.end_poll();
                return Poll::Ready(ready);
            }
            if self.wakeups.try_end_poll() {
                return Poll::Pending;
            }
        }
        self.wakeups.end_poll();
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Ends the current use; returns true if another request can be sent.
    pub(super) fn is_reusable(&mut self) -> bool {
        self.wakeups.clear_task();
        // The server may have closed the connection in the meantime.
        self.poll_connection();
        self.is_ready()
    }

    /// Returns true if an idle connection is still usable: the kernel knows of no close, and of no byte that the server
    /// sent unasked and that would be taken for the next response.
    pub(super) fn is_open(&mut self) -> bool {
        if self.wakeups.was_woken() {
            // Reads what TLS itself has to read.
            self.poll_connection();
        }
        self.halves.max_read.store(0, Relaxed);
        self.poll_connection();
        self.halves.max_read.store(MAX_READ, Relaxed);
        self.is_ready()
    }

    /// Makes the reads of the current response large, for one that is not a stream.
    pub(super) fn read_large(&self) {
        self.halves.max_read.store(MAX_LARGE_READ, Relaxed);
    }

    /// Returns true if no byte of a response was received for a request that failed with this error.
    pub(super) fn received_nothing(mut self, error: &hyper::Error) -> bool {
        self.halves.end();
        !error.is_parse() && !error.is_user() && !self.halves.has_leftover
    }

    fn is_ready(&self) -> bool {
        self.halves.connection.is_some() && self.halves.sender.is_ready()
    }

    fn poll_connection(&mut self) {
        if let Some(connection) = &mut self.halves.connection
            // The response future or body receives the error as well.
            && Pin::new(connection).poll(&mut Context::from_waker(self.wakeups.waker())).is_ready()
        {
            self.halves.end();
        }
    }
}

impl<T, B> Halves<T, B>
where
    T: PooledIo,
    B: Body + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    /// Drops the connection.
    fn end(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.has_leftover = !connection.into_parts().read_buf.is_empty();
        }
    }
}
