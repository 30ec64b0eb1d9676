//! An answer under way: [`Live`] joins where the bytes come from and what they are.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use pin_project_lite::pin_project;

use super::{
    clocks::Running,
    fault::Break,
    handle::Handles,
    source::{Beat, Source},
};

/// What an answer's bytes are taken for. Pure: no I/O, no clock.
pub(super) trait Content {
    /// Takes what came.
    fn take(&mut self, piece: Bytes) -> Result<(), Break>;
    /// The connection says that this was all: whether it was.
    fn close(&mut self) -> Result<(), Break>;
    /// Gives what goes to the client next.
    fn pop(&mut self) -> Option<Bytes>;
    /// Tells the clocks what was seen.
    fn mark(&mut self, clocks: &mut Running) {
        clocks.progress();
    }
}

pin_project! {
    /// An answer under way.
    #[derive(Debug)]
    pub(super) struct Live<C> {
        #[pin]
        source: Source,
        pub(super) content: C,
        // How the upstream's side ended. What it gave may still have to go out.
        pub(super) over: Option<Result<(), Break>>,
        // After the source, so that a connection is free before anybody hears so.
        handles: Handles,
    }
}

/// What came of one look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Something came, or it is over: see there.
    Some,
    /// The head was held long enough.
    Held,
}

/// What goes to the client.
#[derive(Debug)]
pub(super) enum Pop {
    Data(Bytes),
    Over(Result<(), Break>),
}

impl<C: Content> Live<C> {
    pub(super) fn new(source: Source, content: C) -> Pin<Box<Self>> {
        Box::pin(Self { source, content, over: None, handles: Handles::default() })
    }

    /// Takes in what comes next.
    pub(super) fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Progress> {
        let mut this = self.project();
        let over = match ready!(this.source.as_mut().poll_beat(cx)) {
            Beat::Held => return Poll::Ready(Progress::Held),
            Beat::Fault(fault) => Some(Err(fault.into())),
            Beat::End => Some(this.content.close()),
            Beat::Data(piece, last) => {
                let taken = this.content.take(piece);
                this.content.mark(this.source.clocks());
                match taken {
                    Err(broken) => Some(Err(broken)),
                    Ok(()) if last => Some(this.content.close()),
                    Ok(()) => None,
                }
            }
        };
        *this.over = over;
        Poll::Ready(Progress::Some)
    }

    /// Gives what goes to the client next.
    pub(super) fn poll_pop(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Pop> {
        loop {
            let this = self.as_mut().project();
            if let Some(data) = this.content.pop() {
                return Poll::Ready(Pop::Data(data));
            }
            if let Some(over) = this.over.take() {
                return Poll::Ready(Pop::Over(over));
            }
            // A server asks three times for each event, and after the first there is nothing new.
            if self.source.rests(cx.waker()) {
                return Poll::Pending;
            }
            ready!(self.as_mut().poll_progress(cx));
        }
    }

    /// What is known of the content.
    pub(super) fn content(self: Pin<&mut Self>) -> &mut C {
        self.project().content
    }

    /// How the upstream's side ended, if it has.
    pub(super) fn over(self: Pin<&mut Self>) -> &mut Option<Result<(), Break>> {
        self.project().over
    }

    /// Who hears the end.
    pub(super) fn handles(self: Pin<&mut Self>) -> &mut Handles {
        self.project().handles
    }

    /// The answer is committed.
    pub(super) fn commit(self: Pin<&mut Self>) {
        self.project().source.commit();
    }

    /// The clocks that run.
    pub(super) fn clocks(self: Pin<&mut Self>) -> &mut Running {
        self.project().source.clocks()
    }
}
