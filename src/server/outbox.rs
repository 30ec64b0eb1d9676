//! The limit of response bytes that wait for a client: [`Outbox`], and the body that keeps it, [`Paced`].
//!
//! hyper has one number for what it reads ahead and for what it queues for a slow reader, and asks a body for more until
//! the queue holds that much. Prompts want it large, readers who take nothing want it small. So the queue is bounded
//! here: from the moment at which [`AHEAD`] bytes were given to hyper, the body has nothing to say until the socket has
//! taken all of them. Nor are more than [`MOST`] given till then, so that a long frame goes in pieces: hyper copies what it
//! queues into one buffer per connection ([`Line`](super::line::Line) says why), and that stays as large as it once was.
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

use bytes::Bytes;
use http::{HeaderValue, Response, header};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::listener::Crowd;
use crate::body::with_held;

/// The number of bytes that may wait for a reader, besides the piece that exceeds it.
pub(super) const AHEAD: usize = 4 * 1024;

/// And so many with that: hyper's buffer begins with 8 KB, and with the head and the frames of chunks this leaves it there.
pub(super) const MOST: usize = 7 * 1024;

/// The state that the responses of one connection share; each has a clone.
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
        let mut answer = answer.map(|inner| Paced { inner, rest: Bytes::new(), outbox: self });
        if crowded {
            answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }

    /// Notes that the kernel has taken all of it. Returns true if a body may be waiting for that.
    pub(super) fn flushed(&self) -> bool {
        let given = self.given();
        if given > 0 {
            self.shared.given.store(0, Relaxed);
        }
        given >= AHEAD
    }

    fn given(&self) -> usize {
        self.shared.given.load(Relaxed)
    }

    /// Counts bytes that are passed to hyper.
    fn give(&self, bytes: usize) {
        self.shared.given.store(self.given() + bytes, Relaxed);
    }
}

pin_project! {
    /// A body that waits for its reader.
    #[derive(Debug)]
    pub(super) struct Paced<B> {
        #[pin]
        inner: B,
        // What is still to be given of the last frame.
        rest: Bytes,
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
        let given = this.outbox.given();
        if given >= AHEAD {
            // The task is woken when the connection has been flushed, by the line.
            return Poll::Pending;
        }
        if this.rest.is_empty() {
            match ready!(this.inner.poll_frame(cx)).map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => *this.rest = data,
                Some(Ok(Err(other))) => return Poll::Ready(Some(Ok(other))),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
        let room = MOST - given;
        let piece =
            if this.rest.len() <= room { std::mem::take(this.rest) } else { this.rest.split_to(room) };
        this.outbox.give(piece.len());
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        with_held(self.inner.size_hint(), self.rest.len())
    }
}
