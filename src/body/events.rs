//! The decoder of an event stream: [`Events`].
//!
//! Does no I/O and reads no clock: bytes in, bytes out. It passes whole events only, so that an appended event (an
//! error event, `[DONE]`) stands alone. The output is slices of the input; a piece with many events stays one slice.

use std::{task::Context, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use tollgate_layers::Outcome;

use super::{
    active::Decoder,
    byte_queue::ByteQueue,
    held_events::HeldShare,
    memory::Memory,
    opening::Opening,
    sse::{EventBlock, Framer, TooLong},
    timeouts::RunningTimeouts,
    watch::{Event, StreamState, TemplateReader, Usage},
    watch_config::WatchConfig,
};
use crate::error::{BodyError, ErrorObject, StreamBreak};

/// The longest wait for the end of the body after the terminal event. Nothing is missing then.
const AFTER_DONE: Duration = Duration::from_secs(1);
/// The longest wait for the terminal event after the last finish reason or the last event behind it: a chunk with the
/// usage may follow, and some upstreams end neither the stream nor the connection.
const AFTER_FINISH: Duration = Duration::from_secs(2);

/// The decoder of an event stream.
#[derive(Debug)]
pub(crate) struct Events {
    state: StreamState,
    framer: Framer,
    ready: ByteQueue,
    reader: TemplateReader,
    memory: Option<Memory>,
    config: WatchConfig,
    share: HeldShare,
    /// True after the stream had to give up its unfinished event: the rest passes without being read.
    unwatched: bool,
}

/// The handling of one event.
enum EventAction {
    Pass,
    Drop,
    /// The bytes of the event with other ids.
    Replace(Bytes),
    Break(StreamBreak),
}

/// Returns true if the content type is `text/event-stream`.
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
            memory: Memory::of(&config),
            share: config.peek.held_events.share(),
            unwatched: false,
            config,
        }
    }

    pub(crate) const fn state(&self) -> &StreamState {
        &self.state
    }

    /// Returns the text so far, if it is recorded and the stream has text alone.
    pub(crate) fn transcript(&self) -> Option<&str> {
        self.memory.as_ref()?.text()
    }

    /// Returns the number of bytes that are held.
    pub(crate) fn held(&self) -> usize {
        self.ready.len() + self.framer.unfinished_len()
    }

    /// Returns the form of the received bytes, if none was passed on or dropped.
    pub(crate) fn opening(&self) -> Opening {
        Opening::of(self.ready.iter().map(|piece| &piece[..]).chain(self.framer.unfinished()).flatten())
    }

    /// Returns all received bytes, if none was passed on or dropped: for a response that is not an event stream after
    /// all.
    pub(crate) fn raw(&self) -> Bytes {
        let mut whole = BytesMut::new();
        let pieces = self.ready.iter().map(|piece| &piece[..]).chain(self.framer.unfinished());
        pieces.for_each(|piece| whole.extend_from_slice(piece));
        whole.freeze()
    }

    /// Adds an error event if the stream broke, and returns the outcome. `so_far` is the outcome by the response's
    /// head.
    pub(crate) fn conclude(&mut self, over: &Result<(), StreamBreak>, so_far: Outcome) -> Outcome {
        let outcome = match over {
            // After the terminal event nothing is missing, however the connection ended.
            Err(broken) if !self.state.done => {
                if self.unwatched {
                    self.ready.push(Bytes::from_static(b"\n\n"));
                }
                self.ready.push(self.break_event(broken));
                // The limits that the head has reported stay valid.
                broken.outcome().with_reported(so_far.requests(), so_far.tokens())
            }
            Err(_) | Ok(()) => so_far,
        };
        self.config.charge(self.state.usage);
        Usage::on(self.state.usage, outcome)
    }

    fn break_event(&self, broken: &StreamBreak) -> Bytes {
        match &self.memory {
            Some(Memory::Response(opened)) => {
                ErrorObject::failed_response(broken, opened.as_deref(), self.state.events)
            }
            _ => ErrorObject::event_of(broken, self.config.dialect),
        }
    }

    /// Returns the longest time that the rest of a complete stream may take; `None` if the stream is not complete.
    fn longest_rest(&self) -> Option<Duration> {
        let finished = || self.config.choices.is_some_and(|choices| self.state.finished_all(choices));
        match self.state.done {
            true => Some(AFTER_DONE),
            false => finished().then_some(AFTER_FINISH),
        }
    }

    /// Returns true if no bytes are ready.
    pub(crate) const fn is_empty(&self) -> bool {
        self.ready.is_empty()
    }

    /// Removes and returns all remaining bytes as one.
    pub(crate) fn drain(&mut self) -> Bytes {
        self.ready.gather()
    }

    /// Passes on the unfinished event and all that follows. The stream counts as answered, and cannot be continued.
    fn unwatch(&mut self) {
        self.framer.take_rest().for_each(|piece| self.ready.push(piece));
        (self.state.any, self.state.fresh, self.state.content) = (true, true, true);
        (self.unwatched, self.memory) = (true, None);
    }

    /// Returns the next bytes of an unwatched stream. They count until then.
    #[cold]
    fn pop_unwatched(&mut self) -> Option<Bytes> {
        let piece = self.ready.pop();
        self.share.set(self.ready.len());
        piece
    }

    fn pass(&mut self, from: usize, to: usize) {
        if from < to {
            self.ready.push(self.framer.slice(from..to));
        }
    }
}

