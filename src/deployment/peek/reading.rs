//! Reading of a body as much as must be known before the answer is committed.

use std::{
    task::{Context, Poll, ready},
    time::Duration,
};

use http::{Response, header, response::Parts};

use super::verdict;
use crate::{
    body::{
        Body,
        clocks::Running,
        events::{Events, is_events},
        live::{Live, Progress},
        plain::Plain,
        source::Source,
        terms::Terms,
        wire::UpstreamBody,
    },
    error::{BodyError, StreamBreak},
    request,
};

/// How much of an answer is held at most before it is committed.
const HOLD: usize = 64 * 1024;
/// How long a stream is held without a clock for its first content: most clients and proxies give up on a head after
/// a minute.
const HOLD_FOR: Duration = Duration::from_secs(30);
/// How much of an error's body is read, and for how long: its status is known, and another deployment may be waiting.
const ERROR: usize = 1024 * 1024;
const ERROR_FOR: Duration = Duration::from_secs(5);

/// An answer whose head is there.
#[derive(Debug)]
pub(super) struct Reading {
    parts: Parts,
    sort: Sort,
    /// It says that it is a stream of events.
    events: bool,
    /// It was held long enough.
    overdue: bool,
    /// A stream was asked for.
    stream: bool,
}

#[derive(Debug)]
enum Sort {
    Error(Box<Live<Plain>>),
    Events(Box<Live<Events>>),
    Plain(Box<Live<Plain>>),
}

impl Reading {
    pub(super) fn of(head: Response<UpstreamBody>, terms: &Terms, mut clocks: Running, stream: bool) -> Self {
        // What frames it is still among the headers: `headers::write` lets none of that through.
        let (parts, wire) = head.into_parts();
        let (events, encoded) = (is_events(&parts.headers), verdict::is_encoded(&parts.headers));
        let sort = if !parts.status.is_success() {
            clocks.hold(ERROR_FOR);
            Sort::Error(Live::new(Source::new(wire, clocks), Plain::new(None, true)))
        } else if events && !encoded {
            clocks.hold_unless_timed(HOLD_FOR);
            Sort::Events(Live::new(Source::new(wire, clocks), Events::new(terms.clone())))
        } else {
            let length = parts.headers.get(header::CONTENT_LENGTH);
            let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
            Sort::Plain(Live::new(Source::new(wire, clocks), Plain::new(length, encoded)))
        };
        Self { parts, sort, events, overdue: false, stream }
    }

    /// Ready when enough is known.
    pub(super) fn poll_known(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while !self.is_known() {
            let progress = match &mut self.sort {
                Sort::Error(live) | Sort::Plain(live) => ready!(live.poll_progress(cx)),
                Sort::Events(live) => ready!(live.poll_progress(cx)),
            };
            self.overdue |= progress == Progress::Held;
        }
        Poll::Ready(())
    }

    fn is_known(&mut self) -> bool {
        match &mut self.sort {
            Sort::Error(live) => self.overdue || is_over(live) || live.content.total() >= ERROR as u64,
            // Of a stream that cannot be read nothing more is to be learnt.
            Sort::Plain(live) if self.events && live.content.total() > 0 => true,
            Sort::Plain(live) => is_over(live) || live.content.total() > HOLD as u64,
            Sort::Events(live) => {
                let alive = live.clocks().is_alive();
                is_over(live)
                    || live.content.facts().answered()
                    || live.content.held() > HOLD
                    || (self.overdue && alive)
            }
        }
    }

    /// The answer, committed; or what it is instead.
    pub(super) fn into_answer(self, terms: &Terms) -> Result<request::Response, BodyError> {
        let Self { parts, sort, stream, .. } = self;
        match sort {
            // Nobody has asked for another protocol, and to pass that on would end the client's connection.
            Sort::Error(_) if parts.status.is_informational() => Err(verdict::no_json(stream)),
            Sort::Error(_) if parts.status.is_redirection() => Err(BodyError::Redirect),
            Sort::Error(_) if verdict::is_encoded(&parts.headers) => Ok(verdict::unreadable(parts, terms)),
            Sort::Error(mut live) => {
                let bytes = live.content.drain();
                let outcome = (terms.rules.judge.answer)(parts.status, &parts.headers, &bytes);
                Ok(verdict::error(parts, bytes, outcome, terms))
            }
            Sort::Plain(live) => plain(parts, live, terms, stream),
            Sort::Events(live) => events(parts, live, terms),
        }
    }
}

fn is_over<C>(live: &Live<C>) -> bool {
    live.over.is_some()
}

fn plain(
    parts: Parts,
    mut live: Box<Live<Plain>>,
    terms: &Terms,
    stream: bool,
) -> Result<request::Response, BodyError> {
    match live.over.take() {
        Some(Ok(())) => verdict::whole(parts, live.content.drain(), terms, stream),
        Some(Err(StreamBreak::Body(fault))) => Err(fault),
        Some(Err(StreamBreak::Upstream(data, outcome))) => {
            Ok(verdict::refusal(parts, &data, *outcome, terms))
        }
        None if !live.content.opens_like_json() => Err(verdict::no_json(stream)),
        None => {
            let so_far = (terms.rules.judge.success)(&parts.headers);
            if is_events(&parts.headers) {
                live.clocks().content();
            } else {
                live.clocks().plain();
            }
            live.content.commit();
            live.commit();
            Ok(Response::from_parts(parts, Body::plain(live, so_far)).into())
        }
    }
}

fn events(
    mut parts: Parts,
    mut live: Box<Live<Events>>,
    terms: &Terms,
) -> Result<request::Response, BodyError> {
    let so_far = (terms.rules.judge.success)(&parts.headers);
    let facts = *live.content.facts();
    if live.over.is_none() || facts.answered() {
        // What broke after the first content breaks for the client too, however fast it came.
        live.clocks().let_go();
        if let Some(Ok(())) = live.over {
            let content = &mut live.content;
            let outcome = content.conclude(&Ok(()), so_far);
            return Ok(Response::from_parts(parts, Body::ended(content.drain(), outcome)).into());
        }
        live.commit();
        return Ok(Response::from_parts(parts, Body::events(live, so_far)).into());
    }
    match live.over.take() {
        Some(Err(StreamBreak::Upstream(data, outcome))) => {
            // The head's headers may tell how long to wait; an event in a stream under way has none.
            let outcome = (terms.rules.judge.event)(&data, &parts.headers).unwrap_or(*outcome);
            Ok(verdict::refusal(parts, &data, outcome, terms))
        }
        Some(Err(StreamBreak::Body(BodyError::Unfinished))) if !facts.any => {
            let raw = live.content.raw();
            parts.headers.insert(header::CONTENT_TYPE, verdict::JSON);
            verdict::whole(parts, raw, terms, true)
        }
        // How the connection ends after the terminal event says nothing about what stood before that.
        Some(Err(StreamBreak::Body(fault))) if !facts.done => Err(fault),
        Some(Err(StreamBreak::Body(_)) | Ok(())) | None => Err(BodyError::Empty),
    }
}
