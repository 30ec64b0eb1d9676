//! A framer for server-sent events: [`Framer`] finds the end and the data of each event, and changes no byte.
//!
//! The framer takes the stream in pieces of any size, with any line ends (LF, CRLF, CR, mixed), and reads each byte once. Its
//! unit is a *block*: an event up to its blank line, or a comment line or a blank line outside of an event. Comments
//! and blank lines are returned at once, so that a keep-alive is not held until the next event.

use std::{borrow::Cow, ops::Range};

use bytes::{Buf, Bytes, BytesMut};
use memchr::{memchr2, memchr2_iter};

use super::segments::{SEGMENT, Segments};

/// The length of an incomplete block from which the rest of it is held in segments, in bytes.
const LONG: usize = 2 * SEGMENT;

/// Splits a stream of bytes into blocks.
#[derive(Debug)]
pub(crate) struct Framer {
    buf: Bytes,
    /// The bytes after `buf` of a long block, without the end of the block. They are scanned later, and no offset counts them.
    tail: Segments,
    /// The start of the incomplete block in `buf`.
    start: usize,
    /// The start of the current line, relative to `start`.
    line: usize,
    /// The end of the scanned bytes, relative to `start`.
    at: usize,
    block: Block,
    /// True after a CR: a following LF belongs to it.
    after_cr: bool,
    /// True before the first line, which may begin with a byte order mark.
    opening: bool,
    limit: usize,
}

#[derive(Debug, Default)]
struct Block {
    /// True after a field: only a blank line ends the block then.
    fields: bool,
    /// True if the event is named `error`.
    is_error: bool,
    data: Option<Range<usize>>,
    /// True for several data lines. They are rare and are searched again at the end: storing the ranges of millions of
    /// lines would cost more than the event.
    more: bool,
}

/// A block of the stream.
#[derive(Debug)]
pub(crate) struct EventBlock<'a> {
    /// The end of the block, as an offset for [`Framer::slice`].
    pub end: usize,
    /// The bytes of the block.
    pub bytes: &'a [u8],
    /// The data, lines joined by LF; `None` without a data line.
    pub data: Option<Cow<'a, [u8]>>,
    /// True for an event that is named `error`.
    pub is_error: bool,
    /// The line ends that are missing. Empty but for the last block of a stream that was cut or lacks its line ends.
    pub missing: &'static str,
}

/// The error for a block that is longer than the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

