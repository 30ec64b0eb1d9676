//! A client's connection, and how it takes what is written: [`Line`].

use std::{
    future::Future,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{Sleep, sleep},
};

use super::outbox::Outbox;

/// A client that takes not a byte for so long, while there is something for it, has gone: nginx's `send_timeout`.
///
/// Of a client that takes a little now and then the kernel tells us when a third of its buffer is free.
pub const SEND: Duration = Duration::from_secs(60);

/// A connection that can be given up without a word.
pub(super) trait Reset {
    /// From now on closing it throws away what it has not sent.
    fn reset(&self);
}

impl Reset for TcpStream {
    fn reset(&self) {
        // Where it fails, the kernel goes on trying to send for some minutes, as it does by default.
        let _kept = self.set_zero_linger();
    }
}

/// Tells the [`Outbox`] when all was taken, and loses patience with a client that takes nothing.
pub(super) struct Line<T> {
    inner: TokioIo<T>,
    outbox: Outbox,
    /// Runs while the client takes nothing.
    patience: Option<Pin<Box<Sleep>>>,
}

impl<T> Line<T> {
    pub(super) fn new(inner: T, outbox: Outbox) -> Self {
        Self { inner: TokioIo::new(inner), outbox, patience: None }
    }
}

impl<T: Reset> Line<T> {
    /// What comes of a write: an error, when it has been tried in vain for too long.
    fn bear(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.patience = None;
            return written;
        }
        ready!(self.patience.get_or_insert_with(|| Box::pin(sleep(SEND))).as_mut().poll(cx));
        self.inner.inner().reset();
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("the client took nothing for {} s", SEND.as_secs()),
        )))
    }
}

impl<T: AsyncRead + Unpin> Read for Line<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl<T: AsyncWrite + Reset + Unpin> Write for Line<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.bear(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.bear(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.inner).poll_flush(cx))?;
        if self.outbox.empty() {
            // hyper does not ask a body again that had nothing to say, and it is the task of this connection that asks.
            cx.waker().wake_by_ref();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
