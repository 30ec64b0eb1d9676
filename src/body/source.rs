//! Where an answer's bytes come from, and the clocks that watch over it: [`Source`].

use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http_body::Body;

use super::{
    clocks::{Due, Running, Timer},
    wire::UpstreamBody,
};
use crate::error::BodyError;

/// A wire and its clocks.
// In this order: see [`Running`].
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Source {
    timer: Timer,
    clocks: Running,
    wire: UpstreamBody,
}

/// What happens next.
#[derive(Debug)]
pub(crate) enum Beat {
    /// Bytes came; `true`: the last ones.
    Data(Bytes, bool),
    /// There is no more, and that is as it should be.
    End,
    /// The head was held long enough. Told once.
    Held,
    /// The wire broke, or a clock ran out.
    BodyError(BodyError),
}

impl Source {
    pub(crate) fn new(wire: UpstreamBody, clocks: Running) -> Self {
        Self { timer: Timer::default(), clocks, wire }
    }

    /// The clocks that run.
    pub(crate) fn clocks(&mut self) -> &mut Running {
        &mut self.clocks
    }

    /// The answer is committed.
    pub(crate) fn commit(&mut self) {
        self.wire.merge_bursts();
    }

    /// Whether there is no use in looking: nothing has come since somebody looked for this task, which will be woken when
    /// something does, or is due.
    pub(crate) fn rests(&self, task: &Waker) -> bool {
        self.wire.rests(task) && self.clocks.rest(&self.timer, task)
    }

    pub(crate) fn poll_beat(&mut self, cx: &mut Context<'_>) -> Poll<Beat> {
        loop {
            match Pin::new(&mut self.wire).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    if let Err(fault) = self.clocks.life() {
                        return Poll::Ready(Beat::BodyError(fault));
                    }
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Beat::Data(data, self.wire.is_end_stream()));
                    }
                }
                Poll::Ready(Some(Err(fault))) => return Poll::Ready(Beat::BodyError(fault)),
                Poll::Ready(None) => return Poll::Ready(Beat::End),
                Poll::Pending => break,
            }
        }
        self.clocks.poll(&mut self.timer, cx).map(|due| match due {
            Due::BodyError(fault) => Beat::BodyError(fault),
            Due::Hold => {
                self.clocks.let_go();
                Beat::Held
            }
        })
    }
}