impl Framer {
    /// Makes a framer that holds blocks of at most `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            buf: Bytes::new(),
            tail: Segments::default(),
            start: 0,
            line: 0,
            at: 0,
            block: Block::default(),
            after_cr: false,
            opening: true,
            limit,
        }
    }

    /// Adds the next piece of the stream. A piece that begins with an event is not copied.
    #[inline(always)]
    pub(crate) fn push(&mut self, piece: Bytes) {
        self.compact();
        if self.buf.is_empty() {
            self.buf = piece;
            return;
        }
        if self.buf.len() >= LONG && !self.may_end_block(&piece) {
            self.tail.push(&piece);
        } else {
            self.append(&piece);
        }
    }

    /// Returns false if this piece cannot have the end of the incomplete block: no blank line, and no line end where the end of
    /// a comment may be the end of the block.
    fn may_end_block(&self, piece: &[u8]) -> bool {
        let is_line_end = |byte: Option<&u8>| matches!(byte, Some(b'\n' | b'\r'));
        let is_blank = |at: usize| match (piece[at], piece.get(at + 1)) {
            (b'\r', Some(b'\n')) => false,
            (_, next) => is_line_end(next),
        };
        is_line_end(self.tail.last().or(self.buf.last())) && is_line_end(piece.first())
            || memchr2_iter(b'\n', b'\r', piece).any(|at| !self.block.fields || is_blank(at))
    }

    /// Adds the tail and these bytes to the buffer.
    fn append(&mut self, piece: &[u8]) {
        let (buf, tail) = (std::mem::take(&mut self.buf), std::mem::take(&mut self.tail));
        let more = tail.len() + piece.len();
        // A buffer without other references and with room grows in place, so that a long event in many pieces is copied a
        // few times, not for each piece.
        let mut whole = match buf.try_into_mut() {
            Ok(owned) if owned.capacity() - owned.len() >= more => owned,
            Ok(full) => with_room(&full, more),
            Err(shared) => with_room(&shared, more),
        };
        tail.iter().chain([piece]).for_each(|segment| whole.extend_from_slice(segment));
        self.buf = whole.freeze();
    }

    /// Returns the next complete block.
    #[inline(always)]
    pub(crate) fn next_block(&mut self) -> Result<Option<EventBlock<'_>>, TooLong> {
        let whole = loop {
            match self.next_line() {
                None => break false,
                Some(true) => break true,
                Some(false) => {}
            }
        };
        if self.at + self.tail.len() > self.limit {
            return Err(TooLong);
        }
        if !whole {
            return Ok(None);
        }
        let from = self.start;
        self.start += self.at;
        (self.line, self.at) = (0, 0);
        let block = std::mem::take(&mut self.block);
        Ok(Some(EventBlock::new(block, &self.buf[from..self.start], (self.start, ""))))
    }

    /// Returns the incomplete block at the end of the stream, read as if its blank line had arrived. Consumes nothing.
    pub(crate) fn rest(&mut self) -> Option<EventBlock<'_>> {
        if self.tail.len() > 0 {
            self.append(&[]);
        }
        let length = self.buf.len() - self.start;
        if length == 0 {
            return None;
        }
        // After a CR, one LF would only complete its line end.
        let mut missing = if self.after_cr { "\n\n" } else { "\n" };
        if self.line < length {
            missing = "\n\n";
            self.field(self.line..length);
            self.line = length;
        }
        let block = std::mem::take(&mut self.block);
        Some(EventBlock::new(block, &self.buf[self.start..], (self.buf.len(), missing)))
    }

    /// Returns the start of the incomplete block.
    pub(crate) const fn start(&self) -> usize {
        self.start
    }

    /// Returns bytes of the stream. Offsets are valid until the next [`Framer::push`].
    pub(crate) fn slice(&self, range: Range<usize>) -> Bytes {
        self.buf.slice(range)
    }

    /// Returns the bytes of the incomplete block, in pieces.
    pub(crate) fn unfinished(&self) -> impl Iterator<Item = &[u8]> {
        std::iter::once(&self.buf[self.start..]).chain(self.tail.iter())
    }

    /// Returns the length of the incomplete block.
    pub(crate) fn unfinished_len(&self) -> usize {
        self.buf.len() - self.start + self.tail.len()
    }

    /// Returns the bytes of the incomplete block, in pieces that are freed one by one, and ends the framing.
    pub(crate) fn take_rest(&mut self) -> impl Iterator<Item = Bytes> + use<> {
        let mut first = Segments::default();
        first.push(&std::mem::take(&mut self.buf)[self.start..]);
        first.into_iter().chain(std::mem::take(&mut self.tail))
    }

    /// Returns the complete blocks from `from` on, and discards all complete blocks. Returning the whole buffer costs
    /// no reference count.
    #[inline]
    pub(crate) fn take_blocks(&mut self, from: usize) -> Bytes {
        if from == 0 && self.start == self.buf.len() {
            self.start = 0;
            return std::mem::take(&mut self.buf);
        }
        let blocks = self.slice(from..self.start);
        self.compact();
        blocks
    }

    /// Discards the complete blocks. A short rest is copied, so that it does not keep a large piece alive.
    pub(crate) fn compact(&mut self) {
        if self.start == 0 {
            return;
        }
        self.buf.advance(self.start);
        self.start = 0;
        self.buf = Bytes::copy_from_slice(&self.buf);
    }

    /// Reads one more line. Returns true if it ends the block, and `None` if it is incomplete.
    fn next_line(&mut self) -> Option<bool> {
        let block = &self.buf[self.start..];
        if self.after_cr && self.at < block.len() {
            self.after_cr = false;
            if block[self.at] == b'\n' {
                self.at += 1;
                self.line = self.at;
                if self.at == 1 {
                    return Some(true); // the CR has ended a block that was returned: its LF is a block of its own
                }
            }
        }
        let Some(found) = memchr2(b'\n', b'\r', &block[self.at..]) else {
            self.at = block.len();
            return None;
        };
        let end = self.at + found;
        self.at = end + 1;
        if block[end] == b'\r' {
            match block.get(self.at) {
                Some(b'\n') => self.at += 1,
                Some(_) => {}
                None => self.after_cr = true,
            }
        }
        let line = self.line..end;
        self.line = self.at;
        Some(self.field(line))
    }

    /// Reads one line. Returns true if it ends the block.
    fn field(&mut self, mut line: Range<usize>) -> bool {
        let block = &self.buf[self.start..];
        if std::mem::take(&mut self.opening) && block[line.clone()].starts_with("\u{feff}".as_bytes()) {
            line.start += 3;
        }
        match &block[line.clone()] {
            [] => return true,
            [b':', ..] => return !self.block.fields,
            text => {
                if let Some(value) = value_of(text, b"data") {
                    self.block.add(line.end - value.len()..line.end);
                } else if let Some(name) = value_of(text, b"event") {
                    self.block.is_error = name.eq_ignore_ascii_case(b"error");
                } else if let Some(value) = value_of(text, b"error") {
                    // llama.cpp until September 2025: the name of the event in the place of `data`.
                    self.block.is_error = true;
                    self.block.add(line.end - value.len()..line.end);
                }
            }
        }
        self.block.fields = true;
        false
    }
}

