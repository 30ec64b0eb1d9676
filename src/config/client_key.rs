//! The keys of clients: [`ClientKey`], and the hash by which a key is known, [`KeyDigest`].

use std::{fmt, sync::Arc, time::SystemTime};

use ring::digest::{SHA256, digest};

use super::BudgetLimit;

/// A key of clients, with its rights and limits: an entry of `general_settings.keys`.
#[derive(Clone, Debug)]
pub struct ClientKey {
    /// `name`: the name in logs and metrics, by which the usage is kept over a reload.
    pub name: Arc<str>,
    /// The hash of `key`, or `key_sha256`.
    pub digest: KeyDigest,
    /// `models`: the names of groups and aliases, and patterns of them. Empty if the key may call every group.
    pub models: Vec<Arc<str>>,
    /// `rpm_limit`: requests per minute.
    pub rpm_limit: Option<u64>,
    /// `tpm_limit`: tokens per minute.
    pub tpm_limit: Option<u64>,
    /// `max_parallel_requests`: concurrent requests.
    pub max_parallel_requests: Option<u32>,
    /// `expires`: the time from which on the key is refused.
    pub expires: Option<SystemTime>,
    /// `max_budget` and `budget_duration`.
    pub budget: Option<BudgetLimit>,
}

/// The SHA-256 of a key. Comparing two takes the same time wherever they differ.
#[derive(Clone, Copy)]
pub struct KeyDigest([u8; 32]);

impl KeyDigest {
    /// Returns the hash of a key.
    #[must_use]
    pub fn of(key: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, key).as_ref());
        Self(bytes)
    }

    /// Parses 64 hexadecimal digits. Returns none for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if text.len() != 2 * bytes.len() || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
        }
        Some(Self(bytes))
    }

    /// Returns the first eight bytes, for a map. They reveal nothing about a key that is not known.
    #[must_use]
    pub const fn prefix(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }
}

impl PartialEq for KeyDigest {
    fn eq(&self, other: &Self) -> bool {
        self.0.iter().zip(other.0).fold(0, |differences, (one, other)| differences | (one ^ other)) == 0
    }
}

impl Eq for KeyDigest {}

/// Prints nothing of the hash: a short key could be found by it.
impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyDigest")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_digest_is_written_in_64_hexadecimal_digits() {
        // FIPS 180-2, appendix B.1.
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let abc = KeyDigest::of(b"abc");
        assert!(KeyDigest::parse(text) == Some(abc) && KeyDigest::parse(&text.to_uppercase()) == Some(abc));
        assert_eq!(abc.prefix(), 0xba78_16bf_8f01_cfea);
        assert!(KeyDigest::of(b"abd") != abc);
        for other in ["", &text[1..], "xyz", &format!("+{}", &text[1..]), &"ä".repeat(32)] {
            assert_eq!(KeyDigest::parse(other), None, "{other}");
        }
        assert_eq!(format!("{abc:?}"), "KeyDigest");
    }
}
