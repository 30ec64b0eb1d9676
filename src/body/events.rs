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
    active::Decoder,
    byte_queue::ByteQueue,
    sse::{Framer, TooLong},
    timeouts::RunningTimeouts,
    transcript::Transcript,
    watch::{Event, StreamState, TemplateReader},
    watch_config::WatchConfig,
};
use crate::error::{BodyError, ErrorObject, StreamBreak};

const DONE_EVENT: &str = "data: [DONE]\n\n";

/// A streamed answer.
#[derive(Debug)]
pub(crate) struct Events {
    state: StreamState,
    framer: Framer,
    ready: ByteQueue,
    reader: TemplateReader,
    said: Option<Transcript>,
    config: WatchConfig,
}

/// What becomes of one event.
enum EventAction {
    Pass,
    Drop,
    Break(StreamBreak),
}

/// Whether an answer says that it is a stream of events.
pub(crate) fn is_events(headers: &HeaderMap) -> bool {
    const EVENTS: &str = "text/event-stream";
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.and_then(|kind| kind.get(..EVENTS.len())).is_some_and(|kind| kind.eq_ignore_ascii_case(EVENTS))
}

impl Events {
    pub(crate) fn new(config: WatchConfig) -> Self {
        Self {
            state: StreamState::default(),
            framer: Framer::new(config.peek.event_limit),
            ready: ByteQueue::default(),
            reader: TemplateReader::default(),
            said: config.keeps_transcript.then(Transcript::default),
            config,
        }
    }

    pub(crate) const fn state(&self) -> &StreamState {
        &self.state
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
            Err(broken) if !self.state.done => {
                self.ready.push(ErrorObject::of_break(broken).event());
                // What the head told about limits stays true.
                broken.outcome().with_reported(so_far.requests(), so_far.tokens())
            }
            Err(_) | Ok(()) => so_far,
        };
        outcome.with_used(self.state.usage.map(|usage| usage.total()))
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

impl Decoder for Events {
    fn take(&mut self, piece: Bytes) -> Result<(), StreamBreak> {
        self.framer.push(piece);
        let mut from = self.framer.start();
        loop {
            let to = self.framer.start();
            let block = match self.framer.next_block() {
                Ok(Some(block)) => block,
                Ok(None) => {
                    let given = self.framer.give(from);
                    if !given.is_empty() {
                        self.ready.push(given);
                    }
                    return Ok(());
                }
                Err(TooLong) => {
                    self.pass(from, to);
                    return Err(BodyError::TooLarge { limit: self.config.peek.event_limit }.into());
                }
            };
            match classifier(&mut self.reader, (&mut self.state, &mut self.said), &self.config, block.data) {
                EventAction::Pass => {}
                EventAction::Drop => {
                    let end = block.end;
                    self.pass(from, to);
                    from = end;
                }
                EventAction::Break(broken) => {
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
        let mut state = self.state;
        let from = self.framer.start();
        if let Some(block) = self.framer.rest() {
            let end = block.end;
            match classifier(&mut self.reader, (&mut state, &mut None), &self.config, block.data) {
                EventAction::Pass => (missing, passed) = (block.missing, Some(end)),
                EventAction::Drop => {}
                EventAction::Break(broken) => return Err(broken),
            }
        }
        if !state.done && !state.finished() {
            self.state.any = state.any;
            return Err(BodyError::Unfinished.into());
        }
        self.state = state;
        if let Some(end) = passed {
            self.pass(from, end);
        }
        if !self.state.done {
            let done =
                if missing.is_empty() { DONE_EVENT.into() } else { format!("{missing}{DONE_EVENT}").into() };
            self.ready.push(done);
        }
        Ok(())
    }

    fn pop(&mut self) -> Option<Bytes> {
        self.ready.pop()
    }

    fn mark(&mut self, timeouts: &mut RunningTimeouts) {
        if std::mem::take(&mut self.state.fresh) {
            timeouts.progress();
        }
        if self.state.answered() {
            timeouts.content();
        }
        if self.state.done {
            timeouts.done();
        }
    }
}

fn classifier(
    reader: &mut TemplateReader,
    (state, said): (&mut StreamState, &mut Option<Transcript>),
    config: &WatchConfig,
    data: Option<Cow<'_, [u8]>>,
) -> EventAction {
    let Some(data) = data else { return EventAction::Pass };
    let event = reader.read(&data);
    if let Event::Chunk(chunk) = &event
        && chunk.error
        && let Some(outcome) = (config.peek.classifier.event)(&data, &HeaderMap::new())
    {
        if state.done {
            // It comes too late to be one, and may repeat our credential.
            return EventAction::Drop;
        }
        state.any = true;
        let told = config.peek.secrets.redact(Bytes::copy_from_slice(&data));
        return EventAction::Break(StreamBreak::Upstream(told, Box::new(outcome)));
    }
    state.note(&event);
    match event {
        Event::Broken => {
            config.peek.count_broken();
            if config.peek.pass_broken { EventAction::Pass } else { EventAction::Drop }
        }
        Event::Chunk(chunk) if chunk.only_usage && config.strip_usage => EventAction::Drop,
        Event::Chunk(chunk) if config.is_continuation && chunk.only_opens() && !state.content => {
            EventAction::Drop
        }
        Event::Repeat | Event::Chunk(_) => {
            if let Some(said) = said {
                said.note(&data);
            }
            EventAction::Pass
        }
        Event::Done | Event::Empty => EventAction::Pass,
    }
}
