//! Our own credentials, taken out of what an upstream says went wrong: [`Secrets`].
//!
//! Some servers repeat the key that they refuse (`Incorrect API key provided: ...`), and an error is passed on as it
//! came. The key is the operator's and not the client's. Only errors are searched: what goes well passes untouched.
//!
//! Hazards: a credential that the upstream has masked, escaped or compressed is not found.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use memchr::memmem;
use secrecy::{ExposeSecret, SecretString};

use crate::config::Target;

/// What one deployment is paid with.
#[derive(Clone, Default)]
pub struct Secrets(Arc<[SecretString]>);

impl Secrets {
    /// What stands in place of a secret.
    const REDACTED: &[u8] = b"[redacted]";

    /// A shorter one is a placeholder (`none`, `EMPTY`), and would be found in the words of any message.
    const SHORTEST: usize = 8;

    /// The key of this target, and what those of its headers hold that are named like credentials.
    #[must_use]
    pub fn of(target: &Target) -> Self {
        let key = target.key.iter().map(ExposeSecret::expose_secret);
        let headers = target.headers.iter().filter(|(name, _)| is_credential(name));
        let headers = headers.filter_map(|(_, value)| value.to_str().ok());
        // `Bearer` and its like are no secret, and are too short to be taken for one.
        let words = key.chain(headers).flat_map(str::split_whitespace);
        Self(words.filter(|word| word.len() >= Self::SHORTEST).map(SecretString::from).collect())
    }

    /// The same without secrets. Not copied when there are none in it.
    pub(super) fn cleaned(&self, mut bytes: Bytes) -> Bytes {
        for secret in self.0.iter().map(|secret| secret.expose_secret().as_bytes()) {
            let mut found = memmem::find_iter(&bytes, secret).peekable();
            if found.peek().is_none() {
                continue;
            }
            let mut kept = Vec::with_capacity(bytes.len());
            let mut from = 0;
            for at in found {
                kept.extend_from_slice(&bytes[from..at]);
                kept.extend_from_slice(Self::REDACTED);
                from = at + secret.len();
            }
            kept.extend_from_slice(&bytes[from..]);
            bytes = kept.into();
        }
        bytes
    }

    /// Takes off every header that holds one.
    pub(super) fn clean(&self, headers: &mut HeaderMap) {
        let holds = |value: &[u8]| {
            self.0.iter().any(|secret| memmem::find(value, secret.expose_secret().as_bytes()).is_some())
        };
        let telling = headers.iter().filter(|(_, value)| holds(value.as_bytes()));
        let telling: Vec<HeaderName> = telling.map(|(name, _)| name.clone()).collect();
        for name in telling {
            headers.remove(name);
        }
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

/// Whether a header of that name commonly holds one.
fn is_credential(name: &HeaderName) -> bool {
    ["auth", "cookie", "key", "secret", "token"].iter().any(|word| name.as_str().contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(words: &[&str]) -> Secrets {
        Secrets(words.iter().copied().map(SecretString::from).collect())
    }

    #[test]
    fn every_occurrence_is_replaced_and_nothing_else() {
        let secrets = secrets(&["sk-secret-1", "token-two"]);
        let said = |text: &'static str| secrets.cleaned(Bytes::from_static(text.as_bytes()));
        assert_eq!(said("sk-secret-1sk-secret-1 x token-two"), "[redacted][redacted] x [redacted]");
        let plain = Bytes::from_static(b"sk-secret-");
        assert_eq!(secrets.cleaned(plain.clone()).as_ptr(), plain.as_ptr(), "not copied");
    }

    #[test]
    fn a_header_that_tells_is_taken_off() {
        let mut headers = HeaderMap::new();
        headers.insert("www-authenticate", http::HeaderValue::from_static("Bearer error=\"sk-secret-1\""));
        headers.insert("x-request-id", http::HeaderValue::from_static("1"));
        secrets(&["sk-secret-1"]).clean(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-request-id"]);
    }

    #[test]
    fn nothing_is_shown_of_them() {
        assert_eq!(format!("{:?}", secrets(&["sk-secret-1"])), "Secrets(1)");
    }
}
