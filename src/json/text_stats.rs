//! Statistics of skipped text: [`TextStats`].

/// The properties of a text that an estimate of its tokens needs, besides its length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TextStats {
    /// The number of bytes in strings that are base64 data URIs, including quotes.
    pub(crate) encoded: usize,
    /// The number of base64 data URIs.
    pub(crate) uris: u64,
    /// The number of `\u0000` escapes elsewhere.
    pub(crate) units: usize,
    /// The number of keys named `image_url`.
    pub(crate) links: u64,
}

/// Bytes of a string that suffice to recognise a data URI.
pub(super) const SEEN: usize = 200;

/// Receives the strings that a scanner skips.
pub(crate) trait ScanObserver {
    /// Receives a string value of `length` bytes with `units` `\u0000` escapes. `seen` is a prefix of the value: at
    /// least [`SEEN`] bytes, or all of it.
    fn value(&mut self, seen: &[u8], length: usize, units: usize);
    /// Receives a key, of which `seen` is such a prefix.
    fn key(&mut self, seen: &[u8], units: usize);
}

/// Ignores all strings.
impl ScanObserver for () {
    fn value(&mut self, _: &[u8], _: usize, _: usize) {}
    fn key(&mut self, _: &[u8], _: usize) {}
}

impl ScanObserver for TextStats {
    fn value(&mut self, seen: &[u8], length: usize, units: usize) {
        if seen.starts_with(b"data:") && is_base64(&seen[..seen.len().min(SEEN)]) {
            self.uris += 1;
            self.encoded += length + 2;
        } else {
            self.units += units;
        }
    }

    fn key(&mut self, seen: &[u8], units: usize) {
        self.links += u64::from(seen == b"image_url");
        self.units += units;
    }
}

/// Returns true if the head of a string is that of a base64 data URI, and not of text about one.
fn is_base64(head: &[u8]) -> bool {
    memchr::memchr(b',', head).is_some_and(|comma| head[..comma].ends_with(b";base64"))
}
