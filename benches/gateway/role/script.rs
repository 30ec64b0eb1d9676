//! The scripted upstream's bodies.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Interval;

/// An answer's body.
pub(crate) enum Script {
    /// All at once.
    Whole(Option<Bytes>),
    /// Event after event.
    Events(Events),
}

/// The events of a stream and their pace.
pub(crate) struct Events {
    pub(crate) events: Arc<[Bytes]>,
    pub(crate) next: usize,
    /// Without one every event is ready at once.
    pub(crate) pace: Option<Interval>,
    /// True if the first event is repeated without end, instead of each once.
    pub(crate) endless: bool,
}

impl Events {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let Some(event) = self.events.get(if self.endless { 0 } else { self.next }) else {
            return Poll::Ready(None);
        };
        // The end itself does not wait for the clock.
        if let Some(pace) = self.pace.as_mut().filter(|_| self.next + 1 < self.events.len() || self.endless) {
            ready!(pace.poll_tick(cx));
        }
        self.next += 1;
        Poll::Ready(Some(event.clone()))
    }
}

impl Body for Script {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take()),
            Self::Events(events) => events.poll_next(cx),
        };
        next.map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Events(_) => SizeHint::default(),
        }
    }
}
