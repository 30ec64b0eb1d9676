//! Push scanner for the members of an object that arrives in pieces: [`PushScanner`].

use std::ops::Range;

use super::{
    MAX_DEPTH, TextStats,
    bracket_stack::BracketStack,
    number::Number,
    text::StringScan,
    text_stats::{SEEN, ScanObserver},
};

/// Finds the positions of the members of an object in one pass, which can stop and continue at any byte.
///
/// A large body arrives in frames. Each is scanned on arrival, while it is in the cache, without copying frames
/// together and without blocking a thread for megabytes. The scanner is as strict as [`Cursor`](super::Cursor), and
/// reports no reason for an error either. It does not check that the pieces are UTF-8.
#[derive(Debug)]
pub(crate) struct PushScanner {
    next: Next,
    begun: Begun,
    open: BracketStack,
    /// The length of the previous pieces.
    passed: usize,
    /// The current member, and the completed members.
    last: Part,
    parts: Vec<Part>,
    most: usize,
    /// The position of the closing brace.
    close: usize,
}

/// A member of the object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Part {
    /// The position of the name, including its quotes.
    pub(crate) key: Range<usize>,
    /// True if the name contains an escape.
    pub(crate) escaped: bool,
    /// The position of the value.
    pub(crate) value: Range<usize>,
    /// The statistics of the value.
    pub(crate) tally: TextStats,
}

/// The token that is expected next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// The object.
    Object,
    /// A value; for `Item` also the end of the list.
    Value,
    Item,
    /// A name; for `Member` also the end of the object.
    Key,
    Member,
    Colon,
    /// The token after a value.
    Behind,
    /// The rest of a string, number or word.
    String,
    Number,
    Word,
    /// White space only.
    Nothing,
}

/// The string, number or word in progress, which may continue in the next piece.
#[derive(Debug)]
struct Begun {
    string: Str,
    number: Number,
    /// The rest of a `true`, `false` or `null`.
    word: &'static [u8],
}

#[derive(Debug, Default)]
struct Str {
    is_key: bool,
    /// The position after the opening quote.
    start: usize,
    scan: StringScan,
    /// The beginning of the string, if it is in an earlier piece.
    seen: Vec<u8>,
}

