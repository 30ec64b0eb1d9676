//! The members of an object, which may come in pieces: [`Outline`].

use std::ops::Range;

use super::{
    MAX_DEPTH, Tally,
    number::Number,
    open::Open,
    tally::{Notice, SEEN},
    text::Passing,
};

/// Where the members of an object stand, found in one walk that can stop and go on at any byte.
///
/// A large body comes in frames. Each is walked as it comes, while it is warm, and none is copied to stand beside
/// another; nor does a thread walk megabytes in one go. As strict as [`Cursor`](super::Cursor), and as silent about
/// what is wrong. That the pieces are UTF-8 is for others to see.
#[derive(Debug)]
pub(crate) struct Outline {
    next: Next,
    begun: Begun,
    open: Open,
    /// The bytes of the pieces before this one.
    passed: usize,
    /// The member that is walked, and those that are behind.
    last: Part,
    parts: Vec<Part>,
    most: usize,
    /// Where the closing brace stands.
    close: usize,
}

/// A member of the object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Part {
    /// Where its name stands, quotes included.
    pub(crate) key: Range<usize>,
    /// Whether the name has an escape.
    pub(crate) escaped: bool,
    /// Where its value stands.
    pub(crate) value: Range<usize>,
    /// What was noticed in the value.
    pub(crate) tally: Tally,
}

/// What may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// The object.
    Object,
    /// A value; in `Item` the end of the list too.
    Value,
    Item,
    /// A name; in `Member` the end of the object too.
    Key,
    Member,
    Colon,
    /// What follows a value.
    Behind,
    /// What is left of what has begun.
    String,
    Number,
    Word,
    /// White space.
    Nothing,
}

/// What has begun and may go on in the next piece.
#[derive(Debug)]
struct Begun {
    string: Str,
    number: Number,
    /// What is left of it.
    word: &'static [u8],
}

#[derive(Debug, Default)]
struct Str {
    is_key: bool,
    /// Where it begins, behind the quote.
    start: usize,
    passing: Passing,
    /// Its beginning, where that is in an earlier piece.
    seen: Vec<u8>,
}

impl Outline {
    /// Of an object that has at most so many members.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            next: Next::Object,
            begun: Begun { string: Str::default(), number: Number::Zero, word: b"" },
            open: Open::new(MAX_DEPTH),
            passed: 0,
            last: Part::default(),
            parts: Vec::with_capacity(16),
            most,
            close: 0,
        }
    }

    /// Walks on. None: it is broken, or beyond what we take, and nothing more can be said of it.
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

    /// The members in order, and where the closing brace stands. None: there must be more.
    pub(crate) fn end(self) -> Option<(Vec<Part>, usize)> {
        (self.next == Next::Nothing).then_some((self.parts, self.close))
    }

    /// A byte outside of strings, numbers and words, and what may follow it.
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
            // What was noticed in its name is nothing that it says.
            self.last.tally = Tally::default();
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

    /// The innermost bracket closes here.
    fn closed(&mut self, place: usize) -> Option<Next> {
        self.open.pop();
        if self.open.count() == 0 {
            self.close = place;
            return Some(Next::Nothing);
        }
        self.behind(place + 1)
    }

    /// A value ends before this place.
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
        self.begun.string.passing = Passing::default();
        Next::String
    }

    fn string(&mut self, piece: &[u8], at: usize) -> Option<usize> {
        let string = &mut self.begun.string;
        let end = string.passing.pass(piece, at)?;
        let here = &piece[at..end.unwrap_or(piece.len())];
        let Some(end) = end else {
            string.keep(here);
            return Some(piece.len());
        };
        // In one piece, unless it has gone on from an earlier one.
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

    /// A string has ended: so much of it was seen, so long it is.
    fn noticed(&mut self, seen: &[u8], length: usize) {
        let Str { is_key, start, passing: Passing { escaped, units, .. }, .. } = self.begun.string;
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
    /// Keeps what must be seen when it has ended.
    fn keep(&mut self, here: &[u8]) {
        let missing = SEEN.saturating_sub(self.seen.len());
        self.seen.extend_from_slice(&here[..missing.min(here.len())]);
    }
}
