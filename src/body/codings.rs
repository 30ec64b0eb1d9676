//! The content codings of a body: [`codings`].

use http::{HeaderMap, header};

/// The codings of a request body that this build reads, as the value of `accept-encoding`.
pub(crate) const ACCEPTED: &str =
    if cfg!(feature = "compression") { "gzip, deflate, br, zstd" } else { "identity" };

/// A compression of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    /// `gzip`, also `x-gzip`.
    Gzip,
    /// `deflate`, which is the format of zlib.
    Zlib,
    /// `br`.
    Brotli,
    /// `zstd`.
    Zstd,
}

impl Coding {
    /// Returns the compression of this name (RFC 9110, section 8.4.1).
    fn of(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "deflate" => Some(Self::Zlib),
            "br" => Some(Self::Brotli),
            "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// Returns the compressions of a body in the order in which they were applied, or `None` if one of them is unknown.
pub(crate) fn codings(headers: &HeaderMap) -> Option<Vec<Coding>> {
    if headers.get(header::CONTENT_ENCODING).is_none() {
        return Some(Vec::new());
    }
    let values = headers.get_all(header::CONTENT_ENCODING).iter();
    let texts: Vec<_> = values.map(|value| value.to_str().ok()).collect::<Option<_>>()?;
    let names = texts.iter().flat_map(|text| text.split(',')).map(str::trim);
    names.filter(|name| !is_identity(name)).map(Coding::of).collect()
}

/// Returns true for a content coding that changes nothing. Some senders name one.
pub(crate) fn is_identity(coding: &str) -> bool {
    ["", "identity", "none"].iter().any(|none| coding.eq_ignore_ascii_case(none))
}
