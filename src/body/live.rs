//! An answer under way: [`Live`] joins where the bytes come from and what they are.

use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::{
    clocks::Running,
    handle::Handles,
    source::{Beat, Source},
};
use crate::error::StreamBreak;

/// What an answer's bytes are taken for. Pure: no I/O, no clock.
pub(crate) trait Content {
    /// Takes what came.
    fn take(&mut self, piece: Bytes) -> Result<(), StreamBreak>;
    /// The connection says that this was all: whether it was.
    fn close(&mut self) -> Result<(), StreamBreak>;
    /// Gives what goes to the client next.
    fn pop(&mut self) -> Option<Bytes>;
    /// Tells the clocks what was seen.
    fn mark(&mut self, clocks: &mut Running) {
        clocks.progress();
    }
}

/// An answer under way.
// In this order: what each event looks at lies together, on few lines of the cache.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Live<C> {
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
    Some,
    /// The head was held long enough.
    Held,
}

/// What goes to the client.
#[derive(Debug)]
pub(crate) enum Pop {
    Data(Bytes),
    Over(Result<(), StreamBreak>),
}

impl<C: Content> Live<C> {
    pub(crate) fn new(source: Source, content: C) -> Box<Self> {
        Box::new(Self { source, over: None, content, handles: Handles::default() })
    }

    /// Takes in what comes next.
    pub(crate) fn poll_progress(&mut self, cx: &mut Context<'_>) -> Poll<Progress> {
        let over = match ready!(self.source.poll_beat(cx)) {
            Beat::Held => return Poll::Ready(Progress::Held),
            Beat::BodyError(fault) => Some(Err(fault.into())),
            Beat::End => Some(self.content.close()),
            Beat::Data(piece, last) => {
                let taken = self.content.take(piece);
                self.content.mark(self.source.clocks());
                match taken {
                    Err(broken) => Some(Err(broken)),
                    Ok(()) if last => Some(self.content.close()),
                    Ok(()) => None,
                }
            }
        };
        self.over = over;
        Poll::Ready(Progress::Some)
    }

    /// Gives what goes to the client next.
    pub(crate) fn poll_pop(&mut self, cx: &mut Context<'_>) -> Poll<Pop> {
        loop {
            if let Some(data) = self.content.pop() {
                return Poll::Ready(Pop::Data(data));
            }
            if let Some(over) = self.over.take() {
                return Poll::Ready(Pop::Over(over));
            }
            // A server asks three times for each event, and after the first there is nothing new.
            if self.source.rests(cx.waker()) {
                return Poll::Pending;
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
    pub(crate) fn clocks(&mut self) -> &mut Running {
        self.source.clocks()
    }
}
