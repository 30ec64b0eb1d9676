//! What is noticed in passing: [`Tally`].

use std::ops::Range;

use super::text::Text;

/// What an estimate of tokens must know of a text beyond its length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Bytes of strings that are data URIs in base64, quotes included.
    pub(crate) encoded: usize,
    /// How many such strings there are.
    pub(crate) uris: u64,
    /// Escapes of the form `\u0000` outside of them.
    pub(crate) units: usize,
    /// How many keys are called `image_url`.
    pub(crate) links: u64,
}

impl Tally {
    pub(super) fn value(&mut self, bytes: &[u8], text: &Text) {
        if bytes[text.inner.start..].starts_with(b"data:") && is_base64(bytes, &text.inner) {
            self.uris += 1;
            self.encoded += text.inner.len() + 2;
        } else {
            self.units += text.units;
        }
    }

    pub(super) fn key(&mut self, bytes: &[u8], text: &Text) {
        self.links += u64::from(&bytes[text.inner.clone()] == b"image_url");
        self.units += text.units;
    }
}

/// Whether a string that begins like a data URI is one in base64, and not text that speaks of one.
fn is_base64(bytes: &[u8], inner: &Range<usize>) -> bool {
    let head = &bytes[inner.start..inner.end.min(inner.start + 200)];
    memchr::memchr(b',', head).is_some_and(|comma| head[..comma].ends_with(b";base64"))
}
