//! A body that is translated to the client's dialect: [`TranslatedBody`].
//!
//! The translation is below everything that watches a response: Peek, the timeouts, the token accounting and the transcript
//! see the client's dialect only. An error is passed on in the upstream's words, so that it is classified as it was sent.
//!
//! The first bytes decide the form of the upstream's body. Either form becomes the one that the client requested.

use std::{
    mem::take,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use http_body::Body;
use memchr::memchr;

use super::{
    frames::{Frame, Frames},
    opening::Opening,
    sse::{EventBlock, Framer, TooLong},
    upstream_body::UpstreamBody,
};
use crate::{dialect::Translation, error::BodyError};

/// The number of bytes after which a body that does not begin like a stream is none.
const LONGEST_FIELD: usize = 8;

/// A body that is translated.
#[derive(Debug)]
pub(super) struct TranslatedBody {
    upstream: UpstreamBody,
    translation: Translation,
    form: Form,
    /// The longest event or complete response, in bytes.
    limit: usize,
    /// True after the first translated bytes.
    has_begun: bool,
    /// True after the end of the upstream's body.
    has_ended: bool,
}

/// The form of the upstream's body.
#[derive(Debug)]
enum Form {
    /// Not known yet: the bytes so far.
    Unknown(BytesMut),
    Events(Box<Framer>),
    /// Frames of AWS, in place of events.
    Frames(Frames),
    /// A complete response: the bytes so far.
    Json(BytesMut),
    /// Lines of JSON, in place of both: the incomplete line.
    Lines(BytesMut),
    /// Neither: the bytes are passed on, and refused above.
    Other,
}

impl TranslatedBody {
    pub(super) fn new(upstream: UpstreamBody, translation: Translation, limit: usize) -> Self {
        let form = match translation.has_lines() {
            true => Form::Lines(BytesMut::new()),
            false => Form::Unknown(BytesMut::new()),
        };
        Self { upstream, translation, form, limit, has_begun: false, has_ended: false }
    }

    /// Starts the coalescing of bursts, after the first content was sent.
    pub(super) fn coalesce_bursts(&mut self) {
        self.upstream.coalesce_bursts();
    }

    /// Polls the next translated bytes.
    pub(super) fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        while !self.has_ended {
            let data = match ready!(Pin::new(&mut self.upstream).poll_frame(cx)) {
                Some(Ok(frame)) => self.take(frame.into_data().unwrap_or_default()),
                Some(Err(error)) => Err(error),
                None => {
                    self.has_ended = true;
                    self.close()
                }
            };
            match data {
                Ok(data) if data.is_empty() => {}
                data => {
                    self.has_begun = true;
                    return Poll::Ready(Some(data));
                }
            }
        }
        Poll::Ready(None)
    }

    /// Translates the next bytes.
    fn take(&mut self, piece: Bytes) -> Result<Bytes, BodyError> {
        match &mut self.form {
            Form::Events(framer) => framer.push(piece),
            Form::Frames(frames) => frames.push(&piece),
            Form::Unknown(held) | Form::Json(held) | Form::Lines(held)
                if held.len() + piece.len() > self.limit =>
            {
                return Err(BodyError::TooLarge { limit: self.limit });
            }
            Form::Unknown(held) | Form::Json(held) | Form::Lines(held) => held.extend_from_slice(&piece),
            Form::Other => return Ok(piece),
        }
        if let Form::Unknown(held) = &mut self.form {
            match Opening::of(&held[..]) {
                Opening::Json => self.form = Form::Json(take(held)),
                Opening::Events => self.form = events(self.limit, take(held).freeze()),
                // The length of a frame begins with a zero.
                Opening::Other if held.first() == Some(&0) && self.translation.has_frames() => {
                    self.form = Form::Frames(Frames::new(take(held), self.limit));
                }
                Opening::Other if held.len() >= LONGEST_FIELD => {
                    let held = take(held).freeze();
                    self.form = Form::Other;
                    return Ok(held);
                }
                Opening::Blank | Opening::Other => {}
            }
        }
        self.translate_events()
    }

    /// Translates all complete events and lines.
    fn translate_events(&mut self) -> Result<Bytes, BodyError> {
        let mut out = Vec::new();
        if let Form::Lines(held) = &mut self.form {
            while let Some(at) = memchr(b'\n', held) {
                translate_line(&mut self.translation, &held.split_to(at + 1), &mut out);
            }
        }
        if let Form::Frames(frames) = &mut self.form {
            while let Some(frame) = frames.next()? {
                translate_frame(&mut self.translation, &frame, &mut out);
            }
        }
        let Form::Events(framer) = &mut self.form else { return Ok(out.into()) };
        loop {
            let start = framer.start();
            match framer.next_block() {
                // A comment is longer than the end of a line.
                Ok(Some(block)) if block.data.is_none() && block.end - start > 2 => {
                    self.translation.alive(&mut out);
                }
                Ok(Some(block)) => translate(&mut self.translation, &block, &mut out),
                Ok(None) => return Ok(out.into()),
                Err(TooLong) => return Err(BodyError::TooLarge { limit: self.limit }),
            }
        }
    }

    /// Translates the rest at the end of the upstream's body.
    fn close(&mut self) -> Result<Bytes, BodyError> {
        let mut out = Vec::new();
        match &mut self.form {
            Form::Unknown(held) => return Ok(take(held).freeze()),
            Form::Json(json) => {
                if !self.translation.complete(json, &mut out) {
                    return Ok(take(json).freeze());
                }
            }
            Form::Events(framer) => {
                // An event without its blank line counts only if it is complete.
                if let Some(data) = framer.rest().and_then(|block| block.data) {
                    let _ = self.translation.event(&data, &mut out);
                }
                self.translation.end(&mut out);
                // The client waits for a complete response, and there is none.
                if out.is_empty() && !self.has_begun && !self.translation.is_stream() {
                    return Err(BodyError::Unfinished);
                }
            }
            Form::Frames(_) => {
                self.translation.end(&mut out);
                if out.is_empty() && !self.has_begun && !self.translation.is_stream() {
                    return Err(BodyError::Unfinished);
                }
            }
            Form::Lines(rest) => {
                translate_line(&mut self.translation, &take(rest), &mut out);
                if out.is_empty() && !self.has_begun && !self.translation.is_stream() {
                    return Err(BodyError::Unfinished);
                }
            }
            Form::Other => {}
        }
        Ok(out.into())
    }
}

