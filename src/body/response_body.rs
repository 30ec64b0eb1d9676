//! The one body type of answers: [`Body`].

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tollgate_layers::{Class, OnComplete, Outcome};

use super::{
    active::{ActiveBody, Output},
    events::Events,
    handle::OutcomeHandle,
    plain::Plain,
    resume::{Resume, ResumedOutput, ResumedStream},
};
use crate::error::{BodyError, Origin, StreamBreak};

/// An answer's body: its bytes, how it ended (or how it looks so far), and who wants to hear the end.
///
/// It *settles* once, as soon as the upstream's side is over and all is known: at a frame after which nothing is left
/// (hyper drops a body of known length without asking for its end), at the end, at an error. One that is dropped
/// before has been cancelled, and its handles are dropped unheard. One that is complete from the start has settled:
/// it holds nothing, and a handle that is fastened to it hears at once.
pub struct Body {
    state: State,
    /// A stream that has given nothing yet but what it began with.
    opening: bool,
    outcome: Outcome,
    origin: Option<Arc<Origin>>,
}

// The handles live with what is under way: an answer that is complete has none, and stays small on its way up.
enum State {
    Done,
    Full(Bytes),
    Events(Box<ActiveBody<Events>>),
    Plain(Box<ActiveBody<Plain>>),
    Resumed(Box<ResumedStream>),
}

/// What a stream is that may go on with another.
pub(crate) enum StreamPart {
    Active(Box<ActiveBody<Events>>, Outcome),
    Full(Bytes, Outcome),
}

impl Body {
    /// Nothing, well ended.
    #[must_use]
    pub fn empty() -> Self {
        Self::full(Bytes::new())
    }

