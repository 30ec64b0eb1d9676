//! Where an answer's bytes come from, and the clocks that watch over it: [`Source`].

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::Body;

use super::{
    timeouts::{Due, RunningTimeouts, Timer},
    upstream_body::UpstreamBody,
};
use crate::error::BodyError;

/// A wire and its clocks.
#[derive(Debug)]
pub(crate) struct Source {
    timer: Timer,
    timeouts: RunningTimeouts,
    upstream: UpstreamBody,
}

/// What happens next.
#[derive(Debug)]
pub(crate) enum SourceEvent {
    /// Bytes came; `true`: the last ones.
    Data(Bytes, bool),
    /// There is no more, and that is as it should be.
    End,
    /// The head was held long enough. Told once.
    HoldElapsed,
    /// The wire broke, or a clock ran out.
    Error(BodyError),
}

impl Source {
    pub(crate) fn new(upstream: UpstreamBody, timeouts: RunningTimeouts) -> Self {
        Self { timer: Timer::default(), timeouts, upstream }
    }

    /// The clocks that run.
    pub(crate) fn timeouts(&mut self) -> &mut RunningTimeouts {
        &mut self.timeouts
    }

    /// The answer is committed.
    pub(crate) fn commit(&mut self) {
        self.upstream.coalesce_bursts();
    }

    pub(crate) fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<SourceEvent> {
        loop {
            match Pin::new(&mut self.upstream).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    if let Err(error) = self.timeouts.life() {
                        return Poll::Ready(SourceEvent::Error(error));
                    }
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(SourceEvent::Data(data, self.upstream.is_end_stream()));
                    }
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(SourceEvent::Error(error)),
                Poll::Ready(None) => return Poll::Ready(SourceEvent::End),
                Poll::Pending => break,
            }
        }
        self.timeouts.poll(&mut self.timer, cx).map(|due| match due {
            Due::Error(error) => SourceEvent::Error(error),
            Due::Hold => {
                self.timeouts.release_hold();
                SourceEvent::HoldElapsed
            }
        })
    }
}
