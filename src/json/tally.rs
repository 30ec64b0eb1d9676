//! What is noticed in passing: [`Tally`].

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

/// How much of a string must be seen to judge what it is.
pub(super) const SEEN: usize = 200;

/// Who notices what is passed over.
pub(crate) trait Notice {
    /// A string of so many bytes and escapes that is a value, of which at least the first [`SEEN`] bytes are `seen`.
    fn value(&mut self, seen: &[u8], length: usize, units: usize);
    /// The same of one that is a key.
    fn key(&mut self, seen: &[u8], units: usize);
}

/// Nothing is of interest.
impl Notice for () {
    fn value(&mut self, _: &[u8], _: usize, _: usize) {}
    fn key(&mut self, _: &[u8], _: usize) {}
}

impl Notice for Tally {
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

/// Whether a string that begins like a data URI is one in base64, and not text that speaks of one.
fn is_base64(head: &[u8]) -> bool {
    memchr::memchr(b',', head).is_some_and(|comma| head[..comma].ends_with(b";base64"))
}
