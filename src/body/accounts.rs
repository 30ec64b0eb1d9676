//! Redaction of the operator's account, and of Google's access tokens, in errors of an upstream: [`masked`].
//!
//! Providers name the account in their messages ("in organization org-..."), and clients must not see it. It is found by
//! its form, as the gateway does not know its own account: an id with a known prefix, or an identifier after a word such
//! as "project". Quotes, brackets and escapes may stand between the two.
//!
//! Hazards: an account with a name of plain letters is found only in a path (`projects/NAME`).

use std::ops::Range;

use bytes::Bytes;

/// The prefixes of ids of accounts: OpenAI's and Groq's organizations and projects, OpenRouter's users, Fireworks's and
/// Stripe's accounts, Anthropic's workspaces, xAI's and Mistral's teams.
const PREFIXES: &[&str] = &[
    "org-", "org_", "proj-", "proj_", "user-", "user_", "acct-", "acct_", "wrkspc-", "wrkspc_", "team-",
    "team_", "ten-", "ws-",
];

/// The words before an identifier of an account, in lower case.
const WORDS: &[&str] = &[
    "organization",
    "organisation",
    "organizations",
    "org",
    "project",
    "projects",
    "team",
    "account",
    "accounts",
    "subscription",
    "subscriptions",
    "tenant",
    "workspace",
    "workspaces",
    "consumer",
    "customer",
    "billing",
    "user",
];

/// The words before the name of an account in a path, in lower case.
const PATHS: &[&str] =
    &["organizations", "projects", "subscriptions", "accounts", "workspaces", "resourcegroups", "tenants"];

/// Names in a path that are not of the operator: Fireworks's own models.
const PUBLIC: &[&str] = &["fireworks"];

/// The beginning of an access token of Google, which has parts behind it: `ya29.c.x`.
const TOKEN: &[u8] = b"ya29";

/// The replacement of an account.
const REDACTED: &[u8] = b"[redacted]";

/// Returns the bytes with each account replaced. Bytes without one are not copied.
pub(super) fn masked(bytes: Bytes) -> Bytes {
    let found = accounts(&bytes);
    if found.is_empty() {
        return bytes;
    }
    let mut kept = Vec::with_capacity(bytes.len());
    let mut from = 0;
    for place in found {
        kept.extend_from_slice(&bytes[from..place.start]);
        kept.extend_from_slice(REDACTED);
        from = place.end;
    }
    kept.extend_from_slice(&bytes[from..]);
    kept.into()
}

/// Returns the ranges of all identifiers of accounts.
fn accounts(text: &[u8]) -> Vec<Range<usize>> {
    let mut before = Before::default();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(word) = next_word(text, at) {
        at = word.end;
        let gap = &text[before.end..word.start];
        let is_token = before.is_token && gap == b".";
        let is_account = is_token
            || has_prefix(&text[word.clone()])
            || before.is_word && is_gap(gap) && is_identifier(&text[word.clone()])
            || before.is_path && gap == b"/" && is_name_in_path(text, &word)
            || matches!(gap, b":" | b"::")
                && text.get(word.end) == Some(&b':')
                && is_number(&text[word.clone()], 12);
        let begins_token = text[word.clone()] == *TOKEN;
        before = before.then(text, &word, is_account);
        before.is_token = is_token || begins_token;
        if is_account {
            found.push(word);
        }
    }
    found
}

/// The last words of a text.
#[derive(Default)]
struct Before {
    end: usize,
    /// True if the next word may be the identifier of an account.
    is_word: bool,
    /// True if the next word may be the name of an account in a path.
    is_path: bool,
    /// True if the next word may be a part of an access token.
    is_token: bool,
}

impl Before {
    /// Returns the state after the next word. "id" or "number" may stand between the word and the identifier.
    fn then(&self, text: &[u8], word: &Range<usize>, is_account: bool) -> Self {
        let lower = text[word.clone()].to_ascii_lowercase();
        let is_suffix = matches!(&*lower, b"id" | b"ids" | b"number" | b"name" | b"uuid" | b"is" | b"with");
        let is_one_of = |words: &[&str]| words.iter().any(|known| known.as_bytes() == base(&lower));
        let is_word = !is_account && (is_one_of(WORDS) || self.is_word && is_suffix);
        Self { end: word.end, is_word, is_path: !is_account && is_one_of(PATHS), is_token: false }
    }
}

