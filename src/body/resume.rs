//! A stream that may go on with another when it breaks: [`Resume`]. See [`midstream`](crate::tree::midstream).

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

type Streaming = Box<ActiveBody<Events>>;

/// Before what begins anew.
const RESTART: Bytes = Bytes::from_static(b": tollgate restart\n\n");

/// Asks for what comes after a break, given what was said (none: all of it is wanted again) and how it broke.
type Ask = Box<dyn FnMut(Option<Arc<str>>, &Outcome) -> Option<BoxResponseFuture> + Send>;

/// How a stream goes on when it breaks.
pub(crate) struct Resume {
    restart: bool,
    ask: Ask,
}

impl Resume {
    /// With the words that follow those that were said.
    pub(crate) fn continuing(ask: Ask) -> Self {
        Self { restart: false, ask }
    }

    /// With all of it again, behind a mark.
    pub(crate) fn restarting(ask: Ask) -> Self {
        Self { restart: true, ask }
    }
}

impl std::fmt::Debug for Resume {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resume").field("restart", &self.restart).finish_non_exhaustive()
    }
}

/// A stream in parts, of which each but the last broke off.
pub(super) struct ResumedStream {
    now: Now,
    /// What came before a break and is still to be given.
    rest: Bytes,
    /// What the parts that are over have said.
    prefix: String,
    resume: Resume,
    handles: Handles,
}

enum Now {
    Part(Streaming),
    /// The last one broke; the next one is on its way.
    Waiting(BoxResponseFuture, Broken),
    Over,
}

/// What the client is told, and all who listen, if nobody goes on.
struct Broken {
    complaint: Bytes,
    outcome: Outcome,
}

/// What goes to the client.
pub(super) struct ResumedOutput {
    pub(super) data: Bytes,
    /// All is known: what is left to give, and how it ended.
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
    pub(super) fn new(first: Streaming, resume: Resume) -> Self {
        Self {
            now: Now::Part(first),
            rest: Bytes::new(),
            prefix: String::new(),
            resume,
            handles: Handles::default(),
        }
    }

    /// Who hears the end of all of it.
    pub(super) const fn handles(&mut self) -> &mut Handles {
        &mut self.handles
    }

    /// What goes to the client next. `so_far` is what the head of the current part said.
    pub(super) fn poll_output(&mut self, cx: &mut Context<'_>, so_far: &mut Outcome) -> Poll<ResumedOutput> {
        loop {
            match &mut self.now {
                Now::Over => return Poll::Ready(ResumedOutput::over(Bytes::new(), *so_far)),
                Now::Part(active) => {
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
                Now::Waiting(..) if !self.rest.is_empty() => {
                    return Poll::Ready(ResumedOutput::more(std::mem::take(&mut self.rest)));
                }
                Now::Waiting(response, _) => {
                    let response = ready!(response.as_mut().poll(cx));
                    if let Some(given) = self.answered(response, so_far) {
                        return Poll::Ready(given);
                    }
                }
            }
        }
    }

    /// The upstream's side of a part is over: whether with it all is.
    fn end(&mut self, over: &Result<(), StreamBreak>, so_far: Outcome) -> Option<(Bytes, Outcome)> {
        let Now::Part(mut active) = std::mem::replace(&mut self.now, Now::Over) else { return None };
        let broke = over.is_err() && !active.content.state().done && !active.content.state().finished();
        let mut handles = std::mem::take(active.handles());
        let content = &mut active.content;
        let rest = content.drain();
        let outcome = content.conclude(over, so_far);
        let last = content.drain();
        let is_text = content.said().map(|said| self.prefix.push_str(said)).is_some();
        // The connection goes first, then who listened to this part hears: only so is a place free for the next.
        drop(active);
        handles.complete(&outcome);
        let next = if broke { self.ask(is_text, &outcome) } else { None };
        match next {
            Some(response) => {
                self.rest = rest;
                self.now = Now::Waiting(response, Broken { complaint: last, outcome });
                None
            }
            None => Some((joined(&rest, last), outcome)),
        }
    }

    /// `is_text`: the part that is over said nothing but text.
    fn ask(&mut self, is_text: bool, outcome: &Outcome) -> Option<BoxResponseFuture> {
        let prefix = if self.resume.restart {
            None
        } else if is_text && !self.prefix.is_empty() {
            Some(self.prefix.as_str().into())
        } else {
            return None;
        };
        (self.resume.ask)(prefix, outcome)
    }

    /// Somebody goes on, or nobody does: then the break is told as if nobody had been asked.
    fn answered(&mut self, response: Result<Response, Error>, so_far: &mut Outcome) -> Option<ResumedOutput> {
        let Now::Waiting(_, broken) = std::mem::replace(&mut self.now, Now::Over) else { return None };
        let mark = if self.resume.restart { RESTART } else { Bytes::new() };
        match response.ok().and_then(streamed) {
            Some(StreamPart::Active(active, outcome)) => {
                self.now = Now::Part(active);
                *so_far = outcome;
                (!mark.is_empty()).then(|| ResumedOutput::more(mark))
            }
            Some(StreamPart::Full(bytes, outcome)) => {
                Some(ResumedOutput::over(joined(&mark, bytes), outcome))
            }
            None => Some(ResumedOutput::over(broken.complaint, broken.outcome)),
        }
    }
}

/// An answer that can stand in a stream.
fn streamed(response: Response) -> Option<StreamPart> {
    let events = is_events(response.headers());
    let body = response.into_body();
    if events && body.outcome().is_success() { body.into_stream() } else { None }
}

fn joined(first: &Bytes, second: Bytes) -> Bytes {
    if first.is_empty() { second } else { [&first[..], &second[..]].concat().into() }
}
