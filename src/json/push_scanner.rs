//! The push scanner for the members of an object that arrives in pieces: [`PushScanner`].

use std::ops::Range;

use fearless_simd::{Level, Simd, dispatch};

use super::{
    MAX_DEPTH, TextStats,
    blocks::SIZE,
    bracket_stack::BracketStack,
    number::Number,
    structure::Structure,
    text::StringScan,
    text_stats::{PREFIX_LENGTH, ScanObserver},
};

/// Fills a block behind the end of a piece: neither a space, nor the end of a number, nor a token.
const PADDING: u8 = 0xff;

/// A scanner that finds the positions of an object's members in one pass, which can stop and continue at any byte.
///
/// A large body arrives in frames. Each is scanned on arrival, while it is in the cache, without copying frames
/// together and without blocking a thread for megabytes. The scanner is as strict as [`Cursor`](super::Cursor), and
/// reports no reason for an error either. It does not check that the pieces are UTF-8.
#[derive(Debug)]
pub(crate) struct PushScanner {
    next: Next,
    partial: PartialToken,
    open: BracketStack,
    /// The total length of the previous pieces.
    scanned: usize,
    /// The current member.
    last: Part,
    /// The completed members.
    parts: Vec<Part>,
    max_members: usize,
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
    pub(crate) stats: TextStats,
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
    /// The rest of a string, number or literal.
    String,
    Number,
    Word,
    /// White space only.
    Nothing,
}

/// The string, number or literal in progress, which may continue in the next piece.
#[derive(Debug)]
struct PartialToken {
    string: PartialString,
    number: Number,
    /// The rest of a `true`, `false` or `null`.
    word: &'static [u8],
}

/// A string in progress.
#[derive(Debug, Default)]
struct PartialString {
    is_key: bool,
    /// The position after the opening quote.
    start: usize,
    scan: StringScan,
    /// The beginning of the string, if it is in an earlier piece.
    prefix: Vec<u8>,
}

impl PushScanner {
    /// Returns a scanner for an object with at most `max_members` members.
    pub(crate) fn new(max_members: usize) -> Self {
        Self {
            next: Next::Object,
            partial: PartialToken { string: PartialString::default(), number: Number::Zero, word: b"" },
            open: BracketStack::new(MAX_DEPTH),
            scanned: 0,
            last: Part::default(),
            // Allocators serve up to a kilobyte from a cache.
            parts: Vec::with_capacity(12),
            max_members,
            close: 0,
        }
    }

    /// Scans the next piece. Returns none if the text is invalid or exceeds a limit; the scanner must not be used
    /// after that.
    pub(crate) fn scan(&mut self, piece: &[u8]) -> Option<()> {
        let mut at = 0;
        while at < piece.len() {
            at = match self.next {
                Next::String => self.string(piece, at)?,
                Next::Number => self.number(piece, at)?,
                Next::Word => self.word(piece, at)?,
                _ => self.tokens(piece, at)?,
            };
        }
        self.scanned += piece.len();
        Some(())
    }

    /// Returns the members in order, and the position of the closing brace. Returns none if the object is incomplete.
    pub(crate) fn end(self) -> Option<(Vec<Part>, usize)> {
        (self.next == Next::Nothing).then_some((self.parts, self.close))
    }

    /// Handles tokens up to and including one that may begin or end a member, or continue in the next piece. Returns the
    /// position after them.
    fn tokens(&mut self, piece: &[u8], mut at: usize) -> Option<usize> {
        if self.open.count() > 1 {
            at = dispatch!(Level::new(), simd => simd.vectorize(
                #[inline(always)]
                || self.tokens_of_value(simd, piece, at)
            ));
        }
        match piece.get(at) {
            Some(&byte) if !is_space(byte) => {
                self.next = self.token(self.next, byte, self.scanned + at)?;
                Some(at + 1)
            }
            Some(_) => Some(at + 1),
            None => Some(at),
        }
    }

