//! Passing over one string.

use std::ops::Range;

/// A string that was passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text {
    /// What stands between its quotes.
    pub(crate) inner: Range<usize>,
    /// Whether it has an escape.
    pub(crate) escaped: bool,
    /// How many of its escapes are `\u0000`.
    pub(crate) units: usize,
    /// Whether one of them is half of a surrogate pair: the other half may be missing.
    pub(crate) surrogate: bool,
}

const EVERY: u64 = u64::from_ne_bytes([1; 8]);
const HIGH: u64 = EVERY << 7;

/// The string whose opening quote stands at `open`. None: it does not end, or is not as JSON wants it.
pub(crate) fn string(bytes: &[u8], open: usize) -> Option<Text> {
    let mut text = Text { inner: open + 1..open + 1, escaped: false, units: 0, surrogate: false };
    let mut at = open + 1;
    loop {
        at = special(bytes, at)?;
        match bytes[at] {
            b'"' => {
                text.inner.end = at;
                return Some(text);
            }
            b'\\' => at = escape(bytes, at, &mut text)?,
            // A raw control character.
            _ => return None,
        }
    }
}

/// The place behind the escape at `at`.
fn escape(bytes: &[u8], at: usize, text: &mut Text) -> Option<usize> {
    text.escaped = true;
    match bytes.get(at + 1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(at + 2),
        b'u' => {
            let digits: &[u8; 4] = bytes.get(at + 2..)?.first_chunk()?;
            text.units += 1;
            text.surrogate |= matches!(digits, [b'd' | b'D', b'8'..=b'9' | b'a'..=b'f' | b'A'..=b'F', ..]);
            digits.iter().all(u8::is_ascii_hexdigit).then_some(at + 6)
        }
        _ => None,
    }
}

/// The next quote, backslash or control character from `at` on.
///
/// Words of eight bytes first, since escapes stand close together where there are any; whole blocks once a few words
/// were plain.
#[inline]
fn special(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut plain = 0;
    while let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let found = specials(u64::from_le_bytes(*word));
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
        plain += 1;
        if plain == 4 {
            at = blocks(bytes, at);
            plain = 0;
        }
    }
    let rest = bytes.get(at..)?;
    rest.iter().position(|&byte| is_special(byte)).map(|step| at + step)
}

/// The high bit of each byte that is special; above the lowest of them a bit may be wrong.
const fn specials(word: u64) -> u64 {
    let quote = word ^ (EVERY * b'"' as u64);
    let backslash = word ^ (EVERY * b'\\' as u64);
    let quotes = quote.wrapping_sub(EVERY) & !quote;
    let backslashes = backslash.wrapping_sub(EVERY) & !backslash;
    let controls = word.wrapping_sub(EVERY * 0x20) & !word;
    (quotes | backslashes | controls) & HIGH
}

/// The place behind the blocks of 64 plain bytes that stand at `at`.
fn blocks(bytes: &[u8], mut at: usize) -> usize {
    while let Some(block) = bytes.get(at..).and_then(<[u8]>::first_chunk::<64>) {
        // No early end: that makes a few vector instructions of it.
        let special = block.iter().fold(0, |special, &byte| special | u8::from(is_special(byte)));
        if special != 0 {
            break;
        }
        at += 64;
    }
    at
}

const fn is_special(byte: u8) -> bool {
    (byte == b'"') | (byte == b'\\') | (byte < 0x20)
}
