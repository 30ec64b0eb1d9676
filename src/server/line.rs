//! A client's connection, and how it takes what is written: [`Line`].

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};

use super::outbox::Outbox;
use crate::front::paths::Draining;

/// A client that takes not a byte for so long, while there is something for it, has gone: nginx's `send_timeout`.
///
/// Of a client that takes a little now and then the kernel tells us when a third of its buffer is free.
pub const SEND: Duration = Duration::from_secs(60);

/// A client that is told to go may have something on its way to us, the rest of a prompt that was refused. Closed at once,
/// the kernel would answer that with a reset, and the client's kernel may throw our answer away. So it is taken and
/// forgotten until the client hangs up, for so long at most: nginx's `lingering_close`.
pub(super) const LINGER: Duration = Duration::from_secs(5);

/// A connection that can be given up without a word.
pub(super) trait Reset {
    /// Makes a close discard the bytes that are not sent yet.
    fn reset(&self);
}

impl Reset for TcpStream {
    fn reset(&self) {
        // Where it fails, the kernel goes on trying to send for some minutes, as it does by default.
        let _kept = self.set_zero_linger();
    }
}

/// Tells the [`Outbox`] when all was taken, and loses patience with a client that takes nothing.
///
/// It takes one buffer at a time. Into several hyper would write head, length, event and line end of a chunk as they lie,
/// which for what a model says costs more than to copy it: measured, two or three hundredths of a chat's CPU.
pub(super) struct Line<T> {
    inner: TokioIo<T>,
    outbox: Outbox,
    draining: Draining,
    /// Runs while the client takes nothing, and while it is waited for at the end.
    patience: Option<Pin<Box<Sleep>>>,
    /// Nothing is written any more.
    shut: bool,
}

impl<T> Line<T> {
    pub(super) fn new(inner: T, outbox: Outbox, draining: Draining) -> Self {
        Self { inner: TokioIo::new(inner), outbox, draining, patience: None, shut: false }
    }
}

impl<T: AsyncRead + Unpin> Line<T> {
    /// Waits for the client to hang up.
    fn linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // The clock goes first: a client that sends without end would leave it no turn.
        let patience = self.patience.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        if patience.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let mut forgotten = [0; 4096];
        loop {
            let mut forgotten = ReadBuf::new(&mut forgotten);
            let read = ready!(Pin::new(self.inner.inner_mut()).poll_read(cx, &mut forgotten));
            if read.is_err() || forgotten.filled().is_empty() {
                return Poll::Ready(());
            }
        }
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

impl<T: AsyncRead + AsyncWrite + Reset + Unpin> Write for Line<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.bear(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.inner).poll_flush(cx))?;
        if self.outbox.flushed() {
            // hyper does not ask a body again that had nothing to say, and it is the task of this connection that asks.
            cx.waker().wake_by_ref();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.shut {
            ready!(Pin::new(&mut self.inner).poll_shutdown(cx))?;
            self.shut = true;
            self.patience = None;
        }
        // When the server goes, clients that are idle do not hear of it, and nobody waits for them.
        if !self.draining.has_begun() {
            ready!(self.linger(cx));
        }
        Poll::Ready(Ok(()))
    }
}
