//! Redaction of the keys and values of the file in messages.
//!
//! The rule is an allow-list: a value is shown only if its key is a known setting that holds no secret. A misspelled
//! key, which is what many messages are about, therefore never reveals its value.

use std::borrow::Cow;

/// The keys whose values are URLs of upstreams.
pub(in crate::config) const ADDRESSES: [&str; 3] = ["api_base", "base_url", super::BEDROCK_ENDPOINT];

/// The keys and values that may be shown below a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::config) enum Visibility {
    /// Values of known settings, but not a scalar in place of a section.
    Section,
    /// Values of known settings.
    Settings,
    /// Addresses: a key that stands in place of one has no scheme.
    Address,
    /// Everything that does not look like a secret: the names of groups.
    All,
    /// No key and no value.
    Nothing,
}

impl Visibility {
    /// Returns what may be shown below `key`.
    pub(in crate::config) fn below(self, key: &str) -> Self {
        let names = ["fallbacks", "model_group_alias", "_policy"].iter().any(|end| key.ends_with(end));
        match self {
            Self::Nothing => Self::Nothing,
            // A section of its own: a key that stands where an entry is expected is not shown.
            Self::Section if key == "keys" => Self::Section,
            _ if key.contains("headers") || key == "environment_variables" || is_secret(key) => Self::Nothing,
            Self::All => Self::All,
            Self::Section | Self::Settings if !super::is_known(key) => Self::Nothing,
            Self::Section | Self::Settings if ADDRESSES.contains(&key) => Self::Address,
            Self::Section | Self::Settings if names => Self::All,
            // The value of each is a section; that of `include` is a list of files.
            _ if ["litellm_params", "model_info"].contains(&key)
                || super::SECTIONS.contains(&key) && key != "include" =>
            {
                Self::Section
            }
            Self::Section | Self::Settings | Self::Address => Self::Settings,
        }
    }
}

/// Returns true if the name of the key suggests that its value is a secret.
pub(in crate::config) fn is_secret(key: &str) -> bool {
    let tokens = key.ends_with("tokens") || key.contains("per_token") || key.starts_with("token_");
    let harmless = tokens || key == "prompt_cache_key" || key == "litellm_key_header_name";
    let words = ["key", "token", "secret", "password", "passwd", "credential", "auth", "cookie", "_url"];
    !harmless && key != "base_url" && has_any(&key.to_lowercase(), &words)
}

/// Returns true if a text contains one of some words: for a short text this is faster than a search for each word.
fn has_any(text: &str, words: &[&str]) -> bool {
    let begins = |at: usize, first: u8, word: &str| {
        word.as_bytes().first() == Some(&first) && text.as_bytes()[at..].starts_with(word.as_bytes())
    };
    text.bytes().enumerate().any(|(at, first)| words.iter().any(|word| begins(at, first, word)))
}

/// Returns true if a scalar may be shown. `written` is its text in the file.
pub(in crate::config) fn is_visible(written: &str, shown: Visibility) -> bool {
    let variable = written.trim_matches(['"', '\'']).strip_prefix("os.environ/");
    if variable.is_some_and(|n| n.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')) {
        return true;
    }
    let harmless = match shown {
        Visibility::Nothing | Visibility::Section => false,
        // No setting with a diagnostic about its value contains a blank; a line with a missing colon does.
        Visibility::Settings => !written.contains(char::is_whitespace),
        Visibility::Address => {
            !written.contains(char::is_whitespace) && ["://", "${"].iter().any(|sign| written.contains(sign))
        }
        Visibility::All => !written.contains('\n'),
    };
    // A URL may contain a password or a signature; a line may have run into the next.
    let is_url = || written.contains("://") && written.contains(['@', '?']);
    let is_line =
        || written.trim_matches(['"', '\'']).contains([' ', '\t', ':', '=', '"', '\'']) && is_secret(written);
    harmless && !is_url() && !is_line() && !looks_secret(written)
}

/// Returns true if a key may be shown. By mistake, a secret may have become a key or a part of one. Among secret
/// values, only a key that looks like a variable or a common header is shown; elsewhere a key with a blank is hidden.
fn is_visible_key(name: &str, shown: Visibility) -> bool {
    let common = ["x-", "content-", "openai-", "user-agent"]
        .iter()
        .any(|start| name.to_lowercase().starts_with(start));
    let word = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let plain = !name.contains(|c: char| c.is_whitespace() || "\"'".contains(c));
    let shape = match shown {
        Visibility::Nothing => common || word,
        Visibility::Section | Visibility::Settings | Visibility::Address => plain,
        // The name of a group may contain a blank.
        Visibility::All => true,
    };
    shape && is_visible(name, Visibility::All)
}

/// Returns the key in the form for messages: `***` if it may not be shown, its first four letters if it is not known and
/// looks like a secret rather than a word.
pub(in crate::config) fn shown_key(name: &str, shown: Visibility) -> Cow<'_, str> {
    match name {
        _ if super::is_known(name) => name.into(),
        _ if !is_visible_key(name, shown) => "***".into(),
        _ if is_opaque(name, shown) => (name.chars().take(4).collect::<String>() + "***").into(),
        _ => name.into(),
    }
}

