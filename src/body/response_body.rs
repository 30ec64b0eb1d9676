//! The body type of all responses: [`Body`].

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::Instant;
use tollgate_layers::{Class, Outcome};

use super::{
    active::{ActiveBody, Output},
    early::{EarlyOutput, EarlyStream, HEARTBEAT, PendingResponse},
    events::Events,
    handle::OutcomeHandle,
    plain::Plain,
    recorded::RecordedBody,
    resume::{Resume, ResumedOutput, ResumedStream},
};
use crate::{
    dialect::ClientDialect,
    error::{BodyError, Origin, StreamBreak},
    metrics::{BodyStats, ResponseHead, Tokens},
    record::OpenRecord,
};

/// A response's body: its bytes, its outcome (or its outcome so far), and the handles that are notified of the outcome.
///
/// A body *settles* once, as soon as the upstream has finished and the outcome is known: at a frame after which nothing
/// is left (hyper drops a body of known length without polling for its end), at the end, or at an error. A body that is
/// dropped before that is cancelled, and its handles are dropped without an outcome. A body that is complete from the
/// start has settled: it holds nothing, and a handle that is attached to it is notified at once.
pub struct Body {
    state: State,
    /// True for a stream that has returned nothing since it was made.
    opening: bool,
    outcome: Outcome,
    /// The tokens of a complete response.
    tokens: Tokens,
    origin: Option<Arc<Origin>>,
}

// The handles are part of the active body: a complete response has none, and stays small on its way up.
enum State {
    Done,
    Full(Bytes),
    Events(Box<ActiveBody<Events>>),
    Plain(Box<ActiveBody<Plain>>),
    Resumed(Box<ResumedStream>),
    Early(Box<EarlyStream>),
    Recorded(Box<RecordedBody>),
}

/// A part of a stream that continues another part.
pub(crate) enum StreamPart {
    Active(Box<ActiveBody<Events>>, Outcome),
    Full(Bytes, Outcome),
}

impl Body {
    /// Returns an empty body with a success as its outcome.
    #[must_use]
    pub fn empty() -> Self {
        Self::full(Bytes::new())
    }

