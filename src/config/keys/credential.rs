//! Names of credentials: the keys that are never sent upstream, neither from a file nor from a client.
//!
//! The rule is narrower than that of redaction, because a parameter that is not sent has no effect: vLLM's `stop_token_ids`
//! and a tokenizer's `eos_token` are no credentials.

/// Parts of names that contain a credential, whatever the other parts are.
const ALWAYS: [&str; 17] = [
    "auth",
    "authorization",
    "authentication",
    "bearer",
    "cookie",
    "cookies",
    "credential",
    "credentials",
    "creds",
    "jwt",
    "oauth",
    "oauth2",
    "passphrase",
    "passwd",
    "pwd",
    "secret",
    "secrets",
];

/// Ends of parts without a separator, such as `dbpassword` and `openaiapikey`.
const ENDS: [&str; 6] = ["password", "passwords", "apikey", "apikeys", "secretkey", "accesskey"];

/// Parts that make a credential of a `key` after them.
const KEYS: [&str; 18] = [
    "access",
    "account",
    "admin",
    "api",
    "auth",
    "encryption",
    "hmac",
    "ingestion",
    "license",
    "master",
    "personal",
    "private",
    "service",
    "signing",
    "space",
    "ssh",
    "subscription",
    "virtual",
];

/// Parts before a `token` that belongs to a tokenizer or to a limit.
const TOKENIZER: [&str; 24] = [
    "audio",
    "beginning",
    "bos",
    "cls",
    "completion",
    "end",
    "eos",
    "first",
    "image",
    "last",
    "mask",
    "max",
    "min",
    "next",
    "pad",
    "per",
    "prefix",
    "prompt",
    "sep",
    "special",
    "start",
    "stop",
    "unk",
    "video",
];

/// Parts before several `tokens` that are credentials; all others are counted.
const TOKENS: [&str; 6] = ["access", "api", "auth", "bearer", "refresh", "session"];

/// Returns true if the name looks like that of a credential: `my_api_key`, `hf_token`, `dbPassword`.
pub(in crate::config) fn is_credential(name: &str) -> bool {
    if super::is_openai(name) || !may_be_credential(name) {
        return false;
    }
    let parts = parts(name);
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let ends = |part: &&str| ENDS.iter().any(|end| part.ends_with(end));
    parts.iter().any(|part| ALWAYS.contains(part) || ends(part))
        || parts.windows(2).any(|pair| is_pair(pair[0], pair[1]))
        || matches!(*parts, ["key" | "token"])
        || matches!(*parts, [.., before, "token"] if !TOKENIZER.contains(&before))
}

/// Returns true if two parts in a row name a credential.
fn is_pair(first: &str, second: &str) -> bool {
    match second {
        "key" | "keys" => KEYS.contains(&first),
        "tokens" => TOKENS.contains(&first),
        "account" => first == "service",
        "string" => first == "connection",
        _ => false,
    }
}

/// Returns true unless a search for a few letters shows that the name is not a credential's. Most names of parameters are
/// sorted out here, without an allocation.
fn may_be_credential(name: &str) -> bool {
    const LETTERS: [&[u8]; 12] = [
        b"key", b"tok", b"sec", b"pass", b"pwd", b"cred", b"auth", b"cook", b"jwt", b"bear", b"account",
        b"connect",
    ];
    let bytes = name.as_bytes();
    let starts = |at: usize, word: &[u8]| {
        bytes.get(at..at + word.len()).is_some_and(|part| part.eq_ignore_ascii_case(word))
    };
    (0..bytes.len()).any(|at| LETTERS.iter().any(|word| starts(at, word)))
}

/// Returns the parts of a name in lower case: what separators divide, and an upper case letter after a lower case one.
fn parts(name: &str) -> Vec<String> {
    let (mut parts, mut lower) = (vec![String::new()], false);
    for c in name.chars() {
        if !c.is_alphanumeric() || (lower && c.is_uppercase()) {
            parts.push(String::new());
        }
        if let (true, Some(part)) = (c.is_alphanumeric(), parts.last_mut()) {
            part.extend(c.to_lowercase());
        }
        lower = c.is_lowercase();
    }
    parts.retain(|part| !part.is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_looks_like_a_credential_is_one() {
        for name in [
            "key",
            "token",
            "my_api_key",
            "apikey",
            "APIKEY",
            "apiKey",
            "openaiApiKey",
            "x-api-key",
            "api_keys",
            "secret",
            "my_secret",
            "client_secret_v2",
            "webhookSecret",
            "password",
            "db_password",
            "dbPassword",
            "dbpassword",
            "passwd",
            "passphrase",
            "access_token",
            "accessToken",
            "hf_token",
            "github-token",
            "auth_token",
            "api_tokens",
            "Authorization",
            "proxy-authorization",
            "basic_auth",
            "bearer",
            "cookie",
            "session_cookies",
            "credentials",
            "credentials_file",
            "jwt",
            "oauth_client",
            "private_key",
            "ssh_private_key_path",
            "signing_key",
            "gcs_service_account",
            "connection_string",
            "aws_session_token",
        ] {
            assert!(is_credential(name), "{name}");
        }
    }

    #[test]
    fn a_parameter_of_a_server_is_not_a_credential() {
        for name in [
            "max_tokens",
            "min_tokens",
            "stop_token_ids",
            "allowed_token_ids",
            "eos_token",
            "bos_token",
            "image_token",
            "return_token_ids",
            "return_tokens_as_token_ids",
            "skip_special_tokens",
            "thinking_token_budget",
            "truncate_prompt_tokens",
            "token_healing",
            "tokenizer",
            "prompt_cache_key",
            "cache_key",
            "key_points",
            "keywords",
            "keep_alive",
            "monkey",
            "author",
            "authors",
            "passages",
            "bypass",
            "second",
            "sections",
            "image_url",
            "account",
            "connection",
            "user",
            "",
        ] {
            assert!(!is_credential(name), "{name}");
        }
        assert!(super::super::OPENAI.iter().all(|name| !is_credential(name)));
    }
}
