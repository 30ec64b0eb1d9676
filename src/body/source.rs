//! An upstream body with its timeouts: [`Source`].

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

/// An upstream body with its timeouts.
#[derive(Debug)]
pub(crate) struct Source {
    timer: Timer,
    timeouts: RunningTimeouts,
    upstream: UpstreamBody,
}

/// The next event of a source.
#[derive(Debug)]
pub(crate) enum SourceEvent {
    /// A data frame; `true` for the last one.
    Data(Bytes, bool),
    /// The regular end of the body, or of a complete stream.
    End,
    /// The longest hold of the head has passed. Reported once.
    HoldElapsed,
    /// The connection failed, or a timeout expired.
    Error(BodyError),
}

impl Source {
    pub(crate) fn new(upstream: UpstreamBody, timeouts: RunningTimeouts) -> Self {
        Self { timer: Timer::default(), timeouts, upstream }
    }

    /// Returns the timeouts.
    pub(crate) fn timeouts(&mut self) -> &mut RunningTimeouts {
        &mut self.timeouts
    }

    /// Marks the response as committed: bursts are coalesced from here on.
    pub(crate) fn commit(&mut self) {
        self.upstream.coalesce_bursts();
    }

    pub(crate) fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<SourceEvent> {
        loop {
            match Pin::new(&mut self.upstream).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    let is_last = self.upstream.is_end_stream();
                    if let Err(error) = self.timeouts.record_frame(is_last) {
                        return Poll::Ready(SourceEvent::Error(error));
                    }
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(SourceEvent::Data(data, is_last));
                    }
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(SourceEvent::Error(error)),
                Poll::Ready(None) => return Poll::Ready(SourceEvent::End),
                Poll::Pending => break,
            }
        }
        self.timeouts.poll(&mut self.timer, cx).map(|due| match due {
            Due::Error(error) => SourceEvent::Error(error),
            Due::End => SourceEvent::End,
            Due::Hold => {
                self.timeouts.release_hold();
                SourceEvent::HoldElapsed
            }
        })
    }
}
