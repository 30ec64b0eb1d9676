//! The strict parser of the top level of a JSON object.
//!
//! A [`PushScanner`] reads it. What the scanner rejects is parsed by `serde_json`, which is slower and reports the error.

use std::{borrow::Cow, fmt, ops::Range};

use memchr::{memchr2, memchr2_iter};
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::{
    json::{Cursor, MAX_DEPTH, Part, PushScanner, TextStats},
    request::BodyFrames,
};

/// The largest number of keys at the top level. A key takes many times more memory than its bytes in the body.
pub(super) const MAX_KEYS: usize = 1024;

/// A JSON object with its members in order.
#[derive(Debug)]
pub(super) struct Object<'a> {
    text: Text<'a>,
    pub(super) members: Vec<Member<'a>>,
    /// The offset of the closing brace.
    pub(super) close: usize,
}

/// A key with its value.
#[derive(Debug, PartialEq)]
pub(super) struct Member<'a> {
    /// The key without escapes.
    pub(super) key: Cow<'a, str>,
    /// The offset of the key's opening quote.
    pub(super) start: usize,
    /// The range of the value.
    pub(super) span: Range<usize>,
    /// The statistics of the value's text, for the estimate of its tokens.
    pub(super) stats: TextStats,
}

/// A text in one piece or in frames.
#[derive(Clone, Copy, Debug)]
pub(super) enum Text<'a> {
    One(&'a str),
    Many(&'a BodyFrames),
}

impl<'a> Text<'a> {
    /// Returns a part of the text in one piece.
    fn part(self, range: Range<usize>) -> Cow<'a, str> {
        match self {
            Self::One(text) => Cow::Borrowed(&text[range]),
            Self::Many(frames) => frames.text(range),
        }
    }
}

impl<'a> Object<'a> {
    /// Returns the object of the members that the scanner has found in `text`.
    pub(super) fn new(text: Text<'a>, parts: &[Part], close: usize) -> Self {
        let member = |part: &Part| Member {
            key: key(text, part),
            start: part.key.start,
            span: part.value.clone(),
            stats: part.stats,
        };
        Self { text, members: parts.iter().map(member).collect(), close }
    }

    /// Returns the offset of the opening brace.
    pub(super) fn open(&self) -> usize {
        let first = self.members.first().map_or(self.close, |member| member.start);
        self.text.part(0..first).find('{').unwrap_or_default()
    }

    /// Returns the JSON text of a member's value.
    pub(super) fn value(&self, member: &Member<'_>) -> Cow<'a, str> {
        self.text.part(member.span.clone())
    }

    /// Returns the value of the last member with this key.
    pub(super) fn last(&self, key: &str) -> Option<Cow<'a, str>> {
        self.last_member(key).map(|member| self.value(member))
    }

    /// Returns the last member with this key.
    pub(super) fn last_member(&self, key: &str) -> Option<&Member<'a>> {
        self.members.iter().rev().find(|member| member.key == key)
    }
}

/// The reason why a text is rejected.
#[derive(Debug)]
pub(super) enum ParseError {
    Syntax(serde_json::Error),
    NotAnObject,
    TooManyKeys,
    /// The nesting exceeds the limit at the bracket with this offset.
    TooDeep(usize),
}

/// Parses a JSON object.
///
/// # Errors
///
/// [`ParseError`] if `text` is not valid JSON or not an object, or exceeds a limit.
pub(super) fn object(text: &str) -> Result<Object<'_>, ParseError> {
    scanned(text).map_or_else(|| parsed(text), Ok)
}

/// Parses `text` by the scanner. Returns `None` if `text` is not a valid object or exceeds a limit.
pub(super) fn scanned(text: &str) -> Option<Object<'_>> {
    let mut scanner = PushScanner::new(MAX_KEYS);
    scanner.scan(text.as_bytes())?;
    let (parts, close) = scanner.end()?;
    Some(Object::new(Text::One(text), &parts, close))
}

/// Returns a key without its escapes. A key with an unpaired surrogate, which no known key has, stays escaped.
fn key<'a>(text: Text<'a>, part: &Part) -> Cow<'a, str> {
    let Range { start, end } = part.key;
    if !part.escaped {
        return text.part(start + 1..end - 1);
    }
    match text.part(start..end) {
        Cow::Borrowed(written) => string(written).unwrap_or(Cow::Borrowed(written)),
        Cow::Owned(written) => Cow::Owned(string(&written).map_or_else(|| written.clone(), Cow::into_owned)),
    }
}

