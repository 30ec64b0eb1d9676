//! A stream that may go on with another when it breaks: [`Onward`]. See [`midstream`](crate::tree::midstream).

use std::{
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tollgate_layers::Outcome;

use super::{
    BoxResponseFuture, Response,
    answer::Streamed,
    events::{Events, is_events},
    handle::Handles,
    live::{Live, Pop},
};
use crate::{Error, error::StreamBreak};

type Streaming = Box<Live<Events>>;

/// Before what begins anew.
const RESTART: Bytes = Bytes::from_static(b": tollgate restart\n\n");

/// Asks for what comes after a break, given what was said (none: all of it is wanted again) and how it broke.
type Ask = Box<dyn FnMut(Option<Arc<str>>, &Outcome) -> Option<BoxResponseFuture> + Send>;

/// How a stream goes on when it breaks.
pub(crate) struct Onward {
    anew: bool,
    ask: Ask,
}

impl Onward {
    /// With the words that follow those that were said.
    pub(crate) fn with_the_rest(ask: Ask) -> Self {
        Self { anew: false, ask }
    }

    /// With all of it again, behind a mark.
    pub(crate) fn anew(ask: Ask) -> Self {
        Self { anew: true, ask }
    }
}

impl std::fmt::Debug for Onward {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Onward").field("anew", &self.anew).finish_non_exhaustive()
    }
}

/// A stream in parts, of which each but the last broke off.
pub(super) struct Continued {
    now: Now,
    /// What came before a break and is still to be given.
    rest: Bytes,
    /// What the parts that are over have said.
    prefix: String,
    onward: Onward,
    handles: Handles,
}

enum Now {
    Part(Streaming),
    /// The last one broke; the next one is on its way.
    Asking(BoxResponseFuture, Broken),
    Over,
}

/// What the client is told, and all who listen, if nobody goes on.
struct Broken {
    complaint: Bytes,
    outcome: Outcome,
}

/// What goes to the client.
pub(super) struct Given {
    pub(super) data: Bytes,
    /// All is known: what is left to give, and how it ended.
    pub(super) over: Option<(Bytes, Outcome)>,
}

impl Given {
    const fn more(data: Bytes) -> Self {
        Self { data, over: None }
    }

    const fn over(rest: Bytes, outcome: Outcome) -> Self {
        Self { data: Bytes::new(), over: Some((rest, outcome)) }
    }
}

impl Continued {
    pub(super) fn new(first: Streaming, onward: Onward) -> Self {
        Self {
            now: Now::Part(first),
            rest: Bytes::new(),
            prefix: String::new(),
            onward,
            handles: Handles::default(),
        }
    }

    /// Who hears the end of all of it.
    pub(super) const fn handles(&mut self) -> &mut Handles {
        &mut self.handles
    }

    /// What goes to the client next. `so_far` is what the head of the current part said.
    pub(super) fn poll_given(&mut self, cx: &mut Context<'_>, so_far: &mut Outcome) -> Poll<Given> {
        loop {
            match &mut self.now {
                Now::Over => return Poll::Ready(Given::over(Bytes::new(), *so_far)),
                Now::Part(live) => {
                    let (data, over) = match ready!(live.poll_pop(cx)) {
                        Pop::Data(data) => match live.over.take() {
                            None => return Poll::Ready(Given::more(data)),
                            Some(over) => (data, over),
                        },
                        Pop::Over(over) => (Bytes::new(), over),
                    };
                    let over = self.end(&over, *so_far);
                    if over.is_some() || !data.is_empty() {
                        return Poll::Ready(Given { data, over });
                    }
                }
                Now::Asking(..) if !self.rest.is_empty() => {
                    return Poll::Ready(Given::more(std::mem::take(&mut self.rest)));
                }
                Now::Asking(answer, _) => {
                    let answer = ready!(answer.as_mut().poll(cx));
                    if let Some(given) = self.answered(answer, so_far) {
                        return Poll::Ready(given);
                    }
                }
            }
        }
    }

    /// The upstream's side of a part is over: whether with it all is.
    fn end(&mut self, over: &Result<(), StreamBreak>, so_far: Outcome) -> Option<(Bytes, Outcome)> {
        let Now::Part(mut live) = std::mem::replace(&mut self.now, Now::Over) else { return None };
        let broke = over.is_err() && !live.content.facts().done && !live.content.facts().finished();
        let mut handles = std::mem::take(live.handles());
        let content = &mut live.content;
        let rest = content.drain();
        let outcome = content.conclude(over, so_far);
        let last = content.drain();
        let is_text = content.said().map(|said| self.prefix.push_str(said)).is_some();
        // The connection goes first, then who listened to this part hears: only so is a place free for the next.
        drop(live);
        handles.complete(&outcome);
        let next = if broke { self.ask(is_text, &outcome) } else { None };
        match next {
            Some(answer) => {
                self.rest = rest;
                self.now = Now::Asking(answer, Broken { complaint: last, outcome });
                None
            }
            None => Some((joined(&rest, last), outcome)),
        }
    }

    /// `is_text`: the part that is over said nothing but text.
    fn ask(&mut self, is_text: bool, outcome: &Outcome) -> Option<BoxResponseFuture> {
        let prefix = if self.onward.anew {
            None
        } else if is_text && !self.prefix.is_empty() {
            Some(self.prefix.as_str().into())
        } else {
            return None;
        };
        (self.onward.ask)(prefix, outcome)
    }

    /// Somebody goes on, or nobody does: then the break is told as if nobody had been asked.
    fn answered(&mut self, answer: Result<Response, Error>, so_far: &mut Outcome) -> Option<Given> {
        let Now::Asking(_, broken) = std::mem::replace(&mut self.now, Now::Over) else { return None };
        let mark = if self.onward.anew { RESTART } else { Bytes::new() };
        match answer.ok().and_then(streamed) {
            Some(Streamed::Live(live, outcome)) => {
                self.now = Now::Part(live);
                *so_far = outcome;
                (!mark.is_empty()).then(|| Given::more(mark))
            }
            Some(Streamed::Full(bytes, outcome)) => Some(Given::over(joined(&mark, bytes), outcome)),
            None => Some(Given::over(broken.complaint, broken.outcome)),
        }
    }
}

/// An answer that can stand in a stream.
fn streamed(answer: Response) -> Option<Streamed> {
    let events = is_events(answer.headers());
    let body = answer.into_body();
    if events && body.outcome().is_success() { body.into_stream() } else { None }
}

fn joined(first: &Bytes, second: Bytes) -> Bytes {
    if first.is_empty() { second } else { [&first[..], &second[..]].concat().into() }
}
