//! The scanner of JSON strings: [`string()`].

use std::ops::Range;

use super::blocks::{STEP, behind_blocks, first_special};

/// The position and the escapes of a string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text {
    /// The position between the quotes.
    pub(crate) inner: Range<usize>,
    /// True if the string contains an escape.
    pub(crate) escaped: bool,
    /// The number of `\u0000` escapes.
    pub(crate) unicode_escapes: usize,
}

/// Scans the string with its opening quote at `open`. Returns none if it has no end or is invalid.
// Always inlined, here and in its callers: most strings are names, for which a call would cost as much as the scan.
#[inline(always)]
pub(crate) fn string(bytes: &[u8], open: usize) -> Option<Text> {
    match end_of_short(bytes, open + 1) {
        Some(end) => Some(Text { inner: open + 1..end, escaped: false, unicode_escapes: 0 }),
        None => long_string(bytes, open),
    }
}

#[inline(never)]
fn long_string(bytes: &[u8], open: usize) -> Option<Text> {
    let mut scan = StringScan::default();
    let end = scan.pass_any(bytes, open + 1)??;
    let StringScan { escaped, unicode_escapes, rest: _ } = scan;
    Some(Text { inner: open + 1..end, escaped, unicode_escapes })
}

/// The state of a string scan, which may continue in the next piece.
#[derive(Clone, Debug, Default)]
pub(super) struct StringScan {
    pub(super) escaped: bool,
    pub(super) unicode_escapes: usize,
    rest: Rest,
}

/// The rest of an escape that the end of a piece has split.
#[derive(Clone, Copy, Debug, Default)]
enum Rest {
    #[default]
    Nothing,
    /// Everything after the backslash.
    Escape,
    /// The number of hexadecimal digits that are missing.
    Digits(u8),
}

/// Bytes that are scanned in steps before blocks are tried: most strings end before, and blocks cost a call.
const SHORT: usize = 32;

impl StringScan {
    /// Continues at `at`: after the opening quote, or at the beginning of a piece. Returns the position of the
    /// closing quote, or `Some(None)` if the piece ends before it, or `None` if the string is invalid.
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
                // In text of `\u0000` escapes only, blocks do not help and are tried less often.
                blocks = behind + if behind > at { SHORT } else { 4 * SHORT };
                at = behind;
            }
            at = special(bytes, at, blocks);
            match bytes.get(at) {
                None => return Some(None),
                Some(b'"') => return Some(Some(at)),
                Some(b'\\') => {
                    at = self.escape(bytes, at + 1)?;
                    // Escapes often come in runs.
                    while let Some(b'\\') = bytes.get(at) {
                        at = self.escape(bytes, at + 1)?;
                    }
                }
                Some(0..0x20) => return None,
                // The search stopped at this position.
                Some(_) => blocks = at,
            }
        }
    }

    /// Returns the position after an escape with its backslash before `at`, or the end of the piece.
    fn escape(&mut self, bytes: &[u8], at: usize) -> Option<usize> {
        self.escaped = true;
        match bytes.get(at) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Some(at + 1),
            Some(b'u') => {
                self.unicode_escapes += 1;
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

    /// Continues an escape that was split between pieces.
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

/// Returns the end of a string that ends within its first two steps and has no escape: mostly names.
#[inline(always)]
fn end_of_short(bytes: &[u8], at: usize) -> Option<usize> {
    let place = |from: usize| Some(from + first_special(bytes.get(from..)?.first_chunk()?)?);
    place(at).or_else(|| place(at + STEP)).filter(|&end| bytes[end] == b'"')
}

/// Returns the position of the next quote, backslash or control character from `at` on, searching in steps. If there
/// is none before `until`, returns a position at or after `until`, or the end.
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