    /// Skips tokens in the value of a member. Returns the position of the first one that is left to the state machine: one
    /// that is invalid, ends the value, has a rare escape, is long, or continues in the next piece.
    #[inline(always)]
    fn tokens_of_value<S: Simd>(&mut self, simd: S, piece: &[u8], mut at: usize) -> usize {
        loop {
            let rest = &piece[at..];
            let mut padded = [PADDING; SIZE];
            let block = rest.first_chunk().unwrap_or_else(|| {
                padded[..rest.len()].copy_from_slice(rest);
                &padded
            });
            let passed = self.tokens_of_block(Structure::of(simd, block), block);
            at += passed;
            // A token that occupies half a block, or one that is left for another reason.
            if passed <= SIZE / 2 {
                return at;
            }
        }
    }

    /// Skips tokens of a block. Returns the position of the first one that is left.
    #[inline(always)]
    fn tokens_of_block(&mut self, block: Structure, bytes: &[u8; SIZE]) -> usize {
        let mut tokens = block.tokens;
        while tokens != 0 {
            let at = tokens.trailing_zeros() as usize;
            self.next = match (bytes[at], self.next) {
                (b'"', Next::Key | Next::Member) => {
                    let end = block.string_end(at);
                    self.last.stats.key(&bytes[at + 1..end], 0);
                    if bytes.get(end + 1) == Some(&b':') {
                        tokens &= tokens - 1;
                        Next::Value
                    } else {
                        Next::Colon
                    }
                }
                (b'"', Next::Value | Next::Item) => {
                    let text = &bytes[at + 1..block.string_end(at)];
                    self.last.stats.value(text, text.len(), 0);
                    Next::Behind
                }
                (b':', Next::Colon) => Next::Value,
                (b',', Next::Behind) => {
                    if self.open.is_object() {
                        Next::Key
                    } else {
                        Next::Value
                    }
                }
                (open @ (b'{' | b'['), Next::Value | Next::Item) if self.open.count() < MAX_DEPTH => {
                    let is_object = open == b'{';
                    let _within_depth = self.open.push(is_object);
                    if is_object { Next::Member } else { Next::Item }
                }
                (b'}', Next::Behind | Next::Member) if self.open.is_object() && self.open.count() > 2 => {
                    self.open.pop();
                    Next::Behind
                }
                (b']', Next::Behind | Next::Item) if !self.open.is_object() && self.open.count() > 2 => {
                    self.open.pop();
                    Next::Behind
                }
                (b'"' | b':' | b',' | b'{' | b'}' | b'[' | b']', _) => return at,
                (_, Next::Value | Next::Item) if is_scalar(&bytes[at..block.scalar_end(at)]) => Next::Behind,
                _ => return at,
            };
            tokens &= tokens - 1;
        }
        block.stop
    }

    /// Handles a byte outside of strings, numbers and literals. Returns the token that is expected next.
    fn token(&mut self, next: Next, byte: u8, position: usize) -> Option<Next> {
        match (next, byte) {
            (Next::Object, b'{') => self.open.push(true).map(|()| Next::Member),
            (Next::Key | Next::Member, b'"') => {
                if self.open.count() == 1 {
                    self.last.key.start = position;
                }
                Some(self.begin_string(true, position))
            }
            (Next::Colon, b':') => Some(Next::Value),
            (Next::Behind, b',') => Some(if self.open.is_object() { Next::Key } else { Next::Value }),
            (Next::Behind | Next::Member, b'}') if self.open.is_object() => self.closed(position),
            (Next::Behind | Next::Item, b']') if !self.open.is_object() => self.closed(position),
            (Next::Value | Next::Item, _) => self.value(byte, position),
            _ => None,
        }
    }

    fn value(&mut self, byte: u8, position: usize) -> Option<Next> {
        if self.open.count() == 1 {
            self.last.value.start = position;
            // The statistics of the name do not belong to the value.
            self.last.stats = TextStats::default();
        }
        match byte {
            b'"' => Some(self.begin_string(false, position)),
            b'{' => self.open.push(true).map(|()| Next::Member),
            b'[' => self.open.push(false).map(|()| Next::Item),
            b't' => Some(self.literal(b"rue")),
            b'f' => Some(self.literal(b"alse")),
            b'n' => Some(self.literal(b"ull")),
            _ => {
                self.partial.number = Number::new(byte)?;
                Some(Next::Number)
            }
        }
    }

