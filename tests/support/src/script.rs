//! Bodies that follow a script.

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

/// A step of a script.
#[derive(Clone, Debug)]
pub enum Step {
    /// A frame of these bytes.
    Data(Bytes),
    /// No frame at one poll, and no wake: the task polls again for a reason of its own.
    Pending,
    /// No frame at one poll, and the task is woken.
    Yield,
    /// No frame for this long.
    Wait(Duration),
    /// No frame any more, and no end.
    Hang,
}

impl Step {
    fn data(&self) -> Option<&Bytes> {
        match self {
            Self::Data(bytes) => Some(bytes),
            Self::Pending | Self::Yield | Self::Wait(_) | Self::Hang => None,
        }
    }
}

/// The steps of a body.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// Steps to come; the body ends after the last.
    pub steps: VecDeque<Step>,
    /// The size hint is exact, so that a server announces the length.
    pub sized: bool,
    /// The number of bytes that were polled so far, of all bodies of this script.
    pub given: Arc<AtomicUsize>,
}

impl Script {
    /// Returns a script of `count` frames of `length` bytes.
    #[must_use]
    pub fn frames(count: usize, length: usize) -> Self {
        std::iter::repeat_n(Step::Data(vec![b'x'; length].into()), count).collect()
    }

    /// Returns a script of these frames, the first at once and then one each `interval`; after the last interval the body
    /// ends.
    #[must_use]
    pub fn paced(interval: Duration, frames: impl IntoIterator<Item = Bytes>) -> Self {
        frames.into_iter().flat_map(|frame| [Step::Data(frame), Step::Wait(interval)]).collect()
    }

    /// Adds a step.
    #[must_use]
    pub fn then(mut self, step: Step) -> Self {
        self.steps.push_back(step);
        self
    }

    /// Returns all bytes to come.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.steps.iter().filter_map(Step::data).flat_map(|bytes| bytes.iter().copied()).collect()
    }

    /// Returns the number of bytes to come.
    #[must_use]
    pub fn length(&self) -> usize {
        self.steps.iter().filter_map(Step::data).map(Bytes::len).sum()
    }

    /// Returns a body that follows this script.
    #[must_use]
    pub const fn into_body(self) -> Scripted {
        Scripted { script: self, waiting: None }
    }
}

impl FromIterator<Step> for Script {
    fn from_iter<I: IntoIterator<Item = Step>>(steps: I) -> Self {
        Self { steps: steps.into_iter().collect(), ..Self::default() }
    }
}

/// A body that follows a [`Script`].
#[derive(Debug)]
pub struct Scripted {
    script: Script,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Body for Scripted {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Self { script, waiting } = self.get_mut();
        loop {
            if let Some(sleep) = waiting {
                ready!(sleep.as_mut().poll(cx));
                *waiting = None;
            }
            match script.steps.pop_front() {
                None => return Poll::Ready(None),
                Some(Step::Data(bytes)) => {
                    script.given.fetch_add(bytes.len(), Ordering::SeqCst);
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                Some(Step::Pending) => return Poll::Pending,
                Some(Step::Yield) => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Some(Step::Wait(time)) => *waiting = Some(Box::pin(sleep(time))),
                Some(Step::Hang) => {
                    script.steps.push_front(Step::Hang);
                    return Poll::Pending;
                }
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self.script.sized {
            true => SizeHint::with_exact(self.script.length() as u64),
            false => SizeHint::default(),
        }
    }
}
