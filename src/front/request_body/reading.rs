//! The incremental reader of a request body: [`Reading`] scans each frame when it arrives.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use simdutf8::basic::from_utf8;

use super::{
    read::{CallTarget, info, read},
    scan::{MAX_KEYS, Object, Text},
    upload::Pieces,
};
use crate::{
    error::InvalidRequest,
    json::PushScanner,
    request::{BodyFrames, RequestInfo},
};

/// The state of a body of which some frames have arrived.
///
/// Each frame is scanned on arrival, while it is in the cache. A body that the scanner does not accept is parsed again
/// as a whole at its end, for its error or for its trailing commas.
#[derive(Debug)]
pub(super) struct Reading {
    /// The scanner, or `None` if it has rejected a frame.
    scanner: Option<PushScanner>,
    /// The check of the encoding, or `None` if the frames are not UTF-8.
    text: Option<Utf8>,
    /// The first frame, while there is no other. Most bodies have one frame, and its encoding is checked at the end.
    only: Option<Bytes>,
    frames: FrameBuffer,
}

impl Reading {
    /// Returns a reader of a body without frames.
    pub(super) fn new() -> Self {
        Self::keeping(FrameBuffer::MIN_FRAME)
    }

    /// Returns a reader that does not copy frames of `min_frame` bytes and more.
    pub(super) fn keeping(min_frame: usize) -> Self {
        let frames = FrameBuffer { min_frame, frames: Vec::new(), small: BytesMut::new() };
        Self { scanner: Some(PushScanner::new(MAX_KEYS)), text: Some(Utf8::default()), only: None, frames }
    }

    fn keep(&mut self, frame: Bytes) {
        if self.text.as_mut().is_some_and(|text| text.take(&frame).is_none()) {
            self.text = None;
        }
        self.frames.push(frame);
    }

    /// Ends the body.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`] as from [`read`], for a body that the scanner accepts.
    pub(super) fn end(self, target: &CallTarget, headers: &HeaderMap) -> Result<Ended, InvalidRequest> {
        let frames = self.only.map_or_else(|| self.frames.end(), BodyFrames::from);
        let text = match frames.only() {
            Some(only) => from_utf8(only).ok().map(Text::One),
            None => self.text.and_then(Utf8::end).map(|()| Text::Many(&frames)),
        };
        let (Some(text), Some((parts, close))) = (text, self.scanner.and_then(PushScanner::end)) else {
            return Ok(Ended::Rejected(frames));
        };
        let info = info(target, headers, &Object::new(text, &parts, close), &[])?;
        Ok(Ended::Accepted((Arc::new(info), frames)))
    }
}

impl Pieces for Reading {
    fn take(&mut self, frame: Bytes) {
        if self.scanner.as_mut().is_some_and(|scanner| scanner.scan(&frame).is_none()) {
            self.scanner = None;
        }
        if self.only.is_none() && self.frames.is_empty() {
            self.only = Some(frame);
            return;
        }
        if let Some(first) = self.only.take() {
            self.keep(first);
        }
        self.keep(frame);
    }
}

/// A complete body.
#[derive(Debug)]
pub(super) enum Ended {
    /// The scanner has accepted it.
    Accepted(ReadBody),
    /// The scanner has rejected it: [`read_again`] finds its error or its trailing commas.
    Rejected(BodyFrames),
}

/// The info of a body, and its frames.
pub(super) type ReadBody = (Arc<RequestInfo>, BodyFrames);

/// Reads a body as a whole: a copy of it, and a second one for trailing commas.
///
/// # Errors
///
/// [`InvalidRequest`] as from [`read`].
pub(super) fn read_again(
    frames: BodyFrames,
    target: &CallTarget,
    headers: &HeaderMap,
) -> Result<ReadBody, InvalidRequest> {
    let whole = frames.flat();
    drop(frames);
    Ok((Arc::new(read(target, headers, &whole)?), whole.into()))
}

/// The frames of a body. Small frames are copied together, because each would keep a buffer alive that is much larger
/// than the frame.
#[derive(Debug)]
struct FrameBuffer {
    min_frame: usize,
    frames: Vec<Bytes>,
    small: BytesMut,
}

impl FrameBuffer {
    /// The smallest frame that is not copied, in bytes. A frame keeps the whole buffer alive that it was read into.
    /// hyper's smallest buffer has this size, and a larger one shrinks after two reads of less than its half, so the
    /// memory of a body is at most a few times its length.
    const MIN_FRAME: usize = 8 * 1024;

    /// The number of bytes of small frames that are joined to one frame.
    const BLOCK: usize = 64 * 1024;

    fn is_empty(&self) -> bool {
        self.frames.is_empty() && self.small.is_empty()
    }

    fn push(&mut self, frame: Bytes) {
        if frame.len() < self.min_frame {
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

/// An incremental check of UTF-8.
#[derive(Debug, Default)]
struct Utf8 {
    /// The beginning of a character that continues in the next piece.
    begun: Vec<u8>,
}

impl Utf8 {
    /// Checks the next piece. Returns `None` if it is not UTF-8.
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

    /// Returns `None` if the text ends within a character.
    fn end(self) -> Option<()> {
        self.begun.is_empty().then_some(())
    }
}

/// Returns the offset of an incomplete character at the end of `piece`, or the length of `piece` if there is none.
fn cut(piece: &[u8]) -> usize {
    // Continuation bytes begin with the bits 10. An incomplete character has at most three bytes.
    let begins = |&(_, byte): &(usize, &u8)| !(0x80..0xC0).contains(byte);
    let Some((position, &byte)) = piece.iter().enumerate().rev().take(3).find(begins) else {
        return piece.len();
    };
    let length = match byte {
        0xF0.. => 4,
        0xE0.. => 3,
        0xC0.. => 2,
        _ => 1,
    };
    if position + length > piece.len() { position } else { piece.len() }
}
