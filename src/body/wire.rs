//! What an upstream client gives: [`Wire`].

use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Sleep, sleep};

use super::merge::Merge;
use crate::error::Fault;

/// The body of an upstream's answer, as it comes.
#[derive(Debug)]
pub struct Wire(Inner);

#[derive(Debug)]
enum Inner {
    /// From a connection, its bursts merged.
    Connection(Merge<Box<dyn Connection>>),
    /// From a script: a `mock_response`, or a test.
    Canned(Canned),
}

/// The body of an answer on a connection.
pub(crate) trait Connection:
    Body<Data = Bytes, Error = hyper::Error> + fmt::Debug + Send + Unpin
{
    /// Returns true when nothing has come since `task` asked for a frame and `task` is woken when something does, and
    /// false when that is not known.
    fn rests(&self, task: &Waker) -> bool;
}

/// HTTP/2 shares a connection among many answers.
impl Connection for Incoming {
    fn rests(&self, _: &Waker) -> bool {
        false
    }
}

impl Wire {
    /// A scripted body, for answers that need no connection.
    #[must_use]
    pub fn canned(steps: impl IntoIterator<Item = Step>) -> Self {
        Self(Inner::Canned(Canned { steps: steps.into_iter().collect(), pause: None }))
    }

    /// A scripted body that is there at once.
    #[must_use]
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        Self::canned([Step::Data(bytes.into())])
    }

    /// Whether nothing has come since this task looked last, which will be woken when something does. Where that cannot be
    /// told it is not so.
    pub(super) fn rests(&self, task: &Waker) -> bool {
        match &self.0 {
            Inner::Connection(merge) => merge.is_empty() && merge.inner().rests(task),
            Inner::Canned(_) => false,
        }
    }

    /// From now on bursts are merged: the first content has gone.
    pub(super) const fn merge_bursts(&mut self) {
        if let Inner::Connection(merge) = &mut self.0 {
            merge.begin();
        }
    }
}

impl<C: Connection + 'static> From<C> for Wire {
    fn from(connection: C) -> Self {
        Self(Inner::Connection(Merge::new(Box::new(connection))))
    }
}

impl Body for Wire {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        match &mut self.get_mut().0 {
            // What hyper says about it may name addresses; all that matters is that there is no more.
            Inner::Connection(merge) => Pin::new(merge).poll_frame(cx).map_err(|_| Fault::Cut),
            Inner::Canned(canned) => canned.poll_step(cx).map(|step| step.map(|data| data.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Inner::Connection(merge) => merge.is_end_stream(),
            Inner::Canned(canned) => canned.steps.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Connection(merge) => merge.size_hint(),
            Inner::Canned(_) => SizeHint::default(),
        }
    }
}

/// One step of a scripted body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// These bytes come.
    Data(Bytes),
    /// Nothing comes for so long.
    Wait(Duration),
    /// Nothing comes any more, and no end either.
    Hang,
    /// The connection breaks.
    Cut,
}

/// A scripted body.
struct Canned {
    steps: VecDeque<Step>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl fmt::Debug for Canned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Canned").field("steps", &self.steps.len()).finish()
    }
}

impl Canned {
    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Fault>>> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            match self.steps.pop_front() {
                None => return Poll::Ready(None),
                Some(Step::Data(data)) => return Poll::Ready(Some(Ok(data))),
                Some(Step::Wait(time)) => self.pause = Some(Box::pin(sleep(time))),
                Some(Step::Hang) => {
                    self.steps.push_front(Step::Hang);
                    return Poll::Pending;
                }
                Some(Step::Cut) => {
                    self.steps.clear();
                    return Poll::Ready(Some(Err(Fault::Cut)));
                }
            }
        }
    }
}
