//! How far an answer may run ahead of its reader: [`Outbox`], and the body that keeps to it, [`Paced`].
//!
//! hyper has one number for what it reads ahead and for what it queues for a slow reader, and asks a body for more until
//! the queue holds that much. Prompts want it large, readers who take nothing want it small. So the queue is bounded
//! here: from the moment at which [`AHEAD`] bytes were given to hyper, the body has nothing to say until the socket has
//! taken all of them.
//!
//! This leans on three habits of hyper's HTTP/1 server, each held by a test: it polls body and connection in one task; it
//! flushes after a body had nothing to say; and it flushes the connection itself only when its queue is empty.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

/// So many bytes may wait for a reader, and one frame more.
pub(super) const AHEAD: usize = 8 * 1024;

/// The bytes of one connection that were given to hyper since its queue was last empty.
///
/// Read and written by the task of that connection alone: it is atomic only because tasks change threads.
#[derive(Clone, Debug, Default)]
pub(super) struct Outbox {
    given: Arc<AtomicUsize>,
}

impl Outbox {
    /// A body that gives no more than has room here.
    pub(super) const fn paced<B>(self, inner: B) -> Paced<B> {
        Paced { inner, outbox: self }
    }

    /// All of it is with the kernel. Whether a body may be waiting for that.
    pub(super) fn empty(&self) -> bool {
        let was_full = self.is_full();
        self.given.store(0, Relaxed);
        was_full
    }

    fn is_full(&self) -> bool {
        self.given.load(Relaxed) >= AHEAD
    }

    fn put(&self, bytes: usize) {
        self.given.store(self.given.load(Relaxed).saturating_add(bytes), Relaxed);
    }
}

pin_project! {
    /// A body that waits for its reader.
    #[derive(Debug)]
    pub(super) struct Paced<B> {
        #[pin]
        inner: B,
        outbox: Outbox,
    }
}

impl<B> Body for Paced<B>
where
    B: Body<Data = Bytes>,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        if this.outbox.is_full() {
            // The task is woken when the connection has been flushed, by the line.
            return Poll::Pending;
        }
        let frame = ready!(this.inner.poll_frame(cx));
        if let Some(Ok(frame)) = &frame {
            this.outbox.put(frame.data_ref().map_or(0, Buf::remaining));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
