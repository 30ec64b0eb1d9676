//! Passing over one string.

use std::ops::Range;

use super::blocks::{STEP, behind_blocks, first_special};

/// A string that was passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text {
    /// What stands between its quotes.
    pub(crate) inner: Range<usize>,
    /// Whether it has an escape.
    pub(crate) escaped: bool,
    /// How many of its escapes are `\u0000`.
    pub(crate) units: usize,
}

/// The string whose opening quote stands at `open`. None: it does not end, or is not as JSON wants it.
// Always, here and where it is passed on: most strings are names, for which the call would cost as much as the look.
#[inline(always)]
pub(crate) fn string(bytes: &[u8], open: usize) -> Option<Text> {
    match end_of_short(bytes, open + 1) {
        Some(end) => Some(Text { inner: open + 1..end, escaped: false, units: 0 }),
        None => long_string(bytes, open),
    }
}

#[inline(never)]
fn long_string(bytes: &[u8], open: usize) -> Option<Text> {
    let mut passing = Passing::default();
    let end = passing.pass_any(bytes, open + 1)??;
    let Passing { escaped, units, rest: _ } = passing;
    Some(Text { inner: open + 1..end, escaped, units })
}

/// What was seen of a string that is being passed over, perhaps piece by piece.
#[derive(Clone, Debug, Default)]
pub(super) struct Passing {
    pub(super) escaped: bool,
    pub(super) units: usize,
    rest: Rest,
}

/// What is still to come of an escape when a piece ends.
#[derive(Clone, Copy, Debug, Default)]
enum Rest {
    #[default]
    Nothing,
    /// All behind the backslash.
    Escape,
    /// So many hexadecimal digits.
    Digits(u8),
}

/// So many bytes are looked at in steps before blocks are tried: most strings end before, and blocks cost a call.
const SHORT: usize = 32;

impl Passing {
    /// Goes on at `at`, behind the opening quote or where a piece begins. Where the closing quote stands, or none where
    /// the piece ends before it; none at all: it is not as JSON wants it.
    #[inline]
    pub(super) fn pass(&mut self, bytes: &[u8], at: usize) -> Option<Option<usize>> {
        if matches!(self.rest, Rest::Nothing)
            && let Some(end) = end_of_short(bytes, at)
        {
            return Some(Some(end));
        }
        self.pass_any(bytes, at)
    }

    #[inline(never)]
    fn pass_any(&mut self, bytes: &[u8], mut at: usize) -> Option<Option<usize>> {
        if !matches!(self.rest, Rest::Nothing) {
            at = self.rest_of_escape(bytes, at)?;
        }
        let mut blocks = at + SHORT;
        loop {
            if at >= blocks {
                let (behind, escaped) = behind_blocks(bytes, at);
                self.escaped |= escaped;
                // Where blocks do not help, in a text of `\u0000` from end to end, they are tried now and then.
                blocks = behind + if behind > at { SHORT } else { 4 * SHORT };
                at = behind;
            }
            at = special(bytes, at, blocks);
            match bytes.get(at) {
                None => return Some(None),
                Some(b'"') => return Some(Some(at)),
                Some(b'\\') => {
                    at = self.escape(bytes, at + 1)?;
                    // One seldom comes alone.
                    while let Some(b'\\') = bytes.get(at) {
                        at = self.escape(bytes, at + 1)?;
                    }
                }
                Some(0..0x20) => return None,
                // It was not searched any farther.
                Some(_) => blocks = at,
            }
        }
    }

    /// The place behind the escape whose backslash stands before `at`, or the end of the piece.
    fn escape(&mut self, bytes: &[u8], at: usize) -> Option<usize> {
        self.escaped = true;
        match bytes.get(at) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Some(at + 1),
            Some(b'u') => {
                self.units += 1;
                let Some(digits) = bytes[at + 1..].first_chunk::<4>() else {
                    self.rest = Rest::Digits(4);
                    return self.rest_of_escape(bytes, at + 1);
                };
                digits.iter().all(u8::is_ascii_hexdigit).then_some(at + 5)
            }
            Some(_) => None,
            None => {
                self.rest = Rest::Escape;
                Some(at)
            }
        }
    }

    /// The same of an escape that a piece has cut.
    #[cold]
    fn rest_of_escape(&mut self, bytes: &[u8], mut at: usize) -> Option<usize> {
        if at < bytes.len() && matches!(self.rest, Rest::Escape) {
            self.rest = Rest::Nothing;
            return self.escape(bytes, at);
        }
        while let (Rest::Digits(count), Some(byte)) = (self.rest, bytes.get(at)) {
            self.rest = if count > 1 { Rest::Digits(count - 1) } else { Rest::Nothing };
            at = byte.is_ascii_hexdigit().then_some(at + 1)?;
        }
        Some(at)
    }
}

/// Where a string ends that has nothing to be looked at in its first few bytes and its end there: a name, mostly.
#[inline(always)]
fn end_of_short(bytes: &[u8], at: usize) -> Option<usize> {
    let place = |from: usize| Some(from + first_special(bytes.get(from..)?.first_chunk()?)?);
    place(at).or_else(|| place(at + STEP)).filter(|&end| bytes[end] == b'"')
}

/// The next quote, backslash or control character from `at` on, in steps; or a place behind `until` before which there
/// is none, or the end.
#[inline]
fn special(bytes: &[u8], at: usize, until: usize) -> usize {
    let mut rest = bytes.get(at..).unwrap_or_default();
    let place = |rest: &[u8]| bytes.len() - rest.len();
    while let Some((step, behind)) = rest.split_first_chunk() {
        if let Some(found) = first_special(step) {
            return place(rest) + found;
        }
        rest = behind;
        if place(rest) >= until {
            return place(rest);
        }
    }
    let last = rest.iter().position(|&byte| (byte == b'"') | (byte == b'\\') | (byte < 0x20));
    last.map_or(bytes.len(), |last| place(rest) + last)
}