/// Returns a word without the suffix of an identifier: `project_number`, `subscriptionid`.
fn base(word: &[u8]) -> &[u8] {
    let suffixes: [&[u8]; 4] = [b"number", b"name", b"uuid", b"id"];
    let word = suffixes.iter().find_map(|suffix| word.strip_suffix(*suffix)).unwrap_or(word);
    word.strip_suffix(b"_").or(word.strip_suffix(b"-")).unwrap_or(word)
}

/// Returns the range of the next word: letters, digits, `-` and `_`. The letter of an escape (`\n`, `\u0022`) is not part
/// of it.
fn next_word(text: &[u8], from: usize) -> Option<Range<usize>> {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let start = from + text.get(from..)?.iter().position(is_word)?;
    let end =
        text[start..].iter().position(|byte| !is_word(byte)).map_or(text.len(), |length| start + length);
    let escape = match text[..start].last() {
        Some(b'\\') if text[start] == b'u' => 5,
        Some(b'\\') => 1,
        _ => 0,
    };
    Some((start + escape).min(end)..end)
}

/// Returns true if the bytes between a word and its identifier are punctuation.
fn is_gap(gap: &[u8]) -> bool {
    gap.len() <= 12 && gap.iter().all(|byte| b" :=\"'`()[]{}<>/\\#\t\n".contains(byte))
}

fn has_prefix(word: &[u8]) -> bool {
    let rest = PREFIXES.iter().find_map(|prefix| word.strip_prefix(prefix.as_bytes()));
    rest.is_some_and(|rest| is_uuid(rest) || is_random(rest, 8))
}

/// Returns true for an identifier without a prefix: a UUID, a long number, or long random text.
fn is_identifier(word: &[u8]) -> bool {
    is_uuid(word) || is_number(word, 6) || is_random(word, 16) || has_number(word)
}

/// Returns true for a name that ends with a number, as the ids of Google's projects do: `my-project-4711`.
fn has_number(word: &[u8]) -> bool {
    let Some(dash) = word.iter().rposition(|byte| *byte == b'-') else { return false };
    dash > 0 && is_number(&word[dash + 1..], 3)
}

fn is_number(word: &[u8], least: usize) -> bool {
    word.len() >= least && word.iter().all(u8::is_ascii_digit)
}

/// Returns true for letters and digits of at least this length, with a digit or with a letter of either case.
fn is_random(word: &[u8], least: usize) -> bool {
    let any = |is: fn(&u8) -> bool| word.iter().any(is);
    let is_mixed = any(u8::is_ascii_digit) || any(u8::is_ascii_uppercase) && any(u8::is_ascii_lowercase);
    word.len() >= least && is_mixed && word.iter().all(u8::is_ascii_alphanumeric)
}

fn is_uuid(word: &[u8]) -> bool {
    let parts: Vec<_> = word.split(|byte| *byte == b'-').collect();
    let lengths = parts.iter().map(|part| part.len());
    lengths.eq([8, 4, 4, 4, 12]) && parts.iter().all(|part| part.iter().all(u8::is_ascii_hexdigit))
}

