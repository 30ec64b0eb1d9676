//! Redaction of the gateway's credentials, and of its [accounts], in errors of an upstream: [`Secrets`].
//!
//! Some servers repeat the key that they refuse (`Incorrect API key provided: ...`), and an error is passed on as
//! received. The key belongs to the operator, not to the client. Only errors are searched: a success passes unchanged.
//! An error may quote a request that was escaped before, so each character of a credential is also matched in its JSON
//! and URL escapes (`\/`, `\u002b`, `%2B`), also when it was escaped repeatedly. A compressed error is not passed on at
//! all.
//!
//! Hazards: a credential that the upstream has masked, or encoded as a whole (base64), is not found.

use std::{cmp::Reverse, fmt, ops::Range, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use secrecy::{ExposeSecret, SecretString};

use super::accounts;
use crate::config::Target;

/// The credentials of one deployment.
#[derive(Clone, Default)]
pub(crate) struct Secrets(Arc<[SecretString]>);

impl Secrets {
    /// The replacement of a secret.
    const REDACTED: &[u8] = b"[redacted]";

    /// The shortest secret, in bytes. A shorter value is a placeholder (`none`, `EMPTY`), and would match text of any
    /// message.
    const SHORTEST: usize = 8;

    /// Returns the secrets of a target: its key, the values of its headers with the name of a credential, and its
    /// organization. The provider reports the organization in rate limit errors, but the client must not see it.
    pub(crate) fn of(target: &Target) -> Self {
        let key = target.key.iter().map(ExposeSecret::expose_secret);
        let aws = target.aws.iter().flat_map(|aws| {
            let token = aws.session_token.iter().map(ExposeSecret::expose_secret);
            [aws.access_key_id.as_str(), aws.secret_access_key.expose_secret()].into_iter().chain(token)
        });
        let headers = target.headers.iter().filter(|(name, _)| is_credential(name));
        let headers = headers.filter_map(|(_, value)| value.to_str().ok());
        // `Bearer` and similar schemes are not secret, and too short to count as one.
        let organization = target.organization.iter().filter_map(|name| name.to_str().ok());
        let words = key.chain(aws).chain(headers).chain(organization).flat_map(str::split_whitespace);
        Self::new(words.filter(|word| word.len() >= Self::SHORTEST))
    }

    fn new<'a>(words: impl Iterator<Item = &'a str>) -> Self {
        let mut words: Vec<_> = words.collect();
        // The longest first: a secret may be the prefix of another, and the rest of that would stay.
        words.sort_unstable_by_key(|word| Reverse(word.len()));
        Self(words.into_iter().map(SecretString::from).collect())
    }

    /// Returns the bytes with each secret and each account replaced. Bytes without any are not copied.
    pub(crate) fn redact(&self, mut bytes: Bytes) -> Bytes {
        for secret in self.0.iter().map(|secret| secret.expose_secret().as_bytes()) {
            let mut found = places(&bytes, secret).peekable();
            if found.peek().is_none() {
                continue;
            }
            let mut kept = Vec::with_capacity(bytes.len());
            let mut from = 0;
            for place in found {
                kept.extend_from_slice(&bytes[from..place.start]);
                kept.extend_from_slice(Self::REDACTED);
                from = place.end;
            }
            kept.extend_from_slice(&bytes[from..]);
            bytes = kept.into();
        }
        accounts::masked(bytes)
    }

    /// Removes every header that contains a secret.
    pub(crate) fn remove_from_headers(&self, headers: &mut HeaderMap) {
        let holds = |value: &[u8]| {
            self.0.iter().any(|secret| places(value, secret.expose_secret().as_bytes()).next().is_some())
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

/// Returns the ranges of `secret` in `text`, verbatim or escaped.
fn places<'a>(text: &'a [u8], secret: &'a [u8]) -> impl Iterator<Item = Range<usize>> + 'a {
    let mut from = 0;
    std::iter::from_fn(move || {
        while from < text.len() {
            let start = from;
            if let Some(end) = end_of(text, start, secret) {
                from = end;
                return Some(start..end);
            }
            from += 1;
        }
        None
    })
}

/// Returns the end of a `secret` that begins at `at`.
fn end_of(text: &[u8], mut at: usize, secret: &[u8]) -> Option<usize> {
    for (place, byte) in secret.iter().enumerate() {
        let rest = text.get(at..)?;
        if let [b'%', rest @ ..] = rest
            && *byte == b'%'
        {
            // The percent sign is verbatim, or written `%25` once or repeatedly: the following bytes decide.
            let again = rest.chunks(2).take(DEEPEST).take_while(|two| *two == b"25").count();
            return (0..=again).find_map(|again| end_of(text, at + 1 + 2 * again, &secret[place + 1..]));
        }
        at += if rest.first() == Some(byte) { 1 } else { escaped(rest, *byte)? };
    }
    Some(at)
}

/// The largest number of backslashes of one escape: an escape that was escaped three times has 15. Without a bound a
/// page of backslashes would cost the square of its length.
const DEEPEST: usize = 16;

/// Returns the length of the escape at the beginning of `text` that stands for `byte`. A character that was escaped
/// twice has more backslashes, or a percent sign that is itself written `%25`.
fn escaped(text: &[u8], byte: u8) -> Option<usize> {
    let slashes = text.iter().take(DEEPEST).take_while(|byte| **byte == b'\\').count();
    let (start, digits) = match (slashes, &text[slashes..]) {
        (0, [b'%', rest @ ..]) => {
            let again = rest.chunks(2).take(DEEPEST).take_while(|two| *two == b"25").count();
            (1 + 2 * again, 2)
        }
        (1.., [b'u', ..]) => (slashes + 1, 4),
        (1.., [other, ..]) if *other == byte => return Some(slashes + 1),
        _ => return None,
    };
    let digits = text.get(start..start + digits)?;
    let code = u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    (code == u32::from(byte)).then_some(start + digits.len())
}

/// Returns true if a header of this name commonly contains a credential.
fn is_credential(name: &HeaderName) -> bool {
    ["auth", "cookie", "key", "secret", "token"].iter().any(|word| name.as_str().contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(words: &[&str]) -> Secrets {
        Secrets::new(words.iter().copied())
    }

    #[test]
    fn secrets_are_replaced_at_every_occurrence_and_nothing_else() {
        let secrets = secrets(&["sk-secret-1", "token-two"]);
        let said = |text: &'static str| secrets.redact(Bytes::from_static(text.as_bytes()));
        assert_eq!(said("sk-secret-1sk-secret-1 x token-two"), "[redacted][redacted] x [redacted]");
        let plain = Bytes::from_static(b"sk-secret-");
        assert_eq!(secrets.redact(plain.clone()).as_ptr(), plain.as_ptr(), "not copied");
    }

    #[test]
    fn escaped_secrets_are_found_at_every_escape_depth() {
        let secrets = secrets(&["sk/a+b=cd&e\"f"]);
        for escaped in [
            r#"sk/a+b=cd&e\"f"#,
            r#"sk\/a+b=cd\u0026e\u0022f"#,
            r#"\u0073\u006b\/a\u002Bb\u003dcd&e\"f"#,
            r#"sk\\\/a+b=cd\\u0026e\\\"f"#,
            "sk%2Fa%2bb%3Dcd%26e%22f",
            "sk%252Fa%252Bb%253Dcd%2526e%252522f",
        ] {
            let text = format!("{{\"error\":\"key {escaped}.\"}}");
            let told = secrets.redact(text.into());
            assert_eq!(told, "{\"error\":\"key [redacted].\"}", "{escaped}");
        }
        for other in [r"sk\", r"sk\u00", "sk%2", "sk%25", "sk%2Fa%2bb%3Dcd%26e%21f", r"sk\u012fa+b=cd&e"] {
            assert_eq!(secrets.redact(Bytes::from_static(other.as_bytes())), other);
        }
    }

    #[test]
    fn one_with_a_percent_sign_is_found_as_it_is_and_in_a_url() {
        let secrets = secrets(&["key%25/a%b"]);
        for text in ["key%25/a%b", "key%2525%2Fa%25b", "key%252525%252Fa%2525b", r"key%25\/a\u0025b"] {
            assert_eq!(secrets.redact(Bytes::from(format!("<{text}>"))), "<[redacted]>", "{text}");
        }
        let other = "key%25/a%2b";
        assert_eq!(secrets.redact(other.into()), other);
    }

    #[test]
    fn one_that_begins_another_does_not_leave_its_tail() {
        let secrets = secrets(&["sk-secret", "sk-secret-and-more"]);
        assert_eq!(secrets.redact("sk-secret-and-more sk-secret".into()), "[redacted] [redacted]");
    }

    #[test]
    fn a_header_that_tells_is_taken_off() {
        let mut headers = HeaderMap::new();
        headers.insert("www-authenticate", http::HeaderValue::from_static("Bearer error=\"sk-secret-1\""));
        headers.insert("x-request-id", http::HeaderValue::from_static("1"));
        secrets(&["sk-secret-1"]).remove_from_headers(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-request-id"]);
    }

    #[test]
    fn secrets_debug_shows_only_their_number() {
        assert_eq!(format!("{:?}", secrets(&["sk-secret-1"])), "Secrets(1)");
    }
}
