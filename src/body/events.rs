//! A streamed answer, from the upstream's bytes to the client's: [`Events`].
//!
//! No I/O and no clock: bytes in, bytes out. Only whole events are passed on, so that whatever is added at the end (an
//! error event, `[DONE]`) stands alone. What is passed on is slices of what came; a piece of many events stays one
//! slice.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use tollgate_layers::Outcome;

use super::{
    clocks::Running,
    live::Content,
    pieces::Pieces,
    said::Said,
    sse::{Framer, TooLong},
    terms::Terms,
    watch::{Event, Facts, Reader},
};
use crate::error::{BodyError, ErrorObject, StreamBreak};

const DONE_EVENT: &str = "data: [DONE]\n\n";

/// A streamed answer.
// In this order: what each event looks at lies together.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Events {
    facts: Facts,
    framer: Framer,
    ready: Pieces,
    reader: Reader,
    said: Option<Said>,
    terms: Terms,
}

/// What becomes of one event.
enum Verdict {
    Pass,
    Drop,
    StreamBreak(StreamBreak),
}

/// Whether an answer says that it is a stream of events.
pub(crate) fn is_events(headers: &HeaderMap) -> bool {
    const EVENTS: &str = "text/event-stream";
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.and_then(|kind| kind.get(..EVENTS.len())).is_some_and(|kind| kind.eq_ignore_ascii_case(EVENTS))
}

impl Events {
    pub(crate) fn new(terms: Terms) -> Self {
        Self {
            facts: Facts::default(),
            framer: Framer::new(terms.rules.event_limit),
            ready: Pieces::default(),
            reader: Reader::default(),
            said: terms.remembers.then(Said::default),
            terms,
        }
    }

    pub(crate) const fn facts(&self) -> &Facts {
        &self.facts
    }

    /// What was said so far, where it was kept in mind and is text alone.
    pub(crate) fn said(&self) -> Option<&str> {
        self.said.as_ref()?.text()
    }

    /// How many bytes are in hand.
    pub(crate) fn held(&self) -> usize {
        self.ready.len() + self.framer.unfinished().len()
    }

    /// All that came, when nothing of it was passed on or dropped: for an answer that turned out to be no stream.
    pub(crate) fn raw(&self) -> Bytes {
        let mut whole = BytesMut::new();
        self.ready.iter().for_each(|piece| whole.extend_from_slice(piece));
        whole.extend_from_slice(&self.framer.unfinished());
        whole.freeze()
    }

    /// Writes the last word, and says how it all ended. `so_far` is what the head said.
    pub(crate) fn conclude(&mut self, over: &Result<(), StreamBreak>, so_far: Outcome) -> Outcome {
        let outcome = match over {
            // After the terminal event nothing is missing, however the connection ended.
            Err(broken) if !self.facts.done => {
                self.ready.push(ErrorObject::of_break(broken).event());
                // What the head told about limits stays true.
                broken.outcome().with_reported(so_far.requests(), so_far.tokens())
            }
            Err(_) | Ok(()) => so_far,
        };
        outcome.with_used(self.facts.usage.map(|usage| usage.total()))
    }

    /// Whether nothing is ready to be given.
    pub(crate) const fn is_empty(&self) -> bool {
        self.ready.is_empty()
    }

    /// All that is left to give, as one.
    pub(crate) fn drain(&mut self) -> Bytes {
        self.ready.gather()
    }

    fn pass(&mut self, from: usize, to: usize) {
        if from < to {
            self.ready.push(self.framer.slice(from..to));
        }
    }
}

impl Content for Events {
    fn take(&mut self, piece: Bytes) -> Result<(), StreamBreak> {
        self.framer.push(piece);
        let mut from = self.framer.start();
        loop {
            let to = self.framer.start();
            let unit = match self.framer.next_unit() {
                Ok(Some(unit)) => unit,
                Ok(None) => {
                    let given = self.framer.give(from);
                    if !given.is_empty() {
                        self.ready.push(given);
                    }
                    return Ok(());
                }
                Err(TooLong) => {
                    self.pass(from, to);
                    return Err(BodyError::TooLarge { limit: self.terms.rules.event_limit }.into());
                }
            };
            match judge(&mut self.reader, (&mut self.facts, &mut self.said), &self.terms, unit.data) {
                Verdict::Pass => {}
                Verdict::Drop => {
                    let end = unit.end;
                    self.pass(from, to);
                    from = end;
                }
                Verdict::StreamBreak(broken) => {
                    self.pass(from, to);
                    return Err(broken);
                }
            }
        }
    }

    fn close(&mut self) -> Result<(), StreamBreak> {
        let mut missing = "";
        let mut passed = None;
        // What lacks its blank line is given only where with it all is there; elsewhere it was never said.
        let mut facts = self.facts;
        let from = self.framer.start();
        if let Some(unit) = self.framer.rest() {
            let end = unit.end;
            match judge(&mut self.reader, (&mut facts, &mut None), &self.terms, unit.data) {
                Verdict::Pass => (missing, passed) = (unit.missing, Some(end)),
                Verdict::Drop => {}
                Verdict::StreamBreak(broken) => return Err(broken),
            }
        }
        if !facts.done && !facts.finished() {
            self.facts.any = facts.any;
            return Err(BodyError::Unfinished.into());
        }
        self.facts = facts;
        if let Some(end) = passed {
            self.pass(from, end);
        }
        if !self.facts.done {
            let done =
                if missing.is_empty() { DONE_EVENT.into() } else { format!("{missing}{DONE_EVENT}").into() };
            self.ready.push(done);
        }
        Ok(())
    }

    fn pop(&mut self) -> Option<Bytes> {
        self.ready.pop()
    }

    fn mark(&mut self, clocks: &mut Running) {
        if std::mem::take(&mut self.facts.fresh) {
            clocks.progress();
        }
        if self.facts.answered() {
            clocks.content();
        }
        if self.facts.done {
            clocks.done();
        }
    }
}

fn judge(
    reader: &mut Reader,
    (facts, said): (&mut Facts, &mut Option<Said>),
    terms: &Terms,
    data: Option<Cow<'_, [u8]>>,
) -> Verdict {
    let Some(data) = data else { return Verdict::Pass };
    let event = reader.read(&data);
    if let Event::Chunk(chunk) = &event
        && chunk.error
        && let Some(outcome) = (terms.rules.judge.event)(&data, &HeaderMap::new())
    {
        if facts.done {
            // It comes too late to be one, and may repeat our credential.
            return Verdict::Drop;
        }
        facts.any = true;
        let told = terms.rules.secrets.cleaned(Bytes::copy_from_slice(&data));
        return Verdict::StreamBreak(StreamBreak::Upstream(told, Box::new(outcome)));
    }
    facts.note(&event);
    match event {
        Event::Broken => {
            terms.rules.count_broken();
            if terms.rules.pass_broken { Verdict::Pass } else { Verdict::Drop }
        }
        Event::Chunk(chunk) if chunk.only_usage && terms.strip_usage => Verdict::Drop,
        Event::Chunk(chunk) if terms.goes_on && chunk.only_opens() && !facts.content => Verdict::Drop,
        Event::Again | Event::Chunk(_) => {
            if let Some(said) = said {
                said.note(&data);
            }
            Verdict::Pass
        }
        Event::Done | Event::Empty => Verdict::Pass,
    }
}
