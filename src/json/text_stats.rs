//! Statistics of the strings that a scanner skips, for token estimates: [`TextStats`].

/// The properties of a text that an estimate of its tokens needs, besides its length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TextStats {
    /// The number of bytes in strings that are base64 data URIs, including quotes.
    pub(crate) data_uri_bytes: usize,
    /// The number of base64 data URIs.
    pub(crate) data_uris: u64,
    /// The number of `\u0000` escapes elsewhere.
    pub(crate) unicode_escapes: usize,
    /// The number of keys named `image_url`.
    pub(crate) image_urls: u64,
}

/// The number of bytes of a string that suffice to recognise a data URI.
pub(super) const PREFIX_LENGTH: usize = 200;

/// Receives the strings that a scanner skips.
pub(crate) trait ScanObserver {
    /// Receives a string value of `length` bytes with `unicode_escapes` `\u0000` escapes. `prefix` is the
    /// beginning of the value: at least [`PREFIX_LENGTH`] bytes, or all of it.
    fn value(&mut self, prefix: &[u8], length: usize, unicode_escapes: usize);
    /// Receives a key, with the same `prefix`.
    fn key(&mut self, prefix: &[u8], unicode_escapes: usize);
}

/// Ignores all strings.
impl ScanObserver for () {
    fn value(&mut self, _: &[u8], _: usize, _: usize) {}
    fn key(&mut self, _: &[u8], _: usize) {}
}

impl ScanObserver for TextStats {
    fn value(&mut self, prefix: &[u8], length: usize, unicode_escapes: usize) {
        if prefix.starts_with(b"data:") && is_base64(&prefix[..prefix.len().min(PREFIX_LENGTH)]) {
            self.data_uris += 1;
            self.data_uri_bytes += length + 2;
        } else {
            self.unicode_escapes += unicode_escapes;
        }
    }

    fn key(&mut self, prefix: &[u8], unicode_escapes: usize) {
        self.image_urls += u64::from(prefix == b"image_url");
        self.unicode_escapes += unicode_escapes;
    }
}

/// Returns true if the head of a string is that of a base64 data URI, and not of text about one.
fn is_base64(head: &[u8]) -> bool {
    memchr::memchr(b',', head).is_some_and(|comma| head[..comma].ends_with(b";base64"))
}
