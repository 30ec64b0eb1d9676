//! Headers that no configuration may write: [`is_framing`].

use http::HeaderName;

/// Whether the header belongs to the connection, or frames or encodes the message: then it is the gateway's to write.
#[must_use]
pub fn is_framing(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "accept-encoding"
            | "connection"
            | "content-encoding"
            | "content-length"
            | "expect"
            | "host"
            | "keep-alive"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}
