//! The walk: [`Cursor`].

use super::{
    MAX_DEPTH,
    open::Open,
    tally::{Notice, Tally},
    text::{Text, string},
};

/// So many of them a `u64` holds, whatever they are.
const FEW_DIGITS: usize = 19;

/// A place in a text, from which values are passed over.
///
/// Every step is `None` where the text is not as it must be; the place means nothing then.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a, N = ()> {
    text: &'a str,
    at: usize,
    /// How many levels may still open.
    room: usize,
    /// What was noticed in passing.
    pub(crate) noticed: N,
}

/// The name of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key<'a> {
    /// What stands between its quotes.
    pub(crate) inner: &'a [u8],
    /// Whether it has an escape.
    pub(crate) escaped: bool,
}

impl<'a> Cursor<'a> {
    /// One that notices nothing.
    pub(crate) const fn new(text: &'a str) -> Self {
        Self { text, at: 0, room: MAX_DEPTH, noticed: () }
    }
}

impl<'a> Cursor<'a, Tally> {
    /// One that notices what an estimate must know.
    pub(crate) fn tallying(text: &'a str) -> Self {
        Self { text, at: 0, room: MAX_DEPTH, noticed: Tally::default() }
    }
}

impl<'a, N: Notice> Cursor<'a, N> {
    pub(crate) const fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn slice(&self, from: usize) -> &'a str {
        &self.text[from..self.at]
    }

    /// The byte that stands here, white space passed over.
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

    /// Passes over this byte.
    #[inline]
    fn token(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// Nothing follows but white space.
    pub(crate) fn end(&mut self) -> Option<()> {
        self.peek().is_none().then_some(())
    }

    /// Passes over an object; `member` passes over each value.
    pub(crate) fn object(&mut self, mut member: impl FnMut(&mut Self, Key<'a>) -> Option<()>) -> Option<()> {
        self.token(b'{')?;
        self.room = self.room.checked_sub(1)?;
        let mut next = self.peek()? != b'}';
        while next {
            let key = self.key()?;
            self.peek()?;
            member(self, key)?;
            next = self.peek()? == b',';
            self.at += usize::from(next);
        }
        self.room += 1;
        self.token(b'}')
    }

    /// Passes over a list; `item` passes over each entry. Whether there was any.
    pub(crate) fn list(&mut self, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<bool> {
        self.token(b'[')?;
        self.room = self.room.checked_sub(1)?;
        let any = self.peek()? != b']';
        let mut next = any;
        while next {
            self.peek()?;
            item(self)?;
            next = self.peek()? == b',';
            self.at += usize::from(next);
        }
        self.room += 1;
        self.token(b']').map(|()| any)
    }

    /// Passes over a string.
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
        self.noticed.key(inner, text.units);
        self.token(b':')?;
        Some(Key { escaped: text.escaped, inner })
    }

    /// Passes over any value.
    #[inline]
    pub(crate) fn value(&mut self) -> Option<()> {
        match self.peek()? {
            b'{' | b'[' => self.nested(),
            byte => self.leaf(byte),
        }
    }

    /// Passes over a value with brackets, without a call for each level.
    fn nested(&mut self) -> Option<()> {
        let mut open = Open::new(self.room);
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

    /// Goes on behind a value: closes what closes. Whether another value follows.
    fn behind(&mut self, open: &mut Open) -> Option<bool> {
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

    /// Passes over a value without brackets, which begins with this byte.
    fn leaf(&mut self, first: u8) -> Option<()> {
        match first {
            b'"' => {
                let text = self.string()?;
                self.noticed.value(&self.text.as_bytes()[text.inner.clone()], text.inner.len(), text.units);
                Some(())
            }
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => self.number(),
        }
    }

    /// Passes over this word, if it stands here.
    pub(crate) fn word(&mut self, word: &str) -> Option<()> {
        self.text.as_bytes()[self.at..].starts_with(word.as_bytes()).then(|| self.at += word.len())
    }

    /// Passes over a whole number of few digits that stands here; what it is.
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
        let goes_on = matches!(rest.get(digits), Some(b'.' | b'e' | b'E'));
        self.at += digits;
        (digits > 0 && !is_padded && !goes_on).then_some(count)
    }

    /// Passes over a number.
    fn number(&mut self) -> Option<()> {
        let byte = |cursor: &Self| cursor.text.as_bytes().get(cursor.at).copied();
        self.at += usize::from(byte(self) == Some(b'-'));
        // A zero stands alone: a digit behind it is nothing that may follow a value.
        if byte(self) == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if byte(self) == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = byte(self) {
            self.at += 1;
            self.at += usize::from(matches!(byte(self), Some(b'+' | b'-')));
            self.digits()?;
        }
        Some(())
    }

    /// Passes over at least one digit.
    fn digits(&mut self) -> Option<()> {
        let rest = self.text.as_bytes().get(self.at..)?;
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        (count > 0).then_some(())
    }
}
