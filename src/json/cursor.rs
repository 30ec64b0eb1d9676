//! The pull scanner over complete JSON text: [`Cursor`].

use super::{
    MAX_DEPTH,
    bracket_stack::BracketStack,
    number::Number,
    text::{Text, string},
    text_stats::{ScanObserver, TextStats},
};

/// The number of decimal digits that always fit into a `u64`.
const FEW_DIGITS: usize = 19;

/// A position in a text, from which values are read or skipped.
///
/// Every method returns `None` if the text is invalid; the position is meaningless after that.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a, N = ()> {
    text: &'a str,
    at: usize,
    /// The number of brackets that may still be opened.
    depth_left: usize,
    /// The observer of skipped strings.
    pub(crate) observer: N,
}

/// The name of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key<'a> {
    /// The text between its quotes.
    pub(crate) inner: &'a [u8],
    /// True if the name contains an escape.
    pub(crate) escaped: bool,
}

impl<'a> Cursor<'a> {
    /// Returns a cursor that ignores skipped strings.
    pub(crate) const fn new(text: &'a str) -> Self {
        Self { text, at: 0, depth_left: MAX_DEPTH, observer: () }
    }
}

impl<'a> Cursor<'a, TextStats> {
    /// Returns a cursor that collects the statistics of skipped strings.
    pub(crate) fn with_stats(text: &'a str) -> Self {
        Self { text, at: 0, depth_left: MAX_DEPTH, observer: TextStats::default() }
    }
}

impl<'a, N: ScanObserver> Cursor<'a, N> {
    pub(crate) const fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn slice(&self, from: usize) -> &'a str {
        &self.text[from..self.at]
    }

    /// Returns the next byte that is not white space.
    #[inline]
    pub(crate) fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        loop {
            match *bytes.get(self.at)? {
                b' ' | b'\n' | b'\t' | b'\r' => self.at += 1,
                byte => return Some(byte),
            }
        }
    }

    /// Skips this byte.
    #[inline]
    fn token(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// Succeeds if only white space follows.
    pub(crate) fn end(&mut self) -> Option<()> {
        self.peek().is_none().then_some(())
    }

    /// Reads an object. `member` must read or skip each value.
    pub(crate) fn object(&mut self, mut member: impl FnMut(&mut Self, Key<'a>) -> Option<()>) -> Option<()> {
        self.token(b'{')?;
        self.depth_left = self.depth_left.checked_sub(1)?;
        let mut next = self.peek()? != b'}';
        while next {
            let key = self.key()?;
            self.peek()?;
            member(self, key)?;
            next = self.peek()? == b',';
            self.at += usize::from(next);
        }
        self.depth_left += 1;
        self.token(b'}')
    }

    /// Reads a list. `item` must read or skip each entry. Returns true if there was an entry.
    pub(crate) fn list(&mut self, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<bool> {
        self.token(b'[')?;
        self.depth_left = self.depth_left.checked_sub(1)?;
        let any = self.peek()? != b']';
        let mut next = any;
        while next {
            self.peek()?;
            item(self)?;
            next = self.peek()? == b',';
            self.at += usize::from(next);
        }
        self.depth_left += 1;
        self.token(b']').map(|()| any)
    }

    /// Skips a string.
    #[inline(always)]
    pub(crate) fn string(&mut self) -> Option<Text> {
        let bytes = self.text.as_bytes();
        self.peek().filter(|&quote| quote == b'"')?;
        let text = string(bytes, self.at)?;
        self.at = text.inner.end + 1;
        Some(text)
    }

    #[inline]
    fn key(&mut self) -> Option<Key<'a>> {
        let text = self.string()?;
        let inner = &self.text.as_bytes()[text.inner];
        self.observer.key(inner, text.unicode_escapes);
        self.token(b':')?;
        Some(Key { escaped: text.escaped, inner })
    }

    /// Skips any value.
    #[inline]
    pub(crate) fn value(&mut self) -> Option<()> {
        match self.peek()? {
            b'{' | b'[' => self.nested(),
            byte => self.leaf(byte),
        }
    }

    /// Skips a value with brackets, without a call for each level.
    fn nested(&mut self) -> Option<()> {
        let mut open = BracketStack::new(self.depth_left);
        loop {
            match self.peek()? {
                b'{' => {
                    self.at += 1;
                    open.push(true)?;
                    if self.peek()? != b'}' {
                        self.key()?;
                        continue;
                    }
                }
                b'[' => {
                    self.at += 1;
                    open.push(false)?;
                    if self.peek()? != b']' {
                        continue;
                    }
                }
                byte => self.leaf(byte)?,
            }
            if !self.behind(&mut open)? {
                return Some(());
            }
        }
    }

    /// Continues after a value, and handles closing brackets. Returns true if another value follows.
    fn behind(&mut self, open: &mut BracketStack) -> Option<bool> {
        while open.count() > 0 {
            let byte = self.peek()?;
            self.at += 1;
            match (byte, open.is_object()) {
                (b',', true) => return self.key().map(|_| true),
                (b',', false) => return Some(true),
                (b'}', true) | (b']', false) => open.pop(),
                _ => return None,
            }
        }
        Some(false)
    }

    /// Skips a value without brackets that begins with this byte.
    fn leaf(&mut self, first: u8) -> Option<()> {
        match first {
            b'"' => {
                let text = self.string()?;
                self.observer.value(
                    &self.text.as_bytes()[text.inner.clone()],
                    text.inner.len(),
                    text.unicode_escapes,
                );
                Some(())
            }
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => self.number(),
        }
    }

    /// Skips this literal.
    pub(crate) fn word(&mut self, word: &str) -> Option<()> {
        self.text.as_bytes()[self.at..].starts_with(word.as_bytes()).then(|| self.at += word.len())
    }

    /// Reads a whole number of few digits.
    pub(crate) fn count(&mut self) -> Option<u64> {
        let rest = &self.text.as_bytes()[self.at..];
        let (mut count, mut digits) = (0, 0);
        while let Some(byte @ b'0'..=b'9') = rest.get(digits) {
            count = count * 10 + u64::from(byte - b'0');
            digits += 1;
            if digits > FEW_DIGITS {
                return None;
            }
        }
        let is_padded = digits > 1 && rest[0] == b'0';
        let continues = matches!(rest.get(digits), Some(b'.' | b'e' | b'E'));
        self.at += digits;
        (digits > 0 && !is_padded && !continues).then_some(count)
    }

    /// Skips a number.
    fn number(&mut self) -> Option<()> {
        let (&first, rest) = self.text.as_bytes().get(self.at..)?.split_first()?;
        let mut number = Number::new(first)?;
        let more = rest.iter().map_while(|&byte| {
            number = number.then(byte)?;
            Some(())
        });
        self.at += 1 + more.count();
        number.is_whole().then_some(())
    }
}