/// Returns a copy with room for `more` bytes or more. A long copy is a quarter larger than its bytes at most: hundreds of
/// streams may hold one.
fn with_room(bytes: &[u8], more: usize) -> BytesMut {
    let room = bytes.len().min(SEGMENT).max(bytes.len() / 4).max(more);
    let mut copy = BytesMut::with_capacity(bytes.len() + room);
    copy.extend_from_slice(bytes);
    copy
}

impl<'a> EventBlock<'a> {
    #[inline(always)]
    fn new(block: Block, bytes: &'a [u8], (end, missing): (usize, &'static str)) -> Self {
        Self { end, bytes, is_error: block.is_error, data: block.data(bytes), missing }
    }

    /// Returns the bytes of a block with other data than its `old` ones. If these have several lines, the fields are in another
    /// order then.
    pub(crate) fn with_data(bytes: &[u8], old: &[u8], new: &[u8]) -> Bytes {
        // One line is a slice of the block. A search for it would cost more than to read the event.
        let at = old.as_ptr().addr().wrapping_sub(bytes.as_ptr().addr());
        if let Some(behind) = bytes.get(at..).and_then(|rest| rest.strip_prefix(old)) {
            return [&bytes[..at], new, behind].concat().into();
        }
        let mut block = Vec::with_capacity(bytes.len() + new.len());
        for line in new.split(|byte| *byte == b'\n') {
            block.extend([b"data: ", line, b"\n"].concat());
        }
        let others = bytes.split(|byte| matches!(byte, b'\n' | b'\r'));
        for line in others.filter(|line| !line.is_empty() && value_of(line, b"data").is_none()) {
            block.extend([line, b"\n"].concat());
        }
        block.push(b'\n');
        block.into()
    }
}

impl Block {
    fn add(&mut self, value: Range<usize>) {
        self.more = self.data.is_some();
        self.data.get_or_insert(value);
    }

    #[inline(always)]
    fn data(self, block: &[u8]) -> Option<Cow<'_, [u8]>> {
        let first = self.data?;
        match self.more {
            true => Some(Cow::Owned(joined(block, first))),
            false => Some(Cow::Borrowed(&block[first])),
        }
    }
}