/// Returns true for a name in a path that is not a page of a documentation: it goes on, or is not plain letters.
fn is_name_in_path(text: &[u8], word: &Range<usize>) -> bool {
    let name = &text[word.clone()];
    let is_plain = name.iter().all(u8::is_ascii_lowercase);
    let is_public = PUBLIC.iter().any(|public| public.as_bytes() == name);
    !is_public && (!is_plain || text.get(word.end) == Some(&b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        String::from_utf8(masked(Bytes::from(text.to_owned())).to_vec()).unwrap()
    }

    #[test]
    fn accounts_in_the_messages_of_providers_are_masked() {
        for (text, account) in [
            (
                "Rate limit reached for gpt-4o in organization org-Ab12Cd34Ef56Gh78Ij90Kl12 on tokens",
                "org-Ab12Cd34Ef56Gh78Ij90Kl12",
            ),
            (
                "Rate limit reached for model `llama` in organization `org_01hqed9z3fexcrn` service tier",
                "org_01hqed9z3fexcrn",
            ),
            ("Project `proj_Xy12Zw34Vu56` does not have access to model `gpt-4o`", "proj_Xy12Zw34Vu56"),
            (
                r#"{"error":{"message":"limited","metadata":{}},"user_id":"user_2aBcDeFgHiJkLmNo"}"#,
                "user_2aBcDeFgHiJkLmNo",
            ),
            (
                "limit of your organization (org: 8c6a2d3e-1234-4f5a-9b8c-0123456789ab)",
                "8c6a2d3e-1234-4f5a-9b8c-0123456789ab",
            ),
            (
                r#"{"error":"{\"organization_id\":\"8c6a2d3e-1234-4f5a-9b8c-0123456789ab\"}"}"#,
                "8c6a2d3e-1234-4f5a-9b8c-0123456789ab",
            ),
            (
                "or your team 8c6a2d3e-1234-4f5a-9b8c-0123456789ab does not have access to it",
                "8c6a2d3e-1234-4f5a-9b8c-0123456789ab",
            ),
            (
                "The subscription '8c6a2d3e-1234-4f5a-9b8c-0123456789ab' is disabled",
                "8c6a2d3e-1234-4f5a-9b8c-0123456789ab",
            ),
            ("Quota exceeded for consumer 'project_number:123456789012'.", "123456789012"),
            ("API has not been used in project 7654321 before", "7654321"),
            ("Permission denied on resource project my-project-4711.", "my-project-4711"),
            ("resource '//aiplatform/projects/acme/locations/us-central1/models/x'", "acme"),
            ("User: arn:aws:sts::123456789012:assumed-role/x is not authorized", "123456789012"),
            ("/subscriptions/8c6a2d3e-1234-4f5a-9b8c-0123456789ab/x", "8c6a2d3e-1234-4f5a-9b8c-0123456789ab"),
            (r"in organization\norg-Ab12Cd34Ef56 on", "org-Ab12Cd34Ef56"),
            (r"in organization \u0060org-Ab12Cd34Ef56\u0060 on", "org-Ab12Cd34Ef56"),
        ] {
            assert_eq!(shown(text), text.replace(account, "[redacted]"));
        }
    }

    #[test]
    fn access_tokens_of_google_are_masked_with_all_their_parts() {
        for (text, expected) in [
            ("the token ya29.c.b0Aa-x_y is invalid", "the token ya29.[redacted].[redacted] is invalid"),
            ("Bearer ya29.abc, then. More", "Bearer ya29.[redacted], then. More"),
            ("ya29 is no token. It is a word", "ya29 is no token. It is a word"),
        ] {
            assert_eq!(shown(text), expected);
        }
    }

    #[test]
    fn errors_without_an_account_stay_as_they_are() {
        for text in [
            "",
            "This model's maximum context length is 8192 tokens, your messages have 123456789 tokens.",
            "You exceeded your current quota. See https://platform.openai.com/account/rate-limits.",
            "Your organization must be verified: https://platform.openai.com/settings/organization/general",
            "Model not found: accounts/fireworks/models/llama-v3p1-405b-instruct",
            "The project-wide limit of your organization is 40000 tokens per minute on gpt-4o-2024-08-06",
            "org-level and user-generated content of the user-agent Mozilla5",
            r#"{"error":{"message":"no","type":"x","code":"1261"},"request_id":"8c6a2d3e-1234-4f5a-9b8c-0123456789ab"}"#,
            "https://example.com/docs/projects/overview",
        ] {
            let bytes = Bytes::from(text.to_owned());
            assert_eq!(masked(bytes.clone()).as_ptr(), bytes.as_ptr(), "{text}");
        }
    }
}
