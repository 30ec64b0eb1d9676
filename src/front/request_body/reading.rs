//! A body that is read while it comes: [`Reading`].

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use simdutf8::basic::from_utf8;

use super::{
    read::{head, read},
    scan::{MAX_KEYS, Object, Text},
};
use crate::{
    error::InvalidRequest,
    json::PushScanner,
    request::{BodyFrames, Operation, RequestInfo},
};

/// What is known of the frames that have come.
///
/// Each is walked when it comes, while it is warm. What the walk does not take is read once more when all is there, in
/// one piece.
#[derive(Debug)]
pub(super) struct Reading {
    /// None: it is broken, or not as we take it.
    outline: Option<PushScanner>,
    /// None: it is no UTF-8.
    text: Option<Utf8>,
    /// The first frame, while it is the only one: most bodies have no other, and are judged at the end.
    only: Option<Bytes>,
    kept: Kept,
}

impl Reading {
    pub(super) fn new() -> Self {
        Self::keeping(Kept::WORTH)
    }

    /// Of frames that are kept as they come if they have so many bytes.
    pub(super) fn keeping(worth: usize) -> Self {
        let kept = Kept { worth, frames: Vec::new(), small: BytesMut::new() };
        Self { outline: Some(PushScanner::new(MAX_KEYS)), text: Some(Utf8::default()), only: None, kept }
    }

    /// The next frame.
    pub(super) fn take(&mut self, frame: Bytes) {
        if self.outline.as_mut().is_some_and(|outline| outline.walk(&frame).is_none()) {
            self.outline = None;
        }
        if self.only.is_none() && self.kept.is_empty() {
            self.only = Some(frame);
            return;
        }
        if let Some(first) = self.only.take() {
            self.keep(first);
        }
        self.keep(frame);
    }

    fn keep(&mut self, frame: Bytes) {
        if self.text.as_mut().is_some_and(|text| text.take(&frame).is_none()) {
            self.text = None;
        }
        self.kept.push(frame);
    }

    /// What the body says, and the body.
    pub(super) fn end(
        self,
        operation: Operation,
        headers: &HeaderMap,
    ) -> Result<(Arc<RequestInfo>, BodyFrames), InvalidRequest> {
        let frames = self.only.map_or_else(|| self.kept.end(), BodyFrames::from);
        let text = match frames.only() {
            Some(only) => from_utf8(only).ok().map(Text::One),
            None => self.text.and_then(Utf8::end).map(|()| Text::Many(&frames)),
        };
        if let (Some(text), Some((parts, close))) = (text, self.outline.and_then(PushScanner::end)) {
            let head = head(operation, headers, &Object::new(text, &parts, close), &[])?;
            return Ok((Arc::new(head), frames));
        }
        let whole = frames.flat();
        drop(frames);
        Ok((Arc::new(read(operation, headers, &whole)?), whole.into()))
    }
}

/// Frames that are kept as they came, but for small ones, which would hold much more memory than they fill: those are
/// copied together.
#[derive(Debug)]
struct Kept {
    worth: usize,
    frames: Vec<Bytes>,
    small: BytesMut,
}

impl Kept {
    /// A frame holds the whole buffer that it was read into. hyper's least is of this size, and larger ones shrink when
    /// a connection has twice brought less than half of what they hold: so what is held is soon a few times what was
    /// sent, and no more.
    const WORTH: usize = 8 * 1024;

    /// How much of small frames makes one.
    const BLOCK: usize = 64 * 1024;

    fn is_empty(&self) -> bool {
        self.frames.is_empty() && self.small.is_empty()
    }

    fn push(&mut self, frame: Bytes) {
        if frame.len() < self.worth {
            self.small.extend_from_slice(&frame);
            if self.small.len() < Self::BLOCK {
                return;
            }
            self.seal();
        } else {
            self.seal();
            self.frames.push(frame);
        }
    }

    fn seal(&mut self) {
        if !self.small.is_empty() {
            self.frames.push(std::mem::take(&mut self.small).freeze());
        }
    }

    fn end(mut self) -> BodyFrames {
        self.seal();
        self.frames.into_iter().collect()
    }
}

/// Whether bytes that come in pieces are UTF-8.
#[derive(Debug, Default)]
struct Utf8 {
    /// The beginning of a character that the last piece did not end.
    begun: Vec<u8>,
}

impl Utf8 {
    /// None: they are not.
    fn take(&mut self, mut piece: &[u8]) -> Option<()> {
        while !self.begun.is_empty() {
            let Some((&next, rest)) = piece.split_first() else { return Some(()) };
            self.begun.push(next);
            piece = rest;
            match std::str::from_utf8(&self.begun) {
                Ok(_) => self.begun.clear(),
                Err(error) if error.error_len().is_some() => return None,
                Err(_) => {}
            }
        }
        let (whole, cut) = piece.split_at(cut(piece));
        self.begun.extend_from_slice(cut);
        from_utf8(whole).ok().map(drop)
    }

    /// None: they end within a character.
    fn end(self) -> Option<()> {
        self.begun.is_empty().then_some(())
    }
}

/// Where the character begins that this piece does not end, if there is one; else the end.
fn cut(piece: &[u8]) -> usize {
    // Bytes that go on with a character begin with the bits 10; at most three bytes of one are here.
    let begins = |&(_, byte): &(usize, &u8)| !(0x80..0xC0).contains(byte);
    let Some((place, &byte)) = piece.iter().enumerate().rev().take(3).find(begins) else {
        return piece.len();
    };
    let length = match byte {
        0xF0.. => 4,
        0xE0.. => 3,
        0xC0.. => 2,
        _ => 1,
    };
    if place + length > piece.len() { place } else { piece.len() }
}
