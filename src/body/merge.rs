//! Merging without delay: [`Merge`].
//!
//! hyper's HTTP/1 client reads on a task of its own and hands every chunk through a channel of one slot: of a burst of
//! 64 events a body sees one, and 63 lie in a buffer that it cannot reach. Each then costs two task switches, a frame
//! and a write. So the innermost body, with something in hand and nothing ready, wakes itself and lets the scheduler run
//! the connection's task; only after two such turns in vain does it let go of what it has. No timer is waited for, and
//! a frame that comes alone passes through untouched, at most two turns of the scheduler later.
//!
//! Turns are spent where they pay. Until [`Merge::begin`] every frame goes at once: a head that is held waits for it.
//! And where frames come alone, as they do in a chat at the pace of a model, more and more of them pass without a turn
//! before another one is given the chance to be a burst.
//!
//! Two turns is observed, not derived: under load one was too few, and four merged no more. If the scheduler or hyper's
//! channel change, merging is lost and nothing else; a test counts the pieces of a burst over a socket.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};

/// How often the scheduler gets a turn before a batch is let go.
const TURNS: u8 = 2;
/// How many frames pass without a turn at most, after others have come alone.
const LONE: u8 = 16;
/// How many bytes end a batch: what a reader who takes nothing costs grows with it.
const BATCH: usize = 8 * 1024;

/// A body whose frames are merged as far as they come in one burst. Trailers are dropped.
#[derive(Debug)]
pub struct Merge<B: Body> {
    inner: B,
    held: Held,
    turns: u8,
    /// How many frames will pass without a turn, and how many did after the last one that came alone.
    passing: u8,
    lone: u8,
    /// What came after the frames in hand, to be told once they are gone.
    end: Option<Result<(), B::Error>>,
}

/// A frame in hand, copied only when a second one joins it; the buffer goes away with the batch.
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

impl<B: Body> Merge<B> {
    /// Gives the frames of `inner`, and merges none before [`begin`](Self::begin).
    pub const fn new(inner: B) -> Self {
        Self { inner, held: Held::Nothing, turns: 0, passing: u8::MAX, lone: 0, end: None }
    }

    /// From now on bursts are merged.
    pub const fn begin(&mut self) {
        self.passing = 0;
    }

    /// Whether a frame in hand is to wait for others once more.
    const fn waits(&mut self) -> bool {
        let waits = self.passing == 0 && self.turns < TURNS;
        self.turns += 1;
        waits
    }

    /// Learns from what goes.
    fn learn(&mut self) {
        match self.held {
            Held::Many(_) => (self.passing, self.lone) = (0, 0),
            // In vain.
            Held::One(_) if self.turns > TURNS && self.passing == 0 => {
                self.lone = (self.lone * 2).clamp(1, LONE);
                self.passing = self.lone;
            }
            // Before the beginning all pass.
            Held::One(_) | Held::Nothing if self.passing == u8::MAX => {}
            Held::One(_) | Held::Nothing => self.passing = self.passing.saturating_sub(1),
        }
        self.turns = 0;
    }

    /// Whether a frame is in hand: `Pending` then does not mean that the other side is silent.
    pub fn is_holding(&self) -> bool {
        self.held.len() > 0
    }
}

impl<B> Body for Merge<B>
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
        while this.end.is_none() && this.held.len() < BATCH {
            match Pin::new(&mut this.inner).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    this.turns = 0;
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
                Poll::Pending if this.waits() => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Poll::Pending => break,
            }
        }
        this.learn();
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
        let (inner, held) = (self.inner.size_hint(), self.held.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower() + held);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + held);
        }
        hint
    }
}
