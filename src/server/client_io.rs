//! The I/O object of a client's connection, [`ClientIo`]: adds a write timeout and a lingering close to a socket.

use std::{
    future::Future,
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf, Take},
    net::{TcpStream, UnixStream},
    time::{Sleep, sleep},
};
use tokio_rustls::server::TlsStream;

use super::{waiting::HeadState, write_window::WriteWindow};
use crate::front::paths::Draining;

/// The maximum time for which a pending write makes no progress; then the connection is reset. The number is that of
/// nginx's `send_timeout`.
///
/// For a client that reads slowly, the kernel reports the socket as writable again once a third of its buffer is free.
pub const SEND_TIMEOUT: Duration = Duration::from_secs(60);

/// The maximum time for which a closed connection still reads and discards, until the client closes its side: nginx's
/// `lingering_close`.
///
/// A client may still be sending the body of a request that was refused. If the socket were closed at once, the kernel would
/// respond to those bytes with a reset, on which the client's kernel may discard the response.
pub(super) const LINGER_TIMEOUT: Duration = Duration::from_secs(5);

/// The maximum number of bytes that are copied into one slice: a chat, or an event.
const COPIED: usize = 2 * 1024;

/// A connection that can be closed with a reset.
pub(super) trait Reset {
    /// Makes a close discard the bytes that are not sent yet.
    fn reset(&self);
}

impl Reset for TcpStream {
    fn reset(&self) {
        // If this fails, the kernel goes on trying to send for some minutes, which is its default.
        let _result = self.set_zero_linger();
    }
}

impl Reset for UnixStream {
    /// Does nothing: the kernel has no bytes of its own to send when such a socket is closed.
    fn reset(&self) {}
}

impl<T: Reset> Reset for TlsStream<T> {
    fn reset(&self) {
        self.get_ref().0.reset();
    }
}

/// A client's socket that notifies the [`WriteWindow`] of each flush and fails a write that makes no progress for
/// [`SEND_TIMEOUT`].
///
/// Writes are vectored, so that hyper does not copy the frames of a body. hyper writes the size line, data and end of each
/// chunk as slices of their own, which costs more than a copy for events as short as a model's: up to [`COPIED`] bytes are
/// copied into one.
pub(super) struct ClientIo<T> {
    inner: TokioIo<Counted<T>>,
    window: WriteWindow,
    draining: Draining,
    /// The timer of the pending write, or of the lingering close.
    timer: Option<Pin<Box<Sleep>>>,
    /// True after the write side was shut down.
    shut_down: bool,
}

impl<T: AsyncRead> ClientIo<T> {
    pub(super) fn new(inner: T, window: WriteWindow, draining: Draining) -> Self {
        let inner = TokioIo::new(Counted { inner: inner.take(u64::MAX), head: window.head() });
        Self { inner, window, draining, timer: None, shut_down: false }
    }
}

impl<T: AsyncRead + Unpin> ClientIo<T> {
    /// Reads and discards until the client closes its side, or [`LINGER_TIMEOUT`] has passed.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // The timer is polled first: a client that never stops sending must not starve it.
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(LINGER_TIMEOUT)));
        if timer.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let mut discarded = [0; 4096];
        loop {
            let mut discarded = ReadBuf::new(&mut discarded);
            let read = ready!(Pin::new(self.inner.inner_mut().inner.get_mut()).poll_read(cx, &mut discarded));
            if read.is_err() || discarded.filled().is_empty() {
                return Poll::Ready(());
            }
        }
    }
}

impl<T: AsyncRead + Reset> ClientIo<T> {
    /// Returns the result of a write, or an error if writes have been pending for [`SEND_TIMEOUT`].
    fn timed(&mut self, cx: &mut Context<'_>, write: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if write.is_ready() {
            self.timer = None;
            return write;
        }
        ready!(self.timer.get_or_insert_with(|| Box::pin(sleep(SEND_TIMEOUT))).as_mut().poll(cx));
        self.inner.inner().inner.get_ref().reset();
        let message = format!("the client accepted no bytes for {} s", SEND_TIMEOUT.as_secs());
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, message)))
    }
}

/// A socket with reads that the [`HeadState`] of the connection counts and limits.
struct Counted<T> {
    inner: Take<T>,
    head: Arc<HeadState>,
}

impl<T: AsyncRead + Unpin> AsyncRead for Counted<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let limit = self.head.next_read()?;
        self.inner.set_limit(limit);
        if Pin::new(&mut self.inner).poll_read(cx, buffer)?.is_pending() {
            self.head.wait(cx.waker())?;
            return Poll::Pending;
        }
        self.head.received(limit - self.inner.limit());
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Counted<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(self.inner.get_mut()).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.inner.get_mut()).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.inner.get_mut()).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = slices.iter().map(|slice| slice.len()).sum();
        if slices.len() == 1 || length > COPIED {
            return Pin::new(self.inner.get_mut()).poll_write_vectored(cx, slices);
        }
        let mut copy = [0; COPIED];
        let mut end = 0;
        for slice in slices {
            copy[end..end + slice.len()].copy_from_slice(slice);
            end += slice.len();
        }
        Pin::new(self.inner.get_mut()).poll_write(cx, &copy[..length])
    }
}

impl<T: AsyncRead + Unpin> Read for ClientIo<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl<T: AsyncRead + AsyncWrite + Reset + Unpin> Write for ClientIo<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.timed(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.timed(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.inner).poll_flush(cx))?;
        if self.window.flushed() {
            // hyper does not poll a pending body again by itself; this connection's task polls it.
            cx.waker().wake_by_ref();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.shut_down {
            ready!(Pin::new(&mut self.inner).poll_shutdown(cx))?;
            self.shut_down = true;
            self.timer = None;
        }
        // Idle clients do not notice that the server shuts down, so a graceful shutdown does not wait for them.
        if !self.draining.has_begun() {
            ready!(self.poll_linger(cx));
        }
        Poll::Ready(Ok(()))
    }
}