/// Returns the form of a stream that begins with these bytes.
fn events(limit: usize, held: Bytes) -> Form {
    let mut framer = Framer::new(limit);
    framer.push(held);
    Form::Events(Box::new(framer))
}

/// Appends the translation of a frame.
fn translate_frame(translation: &mut Translation, frame: &Frame, out: &mut Vec<u8>) {
    match frame {
        Frame::Event(payload) if translation.event(payload, out) => {}
        Frame::Event(data) | Frame::Error(data) => pass(data, translation.is_stream(), out),
    }
}

/// Appends the translation of a line.
fn translate_line(translation: &mut Translation, line: &[u8], out: &mut Vec<u8>) {
    let line = line.trim_ascii();
    if !line.is_empty() && !translation.event(line, out) {
        pass(line, translation.is_stream(), out);
    }
}

/// Appends the translation of a block.
fn translate(translation: &mut Translation, block: &EventBlock<'_>, out: &mut Vec<u8>) {
    let is_stream = translation.is_stream();
    match block.data.as_deref() {
        None => {}
        Some(data) if !block.is_error && translation.event(data, out) => {}
        Some(data) => {
            out.extend_from_slice(if is_stream && block.is_error { b"event: error\n" } else { b"" });
            pass(data, is_stream, out);
        }
    }
}

/// Appends data that is not translated. For a client that waits for a complete response an error is one.
fn pass(data: &[u8], is_stream: bool, out: &mut Vec<u8>) {
    if !is_stream {
        return out.extend_from_slice(data);
    }
    for line in data.split(|byte| *byte == b'\n') {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    out.push(b'\n');
}
