//! An answer under way: [`ActiveBody`] joins where the bytes come from and what they are.

use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::{
    handle::Handles,
    source::{Source, SourceEvent},
    timeouts::RunningTimeouts,
};
use crate::error::StreamBreak;

/// What an answer's bytes are taken for. Pure: no I/O, no clock.
pub(crate) trait Decoder {
    /// Takes what came.
    fn take(&mut self, piece: Bytes) -> Result<(), StreamBreak>;
    /// The connection says that this was all: whether it was.
    fn close(&mut self) -> Result<(), StreamBreak>;
    /// Gives what goes to the client next.
    fn pop(&mut self) -> Option<Bytes>;
    /// Tells the clocks what was seen.
    fn mark(&mut self, timeouts: &mut RunningTimeouts) {
        timeouts.progress();
    }
}

/// An answer under way.
#[derive(Debug)]
pub(crate) struct ActiveBody<C> {
    source: Source,
    /// How the upstream's side ended. What it gave may still have to go out.
    pub(crate) over: Option<Result<(), StreamBreak>>,
    pub(crate) content: C,
    // After the source, so that a connection is free before anybody hears so.
    handles: Handles,
}

/// What came of one look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Something came, or it is over: see there.
    Advanced,
    /// The head was held long enough.
    HoldElapsed,
}

/// What goes to the client.
#[derive(Debug)]
pub(crate) enum Output {
    Data(Bytes),
    Over(Result<(), StreamBreak>),
}

impl<C: Decoder> ActiveBody<C> {
    pub(crate) fn new(source: Source, content: C) -> Box<Self> {
        Box::new(Self { source, over: None, content, handles: Handles::default() })
    }

    /// Takes in what comes next.
    pub(crate) fn poll_progress(&mut self, cx: &mut Context<'_>) -> Poll<Progress> {
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

    /// Gives what goes to the client next.
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

    /// Who hears the end.
    pub(super) fn handles(&mut self) -> &mut Handles {
        &mut self.handles
    }

    /// The answer is committed.
    pub(crate) fn commit(&mut self) {
        self.source.commit();
    }

    /// The clocks that run.
    pub(crate) fn timeouts(&mut self) -> &mut RunningTimeouts {
        self.source.timeouts()
    }
}
