//! Where an answer's bytes come from, and the clocks that watch over it: [`Source`].

use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http_body::Body;
use pin_project_lite::pin_project;

use super::{
    clocks::{Due, Running, Timer},
    fault::Fault,
    wire::Wire,
};

pin_project! {
    /// A wire and its clocks.
    #[derive(Debug)]
    pub(super) struct Source {
        wire: Wire,
        clocks: Running,
        #[pin]
        timer: Timer,
    }
}

/// What happens next.
#[derive(Debug)]
pub(super) enum Beat {
    /// Bytes came; `true`: the last ones.
    Data(Bytes, bool),
    /// There is no more, and that is as it should be.
    End,
    /// The head was held long enough. Told once.
    Held,
    /// The wire broke, or a clock ran out.
    Fault(Fault),
}

impl Source {
    pub(super) fn new(wire: Wire, clocks: Running) -> Self {
        Self { wire, clocks, timer: Timer::default() }
    }

    /// The clocks that run.
    pub(super) fn clocks(self: Pin<&mut Self>) -> &mut Running {
        self.project().clocks
    }

    /// The answer is committed.
    pub(super) fn commit(self: Pin<&mut Self>) {
        self.project().wire.merge_bursts();
    }

    /// Whether there is no use in looking: nothing has come since somebody looked for this task, which will be woken when
    /// something does, or is due.
    pub(super) fn rests(&self, task: &Waker) -> bool {
        self.wire.rests(task) && self.clocks.rest(&self.timer, task)
    }

    pub(super) fn poll_beat(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Beat> {
        let this = self.project();
        loop {
            match Pin::new(&mut *this.wire).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    if let Err(fault) = this.clocks.life() {
                        return Poll::Ready(Beat::Fault(fault));
                    }
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Beat::Data(data, this.wire.is_end_stream()));
                    }
                }
                Poll::Ready(Some(Err(fault))) => return Poll::Ready(Beat::Fault(fault)),
                Poll::Ready(None) => return Poll::Ready(Beat::End),
                Poll::Pending => break,
            }
        }
        this.clocks.poll(this.timer, cx).map(|due| match due {
            Due::Fault(fault) => Beat::Fault(fault),
            Due::Hold => {
                this.clocks.let_go();
                Beat::Held
            }
        })
    }
}
