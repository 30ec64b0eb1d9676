//! Statistics of the strings that a scanner skips, for token estimates: [`TextStats`].

/// The properties of a text that an estimate of its tokens needs, besides its length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TextStats {
    /// The number of bytes in strings that are base64 data or data URIs, including quotes.
    pub(crate) binary_bytes: usize,
    /// The number of such strings.
    pub(crate) binaries: u64,
    /// The number of `\u0000` escapes elsewhere.
    pub(crate) unicode_escapes: usize,
    /// The number of keys named `image_url`.
    pub(crate) image_urls: u64,
    /// True after a key named `data`, the name of OpenAI's `input_audio.data` and of Anthropic's `source.data`.
    after_data: bool,
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
    #[inline(always)]
    fn value(&mut self, prefix: &[u8], length: usize, unicode_escapes: usize) {
        if length < PREFIX_LENGTH && !prefix.starts_with(b"data:") {
            self.unicode_escapes += unicode_escapes;
            return;
        }
        let head = &prefix[..prefix.len().min(PREFIX_LENGTH)];
        let is_binary = match head.starts_with(b"data:") {
            true => is_data_uri(head),
            false => length >= PREFIX_LENGTH && is_base64(head) && (self.after_data || is_mixed(head)),
        };
        if is_binary {
            self.binaries += 1;
            self.binary_bytes += length + 2;
        } else {
            self.unicode_escapes += unicode_escapes;
        }
    }

    fn key(&mut self, prefix: &[u8], unicode_escapes: usize) {
        self.image_urls += u64::from(prefix == b"image_url");
        self.after_data = prefix == b"data";
        self.unicode_escapes += unicode_escapes;
    }
}

/// Returns true if the head of a string is that of a base64 data URI, and not of text about one.
fn is_data_uri(head: &[u8]) -> bool {
    memchr::memchr(b',', head).is_some_and(|comma| head[..comma].ends_with(b";base64"))
}

/// Returns true if a head contains characters of base64 only, of either alphabet. Some encoders escape the slash, and some
/// break lines.
fn is_base64(head: &[u8]) -> bool {
    head.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+/-_=\\".contains(byte))
}

/// Returns true if a head without a space is data and not one long word or a sequence: letters of both cases and digits.
fn is_mixed(head: &[u8]) -> bool {
    let has = |kind: fn(&u8) -> bool| head.iter().any(kind);
    has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit)
}