    const fn literal(&mut self, rest: &'static [u8]) -> Next {
        self.partial.word = rest;
        Next::Word
    }

    /// Handles the closing bracket at `position`.
    fn closed(&mut self, position: usize) -> Option<Next> {
        self.open.pop();
        if self.open.count() == 0 {
            self.close = position;
            return Some(Next::Nothing);
        }
        self.behind(position + 1)
    }

    /// Handles the end of a value before `end`.
    fn behind(&mut self, end: usize) -> Option<Next> {
        if self.open.count() == 1 {
            if self.parts.len() == self.max_members {
                return None;
            }
            self.last.value.end = end;
            self.parts.push(self.last.clone());
        }
        Some(Next::Behind)
    }

    fn begin_string(&mut self, is_key: bool, quote: usize) -> Next {
        self.partial.string.is_key = is_key;
        self.partial.string.start = quote + 1;
        self.partial.string.scan = StringScan::default();
        Next::String
    }

    fn string(&mut self, piece: &[u8], at: usize) -> Option<usize> {
        let string = &mut self.partial.string;
        let end = string.scan.pass(piece, at)?;
        let here = &piece[at..end.unwrap_or(piece.len())];
        let Some(end) = end else {
            string.keep(here);
            return Some(piece.len());
        };
        // The string is in one piece, unless it began in an earlier one.
        if string.start == self.scanned + at {
            self.finish_string(here, here.len());
        } else {
            string.keep(here);
            let prefix = std::mem::take(&mut string.prefix);
            let length = self.scanned + end - string.start;
            self.finish_string(&prefix, length);
        }
        self.next =
            if self.partial.string.is_key { Next::Colon } else { self.behind(self.scanned + end + 1)? };
        Some(end + 1)
    }

    /// Handles the end of a string with this length. `prefix` is its beginning.
    fn finish_string(&mut self, prefix: &[u8], length: usize) {
        let PartialString { is_key, start, scan: StringScan { escaped, unicode_escapes, .. }, .. } =
            self.partial.string;
        if !is_key {
            self.last.stats.value(prefix, length, unicode_escapes);
            return;
        }
        self.last.stats.key(prefix, unicode_escapes);
        if self.open.count() == 1 {
            self.last.escaped = escaped;
            self.last.key.end = start + length + 1;
        }
    }

    fn number(&mut self, piece: &[u8], mut at: usize) -> Option<usize> {
        while let Some(&byte) = piece.get(at) {
            let Some(more) = self.partial.number.then(byte) else {
                self.partial.number.is_whole().then_some(())?;
                self.next = self.behind(self.scanned + at)?;
                break;
            };
            self.partial.number = more;
            at += 1;
        }
        Some(at)
    }

    fn word(&mut self, piece: &[u8], at: usize) -> Option<usize> {
        let here = &piece[at..];
        let (this, rest) = self.partial.word.split_at(self.partial.word.len().min(here.len()));
        let end = at + this.len();
        self.partial.word = rest;
        if rest.is_empty() {
            self.next = self.behind(self.scanned + end)?;
        }
        here.starts_with(this).then_some(end)
    }
}

/// Returns true if the text is a number or a literal.
fn is_scalar(text: &[u8]) -> bool {
    match text {
        b"true" | b"false" | b"null" => true,
        [first, rest @ ..] => rest
            .iter()
            .try_fold(Number::new(*first), |number, byte| Some(number?.then(*byte)))
            .flatten()
            .is_some_and(Number::is_whole),
        [] => false,
    }
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\t' | b'\r')
}

impl PartialString {
    /// Stores the bytes that are needed at the end of the string.
    fn keep(&mut self, here: &[u8]) {
        let missing = PREFIX_LENGTH.saturating_sub(self.prefix.len());
        self.prefix.extend_from_slice(&here[..missing.min(here.len())]);
    }
}
