//! Coalescing of small frames, without delay: [`Coalesce`].
//!
//! A burst of 64 events is in the connection's buffer as 64 chunks, and hyper returns them one by one; each would cost
//! its own way through the tree, and its own write. So the innermost body reads all frames that are ready and returns
//! them as one. It never waits for a frame: no timer, no yield to the scheduler. A test counts the pieces of a burst
//! over a socket.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};

/// The size that ends a batch, in bytes. The memory of a client that does not read grows with it.
const BATCH: usize = 4 * 1024;

/// A body that joins the frames that are ready. It drops trailers.
#[derive(Debug)]
pub(super) struct Coalesce<B: Body> {
    inner: B,
    begun: bool,
    held: Held,
    /// The end or the error after the held frames, returned once they are gone.
    end: Option<Result<(), B::Error>>,
}

/// The longest frame, in bytes, that is copied before the next one is read. A frame is a slice of the buffer that hyper
/// reads into. While a slice is held hyper reads into a new buffer of 8 KB: for a stream that arrives event by event
/// this is one buffer for each event, and costs ten times the copy.
pub(super) const SHORT: usize = 2 * 1024;

/// Returns the size hint of a body with `held` bytes in front of the `rest`.
fn with_held(mut rest: SizeHint, held: usize) -> SizeHint {
    let held = held as u64;
    if let Some(upper) = rest.upper() {
        rest.set_upper(upper + held);
    }
    rest.set_lower(rest.lower() + held);
    rest
}

/// The held frames. A frame is copied if it is short, or when a second one joins it; the buffer is freed with the
/// batch.
#[derive(Debug)]
enum Held {
    Nothing,
    One(Bytes),
    Many(BytesMut),
}

impl Held {
    fn len(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::One(frame) => frame.len(),
            Self::Many(batch) => batch.len(),
        }
    }

    fn add(&mut self, frame: Bytes) {
        *self = match std::mem::replace(self, Self::Nothing) {
            Self::Nothing if frame.len() <= SHORT => Self::One(Bytes::copy_from_slice(&frame)),
            Self::Nothing => Self::One(frame),
            Self::One(first) => {
                let mut batch = BytesMut::with_capacity((first.len() + frame.len()).max(4096));
                batch.extend_from_slice(&first);
                batch.extend_from_slice(&frame);
                Self::Many(batch)
            }
            Self::Many(mut batch) => {
                batch.extend_from_slice(&frame);
                Self::Many(batch)
            }
        };
    }

    fn take(&mut self) -> Option<Bytes> {
        match std::mem::replace(self, Self::Nothing) {
            Self::Nothing => None,
            Self::One(frame) => Some(frame),
            Self::Many(batch) => Some(batch.freeze()),
        }
    }
}

impl<B: Body> Coalesce<B> {
    /// Wraps `inner`. Frames are not coalesced before [`begin`](Self::begin).
    pub(super) const fn new(inner: B) -> Self {
        Self { inner, begun: false, held: Held::Nothing, end: None }
    }

    /// Starts the coalescing of bursts.
    pub(super) const fn begin(&mut self) {
        self.begun = true;
    }

    fn takes_more(&self) -> bool {
        self.end.is_none() && self.held.len() < if self.begun { BATCH } else { 1 }
    }
}

impl<B> Body for Coalesce<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.get_mut();
        while this.takes_more() {
            match Pin::new(&mut this.inner).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data()
                        && !data.is_empty()
                    {
                        this.held.add(data);
                    }
                    if this.inner.is_end_stream() {
                        this.end = Some(Ok(()));
                    }
                }
                Poll::Ready(Some(Err(error))) => this.end = Some(Err(error)),
                Poll::Ready(None) => this.end = Some(Ok(())),
                Poll::Pending if this.held.len() == 0 => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        if let Some(batch) = this.held.take() {
            return Poll::Ready(Some(Ok(Frame::data(batch))));
        }
        match this.end.replace(Ok(())) {
            Some(Err(error)) => Poll::Ready(Some(Err(error))),
            Some(Ok(())) | None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.held.len() == 0
            && match &self.end {
                Some(end) => end.is_ok(),
                None => self.inner.is_end_stream(),
            }
    }

    fn size_hint(&self) -> SizeHint {
        with_held(self.inner.size_hint(), self.held.len())
    }
}