    /// These bytes, well ended.
    #[must_use]
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        Self::ended(bytes, Outcome::new(Class::Success))
    }

    /// A complete answer that ended like this: what Retry and Fallback may hold without holding anything else.
    pub(crate) fn ended(bytes: impl Into<Bytes>, outcome: Outcome) -> Self {
        Self { state: State::rest(bytes.into()), opening: false, outcome, origin: None }
    }

    /// A stream whose head looks like this.
    pub(crate) fn events(active: Box<ActiveBody<Events>>, so_far: Outcome) -> Self {
        Self { state: State::Events(active), opening: true, outcome: so_far, origin: None }
    }

    /// A plain answer, too long to be held, whose head looks like this.
    pub(crate) fn plain(active: Box<ActiveBody<Plain>>, so_far: Outcome) -> Self {
        Self { state: State::Plain(active), opening: false, outcome: so_far, origin: None }
    }

    /// When this stream breaks, it goes on as `resume` says. The handles that are fastened from now on hear the end of
    /// all of it, those before only the end of what this upstream gives.
    pub(crate) fn resume_with(&mut self, resume: Resume) {
        match std::mem::replace(&mut self.state, State::Done) {
            State::Events(active) => {
                self.state = State::Resumed(Box::new(ResumedStream::new(active, resume)))
            }
            other @ (State::Done | State::Full(_) | State::Plain(_) | State::Resumed(_)) => {
                self.state = other;
            }
        }
    }

    /// As the second part of a stream.
    pub(crate) fn into_stream(self) -> Option<StreamPart> {
        match self.state {
            State::Events(active) => Some(StreamPart::Active(active, self.outcome)),
            State::Full(bytes) => Some(StreamPart::Full(bytes, self.outcome)),
            State::Done | State::Plain(_) | State::Resumed(_) => None,
        }
    }

    /// How it ended; for one under way, how it looks so far.
    pub(crate) const fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// Whose answer it is, if a deployment's.
    pub(crate) const fn origin(&self) -> Option<&Arc<Origin>> {
        self.origin.as_ref()
    }

    /// Notes whose answer it is.
    pub(crate) fn set_origin(&mut self, origin: Arc<Origin>) {
        self.origin = Some(origin);
    }

    /// Whether all is known about how it ended.
    pub(crate) const fn has_ended(&self) -> bool {
        match self.state {
            State::Done | State::Full(_) => true,
            State::Events(_) | State::Plain(_) | State::Resumed(_) => false,
        }
    }

    /// Fastens a handle, which hears the end: at once, if it was there already.
    pub(crate) fn attach(&mut self, handle: impl Into<OutcomeHandle>) {
        match &mut self.state {
            State::Done | State::Full(_) => handle.into().complete(&self.outcome),
            State::Events(active) => active.handles().add(handle.into()),
            State::Plain(active) => active.handles().add(handle.into()),
            State::Resumed(continued) => continued.handles().add(handle.into()),
        }
    }

    /// The upstream's side is over: what is left to give, and how it ended.
    fn settle(&mut self, rest: Bytes, outcome: Outcome) {
        let mut handles = match &mut self.state {
            State::Done | State::Full(_) => return,
            State::Events(active) => std::mem::take(active.handles()),
            State::Plain(active) => std::mem::take(active.handles()),
            State::Resumed(continued) => std::mem::take(continued.handles()),
        };
        // The connection goes first: who hears that a place is free must find it free.
        self.state = State::rest(rest);
        self.outcome = outcome;
        handles.complete(&outcome);
    }

    /// Settles as soon as nothing more is to be learnt.
    fn settle_early(&mut self) {
        let (rest, outcome) = match &mut self.state {
            State::Events(active) => match active.over.take() {
                Some(over) => conclude(&mut active.content, &over, self.outcome),
                None => return,
            },
            // A plain answer that broke is cut by an error, after the bytes that came.
            State::Plain(active) => match &active.over {
                Some(Ok(())) => {
                    let content = &mut active.content;
                    let outcome = content.conclude(&Ok(()), self.outcome);
                    (content.drain(), outcome)
                }
                Some(Err(_)) | None => return,
            },
            State::Done | State::Full(_) | State::Resumed(_) => return,
        };
        self.settle(rest, outcome);
    }

    fn poll_events(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let State::Events(active) = &mut self.state else { return Poll::Ready(None) };
        if self.opening && active.content.is_empty() && active.over.is_none() {
            self.opening = false;
            // A server writes when a body has nothing to say. Of an upstream that gives as fast as we take, the first
            // content would go out with the last.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        match ready!(active.poll_output(cx)) {
            Output::Data(data) => {
                self.settle_early();
                Poll::Ready(Some(Ok(data)))
            }
            Output::Over(over) => {
                let (rest, outcome) = conclude(&mut active.content, &over, self.outcome);
                self.settle(rest, outcome);
                Poll::Ready(self.state.take_full().map(Ok))
            }
        }
    }

    fn poll_plain(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let State::Plain(active) = &mut self.state else { return Poll::Ready(None) };
        match ready!(active.poll_output(cx)) {
            Output::Data(data) => {
                self.settle_early();
                Poll::Ready(Some(Ok(data)))
            }
            Output::Over(over) => {
                let outcome = active.content.conclude(&over, self.outcome);
                self.settle(Bytes::new(), outcome);
                Poll::Ready(match over {
                    Ok(()) => None,
                    Err(StreamBreak::Body(error)) => Some(Err(error)),
                    // Plain content never says so; were it to, the answer is cut all the same.
                    Err(StreamBreak::Upstream(..)) => Some(Err(BodyError::Truncated)),
                })
            }
        }
    }

    fn poll_continued(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let State::Resumed(continued) = &mut self.state else { return Poll::Ready(None) };
        let ResumedOutput { data, over } = ready!(continued.poll_output(cx, &mut self.outcome));
        if let Some((rest, outcome)) = over {
            self.settle(rest, outcome);
        }
        Poll::Ready(if data.is_empty() { self.state.take_full() } else { Some(data) })
    }
}

/// A stream's last words and its outcome.
fn conclude(content: &mut Events, over: &Result<(), StreamBreak>, so_far: Outcome) -> (Bytes, Outcome) {
    let outcome = content.conclude(over, so_far);
    (content.drain(), outcome)
}

impl State {
    fn rest(bytes: Bytes) -> Self {
        if bytes.is_empty() { Self::Done } else { Self::Full(bytes) }
    }

    fn take_full(&mut self) -> Option<Bytes> {
        match std::mem::replace(self, Self::Done) {
            Self::Full(bytes) => Some(bytes),
            other @ (Self::Done | Self::Events(_) | Self::Plain(_) | Self::Resumed(_)) => {
                *self = other;
                None
            }
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let data = match &mut this.state {
            State::Done => None,
            State::Full(_) => this.state.take_full().map(Ok),
            State::Events(_) => ready!(this.poll_events(cx)),
            State::Plain(_) => ready!(this.poll_plain(cx)),
            State::Resumed(_) => ready!(this.poll_continued(cx)).map(Ok),
        };
        Poll::Ready(data.map(|data| data.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.state, State::Done)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.state {
            State::Done => SizeHint::with_exact(0),
            State::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            State::Plain(active) => active.content.left().map(SizeHint::with_exact).unwrap_or_default(),
            State::Events(_) | State::Resumed(_) => SizeHint::default(),
        }
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::empty()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body")
            .field("ending", &self.outcome)
            .field("has_ended", &self.has_ended())
            .finish_non_exhaustive()
    }
}
