//! One strict pass over the top level of a JSON object.
//!
//! A [`PushScanner`] walks it; what that does not take, `serde_json` reads, which is slower and says what is wrong.

use std::{borrow::Cow, fmt, ops::Range};

use memchr::{memchr2, memchr2_iter};
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::{
    json::{Cursor, MAX_DEPTH, Part, PushScanner, TextStats},
    request::BodyFrames,
};

/// How many keys the top level may have: each costs memory of ours many times its size in the body.
pub(super) const MAX_KEYS: usize = 1024;

/// An object, its members in order.
#[derive(Debug)]
pub(super) struct Object<'a> {
    text: Text<'a>,
    pub(super) members: Vec<Member<'a>>,
    /// Where the closing brace stands.
    pub(super) close: usize,
}

/// One key with its value.
#[derive(Debug, PartialEq)]
pub(super) struct Member<'a> {
    /// Unescaped.
    pub(super) key: Cow<'a, str>,
    /// Where the key's opening quote stands.
    pub(super) start: usize,
    /// Where the value stands.
    pub(super) span: Range<usize>,
    /// What an estimate must know of the value.
    pub(super) tally: TextStats,
}

/// A text, in one piece or in several, of which any part can be had in one.
#[derive(Clone, Copy, Debug)]
pub(super) enum Text<'a> {
    One(&'a str),
    Many(&'a BodyFrames),
}

impl<'a> Text<'a> {
    fn part(self, range: Range<usize>) -> Cow<'a, str> {
        match self {
            Self::One(text) => Cow::Borrowed(&text[range]),
            Self::Many(frames) => frames.text(range),
        }
    }
}

impl<'a> Object<'a> {
    /// What stands in `text`, as the outline says.
    pub(super) fn new(text: Text<'a>, parts: &[Part], close: usize) -> Self {
        let member = |part: &Part| Member {
            key: key(text, part),
            start: part.key.start,
            span: part.value.clone(),
            tally: part.tally,
        };
        Self { text, members: parts.iter().map(member).collect(), close }
    }

    /// A member's value, as it is written.
    pub(super) fn value(&self, member: &Member<'_>) -> Cow<'a, str> {
        self.text.part(member.span.clone())
    }

    /// The value of the last member of that name.
    pub(super) fn last(&self, key: &str) -> Option<Cow<'a, str>> {
        self.last_member(key).map(|member| self.value(member))
    }

    /// The last member of that name.
    pub(super) fn last_member(&self, key: &str) -> Option<&Member<'a>> {
        self.members.iter().rev().find(|member| member.key == key)
    }
}

/// Why a text is not an object that we take.
#[derive(Debug)]
pub(super) enum Fault {
    Syntax(serde_json::Error),
    NotAnObject,
    TooManyKeys,
    /// With the bracket that is too much.
    TooDeep(usize),
}

/// Reads the members of the object that `text` is.
pub(super) fn object(text: &str) -> Result<Object<'_>, Fault> {
    walked(text).map_or_else(|| parsed(text), Ok)
}

/// One walk over it. None: it is broken, or beyond what we take.
pub(super) fn walked(text: &str) -> Option<Object<'_>> {
    let mut outline = PushScanner::new(MAX_KEYS);
    outline.walk(text.as_bytes())?;
    let (parts, close) = outline.end()?;
    Some(Object::new(Text::One(text), &parts, close))
}

/// A key with half a surrogate pair is nobody's name: it stays as it is written.
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

/// What `serde_json` says: the slow way, for bodies that are broken, and the proof of the other.
pub(super) fn parsed(text: &str) -> Result<Object<'_>, Fault> {
    let trimmed = text.trim_end_matches([' ', '\t', '\r', '\n']);
    if !matches!(text.trim_start_matches([' ', '\t', '\r', '\n']).as_bytes().first(), Some(b'{')) {
        // Whatever else is valid JSON is no object; whatever is not, serde_json says why.
        return Err(match serde_json::from_str::<IgnoredAny>(text) {
            Ok(_) => Fault::NotAnObject,
            Err(error) => Fault::Syntax(error),
        });
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let members = deserializer
        .deserialize_map(Members { text })
        .and_then(|members| deserializer.end().map(|()| members))
        .map_err(|error| if error.is_data() { Fault::TooManyKeys } else { Fault::Syntax(error) })?;
    match deeper_than(text.as_bytes(), MAX_DEPTH) {
        Some(bracket) => Err(Fault::TooDeep(bracket)),
        None => Ok(Object { text: Text::One(text), members, close: trimmed.len().saturating_sub(1) }),
    }
}

/// The entries of the list that `text` is, as they are written. None: it is no list, or has more than `limit`.
pub(super) fn list(text: &str, limit: usize) -> Option<Vec<&str>> {
    serde_json::Deserializer::from_str(text).deserialize_seq(Entries { limit }).ok()
}

/// The text of a JSON string. None: it is no string, or holds half of a surrogate pair.
pub(super) fn string(value: &str) -> Option<Cow<'_, str>> {
    let inner = value.strip_prefix('"')?.strip_suffix('"')?;
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str(value).ok().map(Cow::Owned)
}

/// The place behind the string whose opening quote stands at `open`.
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
        // Raw values skip as fast as ignored ones here: the text is known to be UTF-8 and is not looked at twice.
        while let Some((key, value)) = map.next_entry::<&'de RawValue, &'de RawValue>()? {
            if members.len() == MAX_KEYS {
                return Err(de::Error::custom("too many keys"));
            }
            let (key, value) = (key.get(), value.get());
            let (start, at) = (place(self.text, key), place(self.text, value));
            // A key with half a surrogate pair is nobody's name: it stays as it is written.
            let key = string(key).unwrap_or(Cow::Borrowed(key));
            let mut cursor = Cursor::tallying(value);
            let tally = cursor.value().map(|()| cursor.noticed).unwrap_or_default();
            members.push(Member { key, start, span: at..at + value.len(), tally });
        }
        Ok(members)
    }
}

struct Entries {
    limit: usize,
}

impl<'de> Visitor<'de> for Entries {
    type Value = Vec<&'de str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = seq.next_element::<&'de RawValue>()? {
            if entries.len() == self.limit {
                return Err(de::Error::custom("too many entries"));
            }
            entries.push(entry.get());
        }
        Ok(entries)
    }
}

/// Where `part` begins in `whole`, of which it is a slice.
fn place(whole: &str, part: &str) -> usize {
    part.as_ptr().addr() - whole.as_ptr().addr()
}

/// The first bracket that opens a level deeper than `limit`, in valid JSON.
///
/// `serde_json` bounds the depth only of what it builds; what it skips it walks without recursion and without limit.
fn deeper_than(bytes: &[u8], limit: usize) -> Option<usize> {
    // Most bodies have too few opening brackets to go too deep, and counting them costs next to nothing.
    memchr2_iter(b'[', b'{', bytes).nth(limit)?;
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at = after_string(bytes, at);
                continue;
            }
            b'[' | b'{' if depth == limit => return Some(at),
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    None
}