impl PushScanner {
    /// Returns a scanner for an object with at most `most` members.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            next: Next::Object,
            begun: Begun { string: Str::default(), number: Number::Zero, word: b"" },
            open: BracketStack::new(MAX_DEPTH),
            passed: 0,
            last: Part::default(),
            parts: Vec::with_capacity(16),
            most,
            close: 0,
        }
    }

    /// Scans the next piece. Returns none if the text is invalid or exceeds a limit; the scanner must not be used
    /// after that.
    pub(crate) fn walk(&mut self, piece: &[u8]) -> Option<()> {
        let mut at = 0;
        while let Some(&byte) = piece.get(at) {
            at = match self.next {
                Next::String => self.string(piece, at)?,
                Next::Number => self.number(piece, at)?,
                Next::Word => self.word(piece, at)?,
                _ if matches!(byte, b' ' | b'\n' | b'\t' | b'\r') => at + 1,
                next => {
                    self.next = self.token(next, byte, self.passed + at)?;
                    at + 1
                }
            };
        }
        self.passed += piece.len();
        Some(())
    }

    /// Returns the members in order, and the position of the closing brace. Returns none if the object is incomplete.
    pub(crate) fn end(self) -> Option<(Vec<Part>, usize)> {
        (self.next == Next::Nothing).then_some((self.parts, self.close))
    }

    /// Handles a byte outside of strings, numbers and words. Returns what may follow.
    fn token(&mut self, next: Next, byte: u8, place: usize) -> Option<Next> {
        match (next, byte) {
            (Next::Object, b'{') => self.open.push(true).map(|()| Next::Member),
            (Next::Key | Next::Member, b'"') => {
                if self.open.count() == 1 {
                    self.last.key.start = place;
                }
                Some(self.begin(true, place))
            }
            (Next::Colon, b':') => Some(Next::Value),
            (Next::Behind, b',') => Some(if self.open.is_object() { Next::Key } else { Next::Value }),
            (Next::Behind | Next::Member, b'}') if self.open.is_object() => self.closed(place),
            (Next::Behind | Next::Item, b']') if !self.open.is_object() => self.closed(place),
            (Next::Value | Next::Item, _) => self.value(byte, place),
            _ => None,
        }
    }

    fn value(&mut self, byte: u8, place: usize) -> Option<Next> {
        if self.open.count() == 1 {
            self.last.value.start = place;
            // The statistics of the name do not belong to the value.
            self.last.tally = TextStats::default();
        }
        match byte {
            b'"' => Some(self.begin(false, place)),
            b'{' => self.open.push(true).map(|()| Next::Member),
            b'[' => self.open.push(false).map(|()| Next::Item),
            b't' => Some(self.spelled(b"rue")),
            b'f' => Some(self.spelled(b"alse")),
            b'n' => Some(self.spelled(b"ull")),
            _ => {
                self.begun.number = Number::new(byte)?;
                Some(Next::Number)
            }
        }
    }

    const fn spelled(&mut self, rest: &'static [u8]) -> Next {
        self.begun.word = rest;
        Next::Word
    }

    /// Handles the closing bracket at `place`.
    fn closed(&mut self, place: usize) -> Option<Next> {
        self.open.pop();
        if self.open.count() == 0 {
            self.close = place;
            return Some(Next::Nothing);
        }
        self.behind(place + 1)
    }

    /// Handles the end of a value before `end`.
    fn behind(&mut self, end: usize) -> Option<Next> {
        if self.open.count() == 1 {
            if self.parts.len() == self.most {
                return None;
            }
            self.last.value.end = end;
            self.parts.push(self.last.clone());
        }
        Some(Next::Behind)
    }

    fn begin(&mut self, is_key: bool, quote: usize) -> Next {
        self.begun.string.is_key = is_key;
        self.begun.string.start = quote + 1;
        self.begun.string.scan = StringScan::default();
        Next::String
    }

    fn string(&mut self, piece: &[u8], at: usize) -> Option<usize> {
        let string = &mut self.begun.string;
        let end = string.scan.pass(piece, at)?;
        let here = &piece[at..end.unwrap_or(piece.len())];
        let Some(end) = end else {
            string.keep(here);
            return Some(piece.len());
        };
        // The string is in one piece, unless it began in an earlier one.
        if string.start == self.passed + at {
            self.noticed(here, here.len());
        } else {
            string.keep(here);
            let seen = std::mem::take(&mut string.seen);
            let length = self.passed + end - string.start;
            self.noticed(&seen, length);
        }
        self.next = if self.begun.string.is_key { Next::Colon } else { self.behind(self.passed + end + 1)? };
        Some(end + 1)
    }

    /// Handles the end of a string with this length. `seen` is its beginning.
    fn noticed(&mut self, seen: &[u8], length: usize) {
        let Str { is_key, start, scan: StringScan { escaped, units, .. }, .. } = self.begun.string;
        if !is_key {
            self.last.tally.value(seen, length, units);
            return;
        }
        self.last.tally.key(seen, units);
        if self.open.count() == 1 {
            self.last.escaped = escaped;
            self.last.key.end = start + length + 1;
        }
    }

    fn number(&mut self, piece: &[u8], mut at: usize) -> Option<usize> {
        while let Some(&byte) = piece.get(at) {
            let Some(more) = self.begun.number.then(byte) else {
                self.next =
                    if self.begun.number.is_whole() { self.behind(self.passed + at)? } else { return None };
                break;
            };
            self.begun.number = more;
            at += 1;
        }
        Some(at)
    }

    fn word(&mut self, piece: &[u8], at: usize) -> Option<usize> {
        let here = &piece[at..];
        let (this, rest) = self.begun.word.split_at(self.begun.word.len().min(here.len()));
        let end = at + this.len();
        self.begun.word = rest;
        if rest.is_empty() {
            self.next = self.behind(self.passed + end)?;
        }
        here.starts_with(this).then_some(end)
    }
}

impl Str {
    /// Stores the bytes that are needed at the end of the string.
    fn keep(&mut self, here: &[u8]) {
        let missing = SEEN.saturating_sub(self.seen.len());
        self.seen.extend_from_slice(&here[..missing.min(here.len())]);
    }
}
