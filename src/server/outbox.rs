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
use http::{HeaderValue, Response, header};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::listener::Crowd;

/// So many bytes may wait for a reader, and one frame more.
pub(super) const AHEAD: usize = 8 * 1024;

/// What the answers of one connection share, and no other connection: each has a clone.
#[derive(Clone, Debug)]
pub(super) struct Outbox {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// The bytes that were given to hyper since its queue was last empty.
    ///
    /// Read and written by the task of that connection alone: it is atomic only because tasks change threads.
    given: AtomicUsize,
    crowd: Crowd,
}

impl Outbox {
    pub(super) fn new(crowd: Crowd) -> Self {
        Self { shared: Arc::new(Shared { given: AtomicUsize::new(0), crowd }) }
    }

    /// The answer with a body that gives no more than has room here. It is the last of its connection where others wait
    /// for this one's place.
    pub(super) fn paced<B>(self, answer: Response<B>) -> Response<Paced<B>> {
        let crowded = self.shared.crowd.is_there();
        let mut answer = answer.map(|inner| Paced { inner, outbox: self });
        if crowded {
            answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }

    /// All of it is with the kernel. Whether a body may be waiting for that.
    pub(super) fn empty(&self) -> bool {
        let was_full = self.is_full();
        self.shared.given.store(0, Relaxed);
        was_full
    }

    fn is_full(&self) -> bool {
        self.shared.given.load(Relaxed) >= AHEAD
    }

    fn put(&self, bytes: usize) {
        self.shared.given.store(self.shared.given.load(Relaxed).saturating_add(bytes), Relaxed);
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
