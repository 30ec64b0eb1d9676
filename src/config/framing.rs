//! Headers that a configuration may not set: [`is_framing`].

use http::HeaderName;

const FRAMING: [&str; 13] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Returns true if the header belongs to the connection, or frames or encodes the message. The gateway sets these
/// itself.
#[must_use]
pub fn is_framing(name: &HeaderName) -> bool {
    FRAMING.contains(&name.as_str())
}
