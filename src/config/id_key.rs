//! The key by which the gateway knows the ids that it has issued: [`IdKey`].

use std::fmt;

use ring::hmac::{HMAC_SHA256, Key, sign};
use secrecy::{ExposeSecret, SecretString};

/// The key that authenticates the ids of responses. It is derived from the master key, so that all replicas have the same.
#[derive(Clone)]
pub struct IdKey(Key);

impl IdKey {
    /// The length of an authentication code in bytes.
    pub(crate) const CODE_LENGTH: usize = 8;

    /// Returns the key that belongs to a master key. The one without a master key is no secret.
    pub(super) fn of(master: Option<&SecretString>) -> Self {
        let secret = master.map(ExposeSecret::expose_secret).unwrap_or_default();
        let derived = sign(&Key::new(HMAC_SHA256, secret.as_bytes()), b"tollgate: ids of responses");
        Self(Key::new(HMAC_SHA256, derived.as_ref()))
    }

    /// Appends the authentication code of a message to it: the first bytes of its HMAC-SHA-256.
    pub(crate) fn seal(&self, mut message: Vec<u8>) -> Vec<u8> {
        let code = sign(&self.0, &message);
        message.extend(code.as_ref().iter().take(Self::CODE_LENGTH));
        message
    }

    /// Returns a message without its authentication code. Returns none if the code is not that of the message. The comparison
    /// takes the same time wherever they differ.
    pub(crate) fn open<'a>(&self, sealed: &'a [u8]) -> Option<&'a [u8]> {
        let (message, code) = sealed.split_at_checked(sealed.len().checked_sub(Self::CODE_LENGTH)?)?;
        let valid = sign(&self.0, message);
        let differences = code.iter().zip(valid.as_ref()).fold(0, |all, (one, other)| all | (one ^ other));
        (differences == 0).then_some(message)
    }
}

/// Prints nothing of the key.
impl fmt::Debug for IdKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdKey")
    }
}