/// Returns the values of several data lines, of which the `first` is known, joined by LF.
#[cold]
fn joined(block: &[u8], first: Range<usize>) -> Vec<u8> {
    let (mut joined, behind) = (block[first.clone()].to_vec(), &block[first.end..]);
    // Between CR and LF is an empty line, which is not data.
    let others = behind.split(|byte| matches!(byte, b'\n' | b'\r'));
    for value in others.filter_map(|line| value_of(line, b"data")) {
        joined.push(b'\n');
        joined.extend_from_slice(value);
    }
    joined
}

/// Returns the value of a line with this field.
fn value_of<'a>(line: &'a [u8], field: &[u8]) -> Option<&'a [u8]> {
    let value = match line.strip_prefix(field)? {
        [] => &[],
        [b':', value @ ..] => value,
        _ => return None,
    };
    Some(value.strip_prefix(b" ").unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(pieces: &[&str]) -> Vec<(String, Option<String>)> {
        let mut framer = Framer::new(1 << 20);
        let mut out = Vec::new();
        for piece in pieces {
            framer.push(Bytes::copy_from_slice(piece.as_bytes()));
            loop {
                let from = framer.start();
                let Some(block) = framer.next_block().expect("short") else { break };
                let data = block.data.map(|data| String::from_utf8(data.into_owned()).expect("utf-8"));
                let end = block.end;
                out.push((String::from_utf8(framer.slice(from..end).to_vec()).expect("utf-8"), data));
            }
        }
        out
    }

    fn data(pieces: &[&str]) -> Vec<String> {
        blocks(pieces).into_iter().filter_map(|(_, data)| data).collect()
    }

    #[test]
    fn framer_accepts_every_line_end() {
        for end in ["\n", "\r\n", "\r"] {
            let stream = format!("data: a{end}{end}data:b{end}{end}");
            assert_eq!(data(&[&stream]), ["a", "b"], "{end:?}");
        }
    }

    #[test]
    fn framer_returns_an_event_ended_by_a_bare_cr_at_once() {
        assert_eq!(blocks(&["data: a\r\r"]).len(), 1);
        let split = blocks(&["data: a\r\n\r", "\ndata: b\n\n"]);
        let bytes: String = split.iter().map(|(bytes, _)| bytes.as_str()).collect();
        assert_eq!(bytes, "data: a\r\n\r\ndata: b\n\n", "the LF is neither lost nor an event");
        assert_eq!(split.iter().filter(|(_, data)| data.is_some()).count(), 2);
    }

    #[test]
    fn framer_joins_data_lines_and_removes_one_space() {
        for end in ["\n", "\r\n", "\r"] {
            let stream = "data: a\ndata:b\nid: 1\ndata\n: c\ndata:  c\n\ndata: d\n\n".replace('\n', end);
            assert_eq!(data(&[&stream]), ["a\nb\n\n c", "d"], "{end:?}");
        }
    }

    #[test]
    fn framer_finds_the_name_of_an_error_event() {
        let is_error = |stream: &'static str| {
            let mut framer = Framer::new(64);
            framer.push(Bytes::from_static(stream.as_bytes()));
            framer.next_block().expect("short").expect("whole").is_error
        };
        for stream in [
            "event: error\ndata: a\n\n",
            "event:error\r\ndata: a\r\n\r\n",
            "data: a\revent: Error\r\r",
            "id: 1\nevent: message\nevent: error\n\n",
        ] {
            assert!(is_error(stream), "{stream:?}");
        }
        for stream in [
            "event: message\ndata: error\n\n",
            "event: error\nevent: message\n\n",
            "event\ndata: a\n\n",
            "events: error\n\n",
            ": event: error\n",
        ] {
            assert!(!is_error(stream), "{stream:?}");
        }
    }

    #[test]
    fn framer_takes_the_value_of_an_error_field_for_data() {
        let mut framer = Framer::new(64);
        framer.push(Bytes::from_static(b"error: {}\n\n"));
        let block = framer.next_block().expect("short").expect("whole");
        assert_eq!((block.is_error, block.data.as_deref()), (true, Some(&b"{}"[..])));
    }

    #[test]
    fn event_blocks_keep_their_other_fields_when_the_data_is_replaced() {
        for (block, replaced) in [
            ("event: a\r\ndata:x\r\nid: 1\r\n\r\n", "event: a\r\ndata:1\n2\r\nid: 1\r\n\r\n"),
            ("event: a\ndata: a\n\n", "event: a\ndata: 1\n2\n\n"),
            ("event: a\ndata: x\ndata: y\nid: 1\n\n", "data: 1\ndata: 2\nevent: a\nid: 1\n\n"),
        ] {
            let mut framer = Framer::new(64);
            framer.push(Bytes::from_static(block.as_bytes()));
            let EventBlock { bytes, data, .. } = framer.next_block().expect("short").expect("whole");
            assert_eq!(EventBlock::with_data(bytes, &data.expect("data"), b"1\n2"), replaced);
        }
    }

    #[test]
    fn framer_skips_one_byte_order_mark() {
        assert_eq!(data(&["\u{feff}data: a\n\n\u{feff}data: b\n\n"]), ["a"]);
    }

    #[test]
    fn framer_returns_a_comment_between_events_at_its_line_end() {
        assert_eq!(blocks(&[": keep-alive\n"]), [(": keep-alive\n".to_owned(), None)]);
        assert_eq!(blocks(&["data: a\n: inside\n"]), [], "one inside an event belongs to it");
    }

    #[test]
    fn framer_joins_a_split_character() {
        let mut framer = Framer::new(64);
        let bytes = "data: é\n\n".as_bytes();
        framer.push(Bytes::copy_from_slice(&bytes[..7]));
        assert!(framer.next_block().expect("short").is_none());
        framer.push(Bytes::copy_from_slice(&bytes[7..]));
        let block = framer.next_block().expect("short").expect("whole");
        assert_eq!(block.data.as_deref(), Some("é".as_bytes()));
    }

    #[test]
    fn framer_refuses_an_event_over_the_limit_before_it_is_complete() {
        let mut framer = Framer::new(16);
        framer.push(Bytes::from_static(b"data: a\n\ndata: 0123456789"));
        assert!(framer.next_block().is_ok());
        assert_eq!(framer.next_block().map(|_| ()), Ok(()), "16 bytes are allowed");
        framer.push(Bytes::from_static(b"x"));
        assert_eq!(framer.next_block().map(|_| ()), Err(TooLong));
    }

    #[test]
    fn framer_reports_the_missing_line_ends_of_the_rest() {
        let mut framer = Framer::new(64);
        framer.push(Bytes::from_static(b"data: [DONE]"));
        assert!(framer.next_block().expect("short").is_none());
        let rest = framer.rest().expect("some");
        assert_eq!((rest.data.as_deref(), rest.missing), (Some(&b"[DONE]"[..]), "\n\n"));
    }

    #[test]
    fn framer_does_not_count_a_final_cr_as_half_of_a_blank_line() {
        for (end, missing) in [("\n", "\n"), ("\r\n", "\n"), ("\r", "\n\n")] {
            let mut framer = Framer::new(64);
            framer.push(format!("data: a{end}").into());
            assert!(framer.next_block().expect("short").is_none());
            assert_eq!(framer.rest().expect("some").missing, missing, "{end:?}");
        }
    }

    #[test]
    fn framer_does_not_copy_a_piece_that_begins_with_an_event() {
        let piece = Bytes::from_static(b"data: a\n\n");
        let mut framer = Framer::new(64);
        framer.push(piece.clone());
        let end = framer.next_block().expect("short").expect("whole").end;
        assert_eq!(framer.slice(0..end).as_ptr(), piece.as_ptr());
    }
}