/// Returns a name of the file, or a part of an address, in the form for output.
pub(crate) fn shown_name(name: &str) -> Cow<'_, str> {
    shown_key(name, Visibility::All)
}

/// The length from which a name may be a secret, in characters.
const SECRET_LENGTH: usize = 20;

/// Returns true if the name has the length of a secret, and letters and digits in an order that words do not have. The
/// name of a group may be any word, so that only a part without a separator counts.
fn is_opaque(name: &str, shown: Visibility) -> bool {
    let mixed =
        |text: &str| text.contains(char::is_alphabetic) && text.contains(|c: char| c.is_ascii_digit());
    let is_long = |text: &str| text.chars().count() >= SECRET_LENGTH && mixed(text);
    let mut parts = name.split(|c: char| !c.is_alphanumeric());
    parts.clone().any(is_long) || (shown != Visibility::All && is_long(name) && !parts.all(is_word))
}

/// Returns true for letters with a short number before or after them, or a number such as a date.
fn is_word(part: &str) -> bool {
    let letters = part.trim_matches(|c: char| c.is_ascii_digit());
    let (before, after) = part.split_once(letters).unwrap_or_default();
    let number = |digits: &str, limit| digits.len() <= limit;
    match letters.chars().count() {
        0 => number(part, 8),
        1..=3 => number(before, 4) && number(after, 4) && (before.is_empty() || after.is_empty()),
        _ => before.is_empty() && number(after, 4) && letters.chars().all(char::is_alphabetic),
    }
}

/// Returns the word, or `***` if it looks like a secret.
pub(in crate::config) fn redact(word: &str) -> &str {
    if is_visible(word, Visibility::All) { word } else { "***" }
}

/// Returns true if the text contains something that looks like a credential.
fn looks_secret(text: &str) -> bool {
    const SIGNS: [&str; 12] =
        ["sk-", "pk-", "hf_", "gsk_", "xai-", "ghp_", "nvapi-", "akia", "eyj", "bearer ", "basic ", "aiza"];
    let text = text.to_lowercase();
    has_any(&text, &SIGNS)
        && SIGNS.iter().any(|sign| {
            text.match_indices(sign).any(|(at, _)| {
                let before = text[..at].chars().next_back();
                let long =
                    text[at + sign.len()..].chars().take_while(|c| c.is_alphanumeric() || "-_".contains(*c));
                before.is_none_or(|c| !c.is_alphanumeric()) && long.count() >= 6
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diagnostic_shows_a_value_only_below_a_known_key() {
        let below = |key| is_visible("tr0ub4dor", Visibility::Settings.below(key));
        assert!(below("rpm") && below("routing_strategy") && !below("api_base"));
        assert!(is_visible("https://host/v1", Visibility::Settings.below("api_base")));
        assert!(!below("model_list") && !below("litellm_params"));
        assert!(!below("api_key") && !below("api_ky") && !below("extra_headers") && !below("master_key"));
    }

    #[test]
    fn a_key_that_looks_like_no_word_is_shown_by_its_first_four_letters() {
        let settings = |name| shown_key(name, Visibility::Settings).into_owned();
        for name in [
            "AbCd1234EfGh5678IjKl",
            "Zm9vYmFyYmF6cXV4MTIzNDU2",
            "a1b2-c3d4e5-f6g7-h8i9j0",
            "550e8400-e29b-41d4-a716-446655440000",
            "abcdefghijklmnopqrstuvwxyz1",
            "0123456789abcdef0123456789abcdef",
            "xoxb_12ab34cd56ef78ab90",
        ] {
            assert_eq!(settings(name), format!("{}***", &name[..4]));
        }
        for name in [
            "cache_creation_input_token_cost_above_1hr",
            "use_http2_prior_knowledge",
            "my_very_long_setting_without_digits",
            "claude-3-5-sonnet-20241022-v2",
            "llama-3.1-70b-instruct-q4_K_M",
            "short1",
        ] {
            assert_eq!(settings(name), name);
        }
        let group = |name| shown_key(name, Visibility::All).into_owned();
        assert_eq!(group("mixtral-8x7b-instruct-v0.1"), "mixtral-8x7b-instruct-v0.1");
        assert_eq!(group("AbCd1234EfGh5678IjKl"), "AbCd***");
        assert_eq!(group("sk-canary-123456"), "***");
    }

    #[test]
    fn a_diagnostic_never_shows_a_word_that_looks_like_a_key() {
        assert!(!is_visible("x sk-canary-123456", Visibility::All));
        assert!(!is_visible("https://user:tr0ub@host", Visibility::Settings));
        assert!(is_visible("task-force-one", Visibility::All));
        assert_eq!(redact("Bearer abcdefgh"), "***");
    }
}