/// The white space of JSON.
const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

/// Parses `text` by `serde_json`: slower, for the errors of invalid bodies, and as the reference in tests of [`scanned`].
pub(super) fn parsed(text: &str) -> Result<Object<'_>, ParseError> {
    let trimmed = text.trim_end_matches(SPACE);
    if !text.trim_start_matches(SPACE).starts_with('{') {
        // The text is valid JSON but not an object, or serde_json reports the error.
        let json = serde_json::from_str::<IgnoredAny>(text);
        return Err(json.map_or_else(ParseError::Syntax, |_| ParseError::NotAnObject));
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let members = deserializer
        .deserialize_map(Members { text })
        .and_then(|members| deserializer.end().map(|()| members))
        .map_err(|error| if error.is_data() { ParseError::TooManyKeys } else { ParseError::Syntax(error) })?;
    match deeper_than(text.as_bytes(), MAX_DEPTH) {
        Some(bracket) => Err(ParseError::TooDeep(bracket)),
        None => Ok(Object { text: Text::One(text), members, close: trimmed.len().saturating_sub(1) }),
    }
}

/// Returns the JSON text of each entry of a list, or `None` if `text` is not a list or has more than `limit` entries.
pub(super) fn list(text: &str, limit: usize) -> Option<Vec<&str>> {
    let (mut cursor, mut entries) = (Cursor::new(text), Vec::new());
    cursor.list(|cursor| {
        let from = cursor.at();
        cursor.value()?;
        entries.push(cursor.slice(from));
        (entries.len() <= limit).then_some(())
    })?;
    cursor.end().map(|()| entries)
}

/// Returns the text of a JSON string, or `None` if `value` is not a string or has an unpaired surrogate.
pub(super) fn string(value: &str) -> Option<Cow<'_, str>> {
    let inner = value.strip_prefix('"')?.strip_suffix('"')?;
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str(value).ok().map(Cow::Owned)
}

/// Returns the offset after the string that begins with the quote at `open`.
pub(super) fn after_string(bytes: &[u8], open: usize) -> usize {
    let mut at = open + 1;
    while let Some(step) = bytes.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += step;
        if bytes[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    bytes.len()
}

/// The `serde` visitor of an object's members.
struct Members<'a> {
    text: &'a str,
}

impl<'de> Visitor<'de> for Members<'de> {
    type Value = Vec<Member<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::with_capacity(16);
        // Raw values are skipped as fast as ignored ones: the text is known to be UTF-8 and is not validated again.
        while let Some((key, value)) = map.next_entry::<&'de RawValue, &'de RawValue>()? {
            if members.len() == MAX_KEYS {
                return Err(de::Error::custom("too many keys"));
            }
            let (key, value) = (key.get(), value.get());
            let (start, at) = (offset(self.text, key), offset(self.text, value));
            // A key with an unpaired surrogate, which no known key has, stays escaped.
            let key = string(key).unwrap_or(Cow::Borrowed(key));
            let mut cursor = Cursor::with_stats(value);
            let stats = cursor.value().map(|()| cursor.observer).unwrap_or_default();
            members.push(Member { key, start, span: at..at + value.len(), stats });
        }
        Ok(members)
    }
}

/// Returns the offset of `part` in `whole`, of which it is a slice.
fn offset(whole: &str, part: &str) -> usize {
    part.as_ptr().addr() - whole.as_ptr().addr()
}

/// Returns the offset of the first bracket that opens a level deeper than `limit`. The text is valid JSON.
///
/// `serde_json` limits the depth only of values that it builds; it skips others without recursion and without a limit.
fn deeper_than(bytes: &[u8], limit: usize) -> Option<usize> {
    // Most bodies have fewer opening brackets than the limit, and counting them is cheap.
    memchr2_iter(b'[', b'{', bytes).nth(limit)?;
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'[' | b'{' if depth == limit => return Some(at),
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at = if byte == b'"' { after_string(bytes, at) } else { at + 1 };
    }
    None
}
