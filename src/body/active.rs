//! A response body in progress: [`ActiveBody`] joins a source of bytes with a decoder.

use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::{
    handle::Handles,
    source::{Source, SourceEvent},
    timeouts::RunningTimeouts,
};
use crate::error::StreamBreak;

/// The interpretation of a body's bytes. Does no I/O and reads no clock.
pub(crate) trait Decoder {
    /// Decodes the next bytes.
    ///
    /// # Errors
    /// The reason why the stream must end here.
    fn take(&mut self, piece: Bytes) -> Result<(), StreamBreak>;
    /// Handles the end of the body.
    ///
    /// # Errors
    /// [`BodyError::Unfinished`](crate::error::BodyError::Unfinished) or
    /// [`BodyError::Truncated`](crate::error::BodyError::Truncated) if the response is not complete.
    fn close(&mut self) -> Result<(), StreamBreak>;
    /// Returns the next bytes for the client.
    fn pop(&mut self) -> Option<Bytes>;
    /// Makes held bytes available to the client because the memory for them is used up. Returns true if it did; otherwise the
    /// task is woken when that is necessary.
    fn release(&mut self, _: &Context<'_>) -> bool {
        false
    }
    /// Reports the decoded progress to the timeouts.
    fn mark(&mut self, timeouts: &mut RunningTimeouts) {
        timeouts.progress();
    }
}

/// A response body in progress.
#[derive(Debug)]
pub(crate) struct ActiveBody<C> {
    source: Source,
    /// The end of the upstream's part. Decoded bytes may still have to be sent.
    pub(crate) over: Option<Result<(), StreamBreak>>,
    pub(crate) content: C,
    // Dropped after the source, so that the connection is free before a handle is notified.
    handles: Handles,
}

/// The result of one poll of the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Bytes were decoded, or the upstream's part is over: see [`ActiveBody::over`].
    Advanced,
    /// The longest hold of the head has passed.
    HoldElapsed,
}

/// The next output for the client.
#[derive(Debug)]
pub(crate) enum Output {
    Data(Bytes),
    Over(Result<(), StreamBreak>),
}

impl<C: Decoder> ActiveBody<C> {
    pub(crate) fn new(source: Source, content: C) -> Box<Self> {
        Box::new(Self { source, over: None, content, handles: Handles::default() })
    }

    /// Reads and decodes the next event of the source.
    pub(crate) fn poll_progress(&mut self, cx: &mut Context<'_>) -> Poll<Progress> {
        if self.content.release(cx) {
            self.content.mark(self.source.timeouts());
            return Poll::Ready(Progress::Advanced);
        }
        let over = match ready!(self.source.poll_event(cx)) {
            SourceEvent::HoldElapsed => return Poll::Ready(Progress::HoldElapsed),
            SourceEvent::Error(error) => Some(Err(error.into())),
            SourceEvent::End => Some(self.content.close()),
            SourceEvent::Data(piece, last) => {
                let taken = self.content.take(piece);
                self.content.mark(self.source.timeouts());
                match taken {
                    Err(broken) => Some(Err(broken)),
                    Ok(()) if last => Some(self.content.close()),
                    Ok(()) => None,
                }
            }
        };
        self.over = over;
        Poll::Ready(Progress::Advanced)
    }

    /// Returns the next bytes for the client.
    pub(crate) fn poll_output(&mut self, cx: &mut Context<'_>) -> Poll<Output> {
        loop {
            if let Some(data) = self.content.pop() {
                return Poll::Ready(Output::Data(data));
            }
            if let Some(over) = self.over.take() {
                return Poll::Ready(Output::Over(over));
            }
            ready!(self.poll_progress(cx));
        }
    }

    /// Returns the handles that are notified of the outcome.
    pub(super) fn handles(&mut self) -> &mut Handles {
        &mut self.handles
    }

    /// Marks the response as committed.
    pub(crate) fn commit(&mut self) {
        self.source.commit();
    }

    /// Returns the timeouts.
    pub(crate) fn timeouts(&mut self) -> &mut RunningTimeouts {
        self.source.timeouts()
    }
}
