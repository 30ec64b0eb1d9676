//! Continuation of a broken stream by another one: [`Resume`]. See [`midstream`](crate::tree::midstream).

use std::{
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tollgate_layers::Outcome;

use super::{
    BoxResponseFuture, Response,
    active::{ActiveBody, Output},
    events::{Events, is_events},
    handle::Handles,
    response_body::StreamPart,
};
use crate::{Error, error::StreamBreak};

type ActivePart = Box<ActiveBody<Events>>;

/// The comment that precedes a restarted response.
const RESTART: Bytes = Bytes::from_static(b": tollgate restart\n\n");

/// Calls the model for the part after a break. Takes the text sent so far (`None` to ask for the whole response again)
/// and the outcome of the broken part.
type CallNext = Box<dyn FnMut(Option<Arc<str>>, &Outcome) -> Option<BoxResponseFuture> + Send>;

/// The means to continue a stream that breaks.
pub(crate) struct Resume {
    restart: bool,
    call: CallNext,
}

impl Resume {
    /// Continues with the rest of the text.
    pub(crate) fn continuing(call: CallNext) -> Self {
        Self { restart: false, call }
    }

    /// Restarts the response, after a comment that marks the restart.
    pub(crate) fn restarting(call: CallNext) -> Self {
        Self { restart: true, call }
    }
}

impl std::fmt::Debug for Resume {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resume").field("restart", &self.restart).finish_non_exhaustive()
    }
}

/// A stream of several parts. Each part but the last broke.
pub(super) struct ResumedStream {
    phase: Phase,
    /// Bytes that were decoded before the break and are still to be sent.
    rest: Bytes,
    /// The text of the finished parts.
    prefix: String,
    resume: Resume,
    handles: Handles,
}

enum Phase {
    Part(ActivePart),
    /// The last part broke, and the call for the next one is pending.
    Waiting(BoxResponseFuture, BrokenPart),
    Over,
}

/// The error event and the outcome of the broken part, used if no other part follows.
struct BrokenPart {
    error_event: Bytes,
    outcome: Outcome,
}

/// The next output for the client.
pub(super) struct ResumedOutput {
    pub(super) data: Bytes,
    /// The remaining bytes and the outcome, once the outcome is final.
    pub(super) over: Option<(Bytes, Outcome)>,
}

impl ResumedOutput {
    const fn more(data: Bytes) -> Self {
        Self { data, over: None }
    }

    const fn over(rest: Bytes, outcome: Outcome) -> Self {
        Self { data: Bytes::new(), over: Some((rest, outcome)) }
    }
}

impl ResumedStream {
    pub(super) fn new(first: ActivePart, resume: Resume) -> Self {
        Self {
            phase: Phase::Part(first),
            rest: Bytes::new(),
            prefix: String::new(),
            resume,
            handles: Handles::default(),
        }
    }

    /// Returns the handles that are notified of the outcome of the whole stream.
    pub(super) const fn handles(&mut self) -> &mut Handles {
        &mut self.handles
    }

    /// Returns the next output. `so_far` is the outcome by the current part's head.
    pub(super) fn poll_output(&mut self, cx: &mut Context<'_>, so_far: &mut Outcome) -> Poll<ResumedOutput> {
        loop {
            match &mut self.phase {
                Phase::Over => return Poll::Ready(ResumedOutput::over(Bytes::new(), *so_far)),
                Phase::Part(active) => {
                    let (data, over) = match ready!(active.poll_output(cx)) {
                        Output::Data(data) => match active.over.take() {
                            None => return Poll::Ready(ResumedOutput::more(data)),
                            Some(over) => (data, over),
                        },
                        Output::Over(over) => (Bytes::new(), over),
                    };
                    let over = self.end(&over, *so_far);
                    if over.is_some() || !data.is_empty() {
                        return Poll::Ready(ResumedOutput { data, over });
                    }
                }
                Phase::Waiting(..) if !self.rest.is_empty() => {
                    return Poll::Ready(ResumedOutput::more(std::mem::take(&mut self.rest)));
                }
                Phase::Waiting(response, _) => {
                    let response = ready!(response.as_mut().poll(cx));
                    if let Some(output) = self.on_response(response, so_far) {
                        return Poll::Ready(output);
                    }
                }
            }
        }
    }

    /// Ends a part. Returns the remaining bytes and the outcome if the whole stream is over.
    fn end(&mut self, over: &Result<(), StreamBreak>, so_far: Outcome) -> Option<(Bytes, Outcome)> {
        let Phase::Part(mut active) = std::mem::replace(&mut self.phase, Phase::Over) else { return None };
        let broke = over.is_err() && !active.content.state().done && !active.content.state().finished();
        let mut handles = std::mem::take(active.handles());
        let content = &mut active.content;
        let rest = content.drain();
        let outcome = content.conclude(over, so_far);
        let last = content.drain();
        let stats = content.state().stats();
        let is_text = content.transcript().map(|text| self.prefix.push_str(text)).is_some();
        // The connection is released before the handles of the part are notified: only then is capacity free for the
        // next part.
        drop(active);
        handles.complete(&outcome, stats);
        let next = if broke { self.call(is_text, &outcome) } else { None };
        match next {
            Some(response) => {
                self.rest = rest;
                self.phase = Phase::Waiting(response, BrokenPart { error_event: last, outcome });
                None
            }
            None => Some((joined(&rest, last), outcome)),
        }
    }

    /// Calls for the next part. `is_text` is true if the broken part contained text only.
    fn call(&mut self, is_text: bool, outcome: &Outcome) -> Option<BoxResponseFuture> {
        let prefix = if self.resume.restart {
            None
        } else if is_text && !self.prefix.is_empty() {
            Some(self.prefix.as_str().into())
        } else {
            return None;
        };
        (self.resume.call)(prefix, outcome)
    }

    /// Handles the response to the call. If it cannot continue the stream, the stream ends with the error of the broken
    /// part.
    fn on_response(
        &mut self,
        response: Result<Response, Error>,
        so_far: &mut Outcome,
    ) -> Option<ResumedOutput> {
        let Phase::Waiting(_, broken) = std::mem::replace(&mut self.phase, Phase::Over) else { return None };
        let mark = if self.resume.restart { RESTART } else { Bytes::new() };
        match response.ok().and_then(streamed) {
            Some(StreamPart::Active(active, outcome)) => {
                self.phase = Phase::Part(active);
                *so_far = outcome;
                (!mark.is_empty()).then(|| ResumedOutput::more(mark))
            }
            Some(StreamPart::Full(bytes, outcome)) => {
                Some(ResumedOutput::over(joined(&mark, bytes), outcome))
            }
            None => Some(ResumedOutput::over(broken.error_event, broken.outcome)),
        }
    }
}

/// Returns the response as a part of a stream, if it is a successful event stream.
fn streamed(response: Response) -> Option<StreamPart> {
    let events = is_events(response.headers());
    let body = response.into_body();
    if events && body.outcome().is_success() { body.into_stream() } else { None }
}

fn joined(first: &Bytes, second: Bytes) -> Bytes {
    if first.is_empty() { second } else { [&first[..], &second[..]].concat().into() }
}
