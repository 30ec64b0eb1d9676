//! How far an answer may run ahead of its reader: [`Outbox`], and the body that keeps to it, [`Paced`].
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

/// So many bytes may wait for a reader, and the piece that exceeds it.
pub(super) const AHEAD: usize = 4 * 1024;

/// And so many with that: hyper's buffer begins with 8 KB, and with the head and the frames of chunks this leaves it there.
pub(super) const MOST: usize = 7 * 1024;

/// So little is not told: a body and its line count for themselves, and look at what they share once in so many bytes, for
/// a stream of events once in a few.
///
/// Who waits is not forgotten by that. A body waits when it has told [`AHEAD`]; of that it may have given less than this
/// before the line said last that all was gone, so that the line has more than this to write until all is gone again.
const UNTOLD: usize = 1024;

/// What the answers of one connection share, and no other connection: each has a clone.
#[derive(Clone, Debug)]
pub(super) struct Outbox {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// The bytes that were given to hyper since its queue was last empty, as far as they were told.
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
        let mut answer = answer.map(|inner| Paced { inner, rest: Bytes::new(), given: Given::new(self) });
        if crowded {
            answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }

    /// All of it is with the kernel. Whether a body may be waiting for that.
    fn empty(&self) -> bool {
        self.shared.given.swap(0, Relaxed) >= AHEAD
    }

    /// So much more was given: how much that is in all.
    fn tell(&self, bytes: usize) -> usize {
        let given = self.shared.given.load(Relaxed) + bytes;
        self.shared.given.store(given, Relaxed);
        given
    }
}

/// What the line has written.
#[derive(Debug)]
pub(super) struct Written {
    outbox: Outbox,
    untold: usize,
}

impl Written {
    pub(super) const fn new(outbox: Outbox) -> Self {
        Self { outbox, untold: 0 }
    }

    pub(super) const fn put(&mut self, bytes: usize) {
        self.untold += bytes;
    }

    /// All of it is with the kernel. Whether a body may be waiting for that.
    pub(super) fn all(&mut self) -> bool {
        self.untold >= UNTOLD && {
            self.untold = 0;
            self.outbox.empty()
        }
    }
}

/// What a body has given.
#[derive(Debug)]
struct Given {
    outbox: Outbox,
    untold: usize,
    /// It waits until all is gone.
    full: bool,
}

impl Given {
    const fn new(outbox: Outbox) -> Self {
        // What the last answer gave may still lie there.
        Self { outbox, untold: 0, full: true }
    }

    /// Tells; how much is given in all.
    fn tell(&mut self) -> usize {
        let given = self.outbox.tell(std::mem::take(&mut self.untold));
        self.full = given >= AHEAD;
        given
    }

    fn is_full(&mut self) -> bool {
        self.full && self.tell() >= AHEAD
    }

    /// How much of so many bytes may be given, while it is not full.
    fn room(&mut self, bytes: usize) -> usize {
        if bytes < UNTOLD { bytes } else { bytes.min(MOST - self.tell()) }
    }

    fn put(&mut self, bytes: usize) {
        self.untold += bytes;
        if self.untold >= UNTOLD {
            self.tell();
        }
    }
}

impl Drop for Given {
    fn drop(&mut self) {
        self.tell();
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
        given: Given,
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
        if this.given.is_full() {
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
        let room = this.given.room(this.rest.len());
        let piece =
            if this.rest.len() <= room { std::mem::take(this.rest) } else { this.rest.split_to(room) };
        this.given.put(piece.len());
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        with_held(self.inner.size_hint(), self.rest.len())
    }
}