impl Decoder for Events {
    fn take(&mut self, piece: Bytes) -> Result<(), StreamBreak> {
        if self.unwatched {
            self.state.fresh = true;
            self.ready.push(piece);
            return Ok(());
        }
        self.framer.push(piece);
        let mut from = self.framer.start();
        loop {
            let to = self.framer.start();
            let block = match self.framer.next_block() {
                Ok(Some(block)) => block,
                Ok(None) => {
                    let complete = self.framer.take_blocks(from);
                    if !complete.is_empty() {
                        self.ready.push(complete);
                    }
                    self.share.set(self.framer.unfinished_len());
                    return Ok(());
                }
                Err(TooLong) => {
                    self.pass(from, to);
                    return Err(BodyError::TooLarge { limit: self.config.peek.event_limit }.into());
                }
            };
            let end = block.end;
            match inspect(&mut self.reader, (&mut self.state, &mut self.memory), &self.config, block) {
                EventAction::Pass => {}
                EventAction::Drop => {
                    self.pass(from, to);
                    from = end;
                }
                EventAction::Replace(event) => {
                    self.pass(from, to);
                    self.ready.push(event);
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
        if self.unwatched {
            return Ok(());
        }
        let mut missing = "";
        let mut passed = None;
        // An event without its blank line is passed on only if it completes the stream; otherwise it is ignored.
        let mut state = self.state;
        let from = self.framer.start();
        if let Some(block) = self.framer.rest() {
            let (end, rest) = (block.end, block.missing);
            match inspect(&mut self.reader, (&mut state, &mut None), &self.config, block) {
                EventAction::Pass => (missing, passed) = (rest, Some(self.framer.slice(from..end))),
                EventAction::Replace(event) => (missing, passed) = (rest, Some(event)),
                EventAction::Drop => {}
                EventAction::Break(broken) => return Err(broken),
            }
        }
        if !state.done && !state.finished() {
            self.state.any = state.any;
            return Err(BodyError::Unfinished.into());
        }
        self.state = state;
        if let Some(event) = passed {
            self.ready.push(event);
        }
        if !self.state.done {
            let done = self.config.dialect.end_event();
            self.ready.push(if missing.is_empty() { done.into() } else { format!("{missing}{done}").into() });
        }
        Ok(())
    }

    #[inline]
    fn pop(&mut self) -> Option<Bytes> {
        if self.unwatched { self.pop_unwatched() } else { self.ready.pop() }
    }

    #[inline]
    fn release(&mut self, cx: &Context<'_>) -> bool {
        let gives_up = self.share.must_give_up(cx);
        if gives_up {
            self.unwatch();
        }
        gives_up
    }

    fn mark(&mut self, timeouts: &mut RunningTimeouts) {
        if std::mem::take(&mut self.state.fresh) {
            timeouts.progress();
            timeouts.end_after(self.longest_rest());
        }
        if self.state.answered() {
            timeouts.content();
        }
    }
}

fn inspect(
    reader: &mut TemplateReader,
    (state, memory): (&mut StreamState, &mut Option<Memory>),
    config: &WatchConfig,
    block: EventBlock<'_>,
) -> EventAction {
    let data = match block.data {
        None if !block.is_error => return EventAction::Pass,
        data => data.unwrap_or_default(),
    };
    let event = match reader.read(&data) {
        Event::Chunk(chunk) if config.is_replay => Event::Chunk(chunk.ended_by_error()),
        event => event,
    };
    let classifier = &config.peek.classifier;
    let error = match event {
        _ if block.is_error => Some(classifier.named_error(&data, &HeaderMap::new())),
        Event::Chunk(chunk) if chunk.error => (classifier.event)(&data, &HeaderMap::new()),
        Event::Chunk(_) | Event::Repeat | Event::Done | Event::Empty | Event::Broken => None,
    };
    if let Some(outcome) = error {
        return error_action(state, config, &data, outcome);
    }
    let action = action(state, config, &event);
    state.note(&event);
    match (&action, event, memory) {
        (EventAction::Pass, Event::Chunk(chunk), memory) if chunk.response => {
            with_issued_ids(config, (block.bytes, &data), memory)
        }
        (EventAction::Pass, Event::Repeat | Event::Chunk(_), Some(memory)) => {
            memory.record(&data);
            action
        }
        _ => action,
    }
}

/// Returns the handling of an event with a response, of which the ids may be replaced.
#[cold]
fn with_issued_ids(
    config: &WatchConfig,
    (block, data): (&[u8], &[u8]),
    memory: &mut Option<Memory>,
) -> EventAction {
    let issued = config.issuer().and_then(|(issuer, model)| issuer.event(model, data));
    if let Some(memory) = memory {
        memory.record(issued.as_deref().unwrap_or(data));
    }
    issued.map_or(EventAction::Pass, |new| EventAction::Replace(EventBlock::with_data(block, data, &new)))
}

/// Returns the handling of an event that is not an error; `state` is that before the event.
fn action(state: &StreamState, config: &WatchConfig, event: &Event) -> EventAction {
    let drops = match event {
        Event::Broken => {
            config.peek.count_broken();
            !config.peek.pass_broken
        }
        Event::Chunk(chunk) if chunk.only_usage && config.strip_usage => true,
        Event::Chunk(chunk) => config.is_continuation && chunk.only_opens() && !state.content,
        Event::Repeat | Event::Done | Event::Empty => false,
    };
    if drops { EventAction::Drop } else { EventAction::Pass }
}

/// Returns the handling of an error event.
fn error_action(state: &mut StreamState, config: &WatchConfig, data: &[u8], outcome: Outcome) -> EventAction {
    if state.done {
        // An error after the terminal event is not the outcome, and it may contain our credential.
        return EventAction::Drop;
    }
    state.any = true;
    let redacted = config.peek.secrets.redact(Bytes::copy_from_slice(data));
    EventAction::Break(StreamBreak::Upstream(redacted, Box::new(outcome)))
}