    /// Returns a body of these bytes with a success as its outcome.
    #[must_use]
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        Self::ended(bytes, Outcome::new(Class::Success))
    }

    const fn new(state: State, outcome: Outcome) -> Self {
        let tokens = Tokens { input: 0, cached: 0, output: 0 };
        Self { state, opening: false, outcome, tokens, origin: None }
    }

    /// Returns a complete body with this outcome. Retry and Fallback can hold it without holding a connection.
    pub(crate) fn ended(bytes: impl Into<Bytes>, outcome: Outcome) -> Self {
        Self::new(State::rest(bytes.into()), outcome)
    }

    /// Returns the body of an event stream; `so_far` is the outcome by its head.
    pub(crate) fn events(active: Box<ActiveBody<Events>>, so_far: Outcome) -> Self {
        Self { opening: true, ..Self::new(State::Events(active), so_far) }
    }

    /// Returns the body of a plain response that is too long to be held; `so_far` is the outcome by its head.
    pub(crate) fn plain(active: Box<ActiveBody<Plain>>, so_far: Outcome) -> Self {
        Self::new(State::Plain(active), so_far)
    }

    /// Returns the body of a stream whose head is sent before `call` returns its response: comments, one every `period`, and
    /// then the response, or an error event in the client's dialect. The outcome so far means nothing.
    pub(crate) fn early(call: PendingResponse, period: Duration, dialect: ClientDialect) -> Self {
        let state = State::Early(Box::new(EarlyStream::new(call, period, dialect)));
        Self::new(state, Outcome::new(Class::Success))
    }

    /// Sets the tokens of a body that is complete.
    pub(crate) fn with_tokens(mut self, tokens: Tokens) -> Self {
        self.tokens = tokens;
        self
    }

    /// Sets how this stream continues when it breaks. Handles that are attached later are notified of the outcome of
    /// the whole stream, those attached before only of the outcome of this upstream's part.
    pub(crate) fn resume_with(&mut self, resume: Resume) {
        match std::mem::replace(&mut self.state, State::Done) {
            State::Events(active) => {
                self.state = State::Resumed(Box::new(ResumedStream::new(active, resume)))
            }
            other @ (State::Done
            | State::Full(_)
            | State::Plain(_)
            | State::Resumed(_)
            | State::Early(_)
            | State::Recorded(_)) => {
                self.state = other;
            }
        }
    }

    /// Converts the body into a part of a resumed stream. Returns `None` for a body that is not a stream.
    pub(crate) fn into_stream(self) -> Option<StreamPart> {
        match self.state {
            State::Events(active) => Some(StreamPart::Active(active, self.outcome)),
            State::Full(bytes) => Some(StreamPart::Full(bytes, self.outcome)),
            State::Done | State::Plain(_) | State::Resumed(_) | State::Early(_) | State::Recorded(_) => None,
        }
    }

    /// Returns the bytes that are left of a body that is complete.
    pub(crate) const fn full_bytes(&self) -> Option<&Bytes> {
        match &self.state {
            State::Full(bytes) => Some(bytes),
            State::Done
            | State::Events(_)
            | State::Plain(_)
            | State::Resumed(_)
            | State::Early(_)
            | State::Recorded(_) => None,
        }
    }

    /// Returns the bytes of a body that is complete, else none.
    pub(super) fn into_bytes(mut self) -> Bytes {
        self.state.take_full().unwrap_or_default()
    }

    /// Returns the outcome; for an active body, the outcome so far.
    pub(crate) const fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// Returns the deployment that has sent the response, if any.
    pub(crate) const fn origin(&self) -> Option<&Arc<Origin>> {
        self.origin.as_ref()
    }

    /// Sets the deployment that has sent the response.
    pub(crate) fn set_origin(&mut self, origin: Arc<Origin>) {
        self.origin = Some(origin);
    }

    /// Returns true if the outcome is final.
    pub(crate) const fn has_ended(&self) -> bool {
        match self.state {
            State::Done | State::Full(_) => true,
            State::Events(_) | State::Plain(_) | State::Resumed(_) | State::Early(_) | State::Recorded(_) => {
                false
            }
        }
    }

    /// Returns true if the response is not there yet, although its head is sent.
    pub(crate) const fn is_early(&self) -> bool {
        matches!(self.state, State::Early(_))
    }

    /// Attaches a handle, which is notified of the outcome: at once, if the outcome is final already.
    #[inline]
    pub(crate) fn attach(&mut self, handle: impl Into<OutcomeHandle>) {
        match &mut self.state {
            State::Done | State::Full(_) => {
                handle.into().complete(&self.outcome, BodyStats { tokens: self.tokens, events: 0 })
            }
            State::Events(active) => active.handles().add(handle.into()),
            State::Plain(active) => active.handles().add(handle.into()),
            State::Resumed(continued) => continued.handles().add(handle.into()),
            State::Early(early) => early.handles().add(handle.into()),
            State::Recorded(recorded) => recorded.body.attach(handle),
        }
    }

    /// Records the body to its end.
    pub(crate) fn recorded(self, record: Box<OpenRecord>) -> Self {
        let outcome = self.outcome;
        Self::new(State::Recorded(Box::new(RecordedBody::new(self, record))), outcome)
    }

    /// Stores the remaining bytes and the final outcome, and notifies the handles.
    // Once in a response: its code would lengthen the way of every event.
    #[inline(never)]
    fn settle(&mut self, rest: Bytes, outcome: Outcome) {
        let (mut handles, stats) = match &mut self.state {
            State::Done | State::Full(_) | State::Early(_) | State::Recorded(_) => return,
            State::Events(active) => (std::mem::take(active.handles()), active.content.state().stats()),
            State::Plain(active) => (std::mem::take(active.handles()), active.content.stats()),
            // The handles of each part have counted its tokens.
            State::Resumed(continued) => (std::mem::take(continued.handles()), BodyStats::default()),
        };
        // The connection is released before the handles are notified: a handle that announces free capacity must find
        // it free.
        self.state = State::rest(rest);
        (self.outcome, self.tokens) = (outcome, stats.tokens);
        handles.complete(&outcome, stats);
    }

    /// Settles if the outcome is final.
    fn settle_early(&mut self) {
        let (rest, outcome) = match &mut self.state {
            State::Events(active) => match active.over.take() {
                Some(over) => conclude(&mut active.content, &over, self.outcome),
                None => return,
            },
            // A plain response that broke ends with an error, after the bytes that were received.
            State::Plain(active) => match &active.over {
                Some(Ok(())) => {
                    let content = &mut active.content;
                    let outcome = content.conclude(&Ok(()), self.outcome);
                    (content.drain(), outcome)
                }
                Some(Err(_)) | None => return,
            },
            State::Done | State::Full(_) | State::Resumed(_) | State::Early(_) | State::Recorded(_) => return,
        };
        self.settle(rest, outcome);
    }

    fn poll_events(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let State::Events(active) = &mut self.state else { return Poll::Ready(None) };
        if self.opening && active.content.is_empty() && active.over.is_none() {
            self.opening = false;
            // hyper flushes when a body is pending. Without this, the first content of an upstream that sends as fast
            // as the client reads would be written together with the last.
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
                    // The plain decoder never returns this error. If it did, the response would be cut all the same.
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

    /// Polls the next heartbeat, or `None` once the response is there.
    fn poll_heartbeat(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let State::Early(early) = &mut self.state else { return Poll::Ready(None) };
        Poll::Ready(match ready!(early.poll_output(cx)) {
            EarlyOutput::Heartbeat => Some(HEARTBEAT),
            EarlyOutput::Rest(rest) => {
                let handles = early.handles().take();
                self.continue_with(rest, handles);
                None
            }
        })
    }

    /// Goes on as another body, of which these handles are notified.
    fn continue_with(&mut self, rest: Self, handles: Vec<OutcomeHandle>) {
        *self = rest;
        let (success, complete) = (self.outcome.is_success(), self.has_ended());
        // The head was sent before, with this status.
        let head = ResponseHead { success, complete, status: 200, at: Instant::now() };
        for mut handle in handles {
            handle.head(head);
            self.attach(handle);
        }
    }
}

/// Returns the remaining bytes of a stream and its outcome.
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
            other @ (Self::Done
            | Self::Events(_)
            | Self::Plain(_)
            | Self::Resumed(_)
            | Self::Early(_)
            | Self::Recorded(_)) => {
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
            State::Early(_) => match ready!(this.poll_heartbeat(cx)) {
                Some(heartbeat) => Some(Ok(heartbeat)),
                None => return Pin::new(this).poll_frame(cx),
            },
            State::Recorded(recorded) => ready!(recorded.poll_data(cx)),
        };
        Poll::Ready(data.map(|data| data.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        match &self.state {
            State::Recorded(recorded) => recorded.body.is_end_stream(),
            state => matches!(state, State::Done),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.state {
            State::Done => SizeHint::with_exact(0),
            State::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            State::Plain(active) => active.content.left().map(SizeHint::with_exact).unwrap_or_default(),
            State::Recorded(recorded) => recorded.body.size_hint(),
            State::Events(_) | State::Resumed(_) | State::Early(_) => SizeHint::default(),
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
