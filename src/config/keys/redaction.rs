//! Redaction of the keys and values of the file in messages.
//!
//! The rule is an allow-list: a value is shown only if its key is a known setting that holds no secret. A misspelled
//! key, which is what many messages are about, therefore never reveals its value.

/// The keys and values that may be shown below a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum Visibility {
    /// Values of known settings, but not a scalar in place of a section.
    Section,
    /// Values of known settings.
    Settings,
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
            _ if key.contains("headers") || key == "environment_variables" || is_secret(key) => Self::Nothing,
            Self::All => Self::All,
            Self::Section | Self::Settings if !super::is_known(key) => Self::Nothing,
            Self::Section | Self::Settings if names => Self::All,
            _ if ["litellm_params", "model_info"].contains(&key) || super::SECTIONS.contains(&key) => {
                Self::Section
            }
            Self::Section | Self::Settings => Self::Settings,
        }
    }
}

/// Returns true if the name of the key suggests that its value is a secret.
pub(in crate::config) fn is_secret(key: &str) -> bool {
    let tokens = key.ends_with("tokens") || key.contains("per_token") || key.starts_with("token_");
    let harmless = tokens || key == "prompt_cache_key" || key == "litellm_key_header_name";
    let words = ["key", "token", "secret", "password", "passwd", "credential", "auth", "cookie", "_url"];
    !harmless && key != "base_url" && words.iter().any(|word| key.to_lowercase().contains(word))
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
        Visibility::All => !written.contains('\n'),
    };
    // A URL may contain a password or a signature; a line may have run into the next.
    let url = written.contains("://") && written.contains(['@', '?']);
    let line =
        written.trim_matches(['"', '\'']).contains([' ', '\t', ':', '=', '"', '\'']) && is_secret(written);
    harmless && !url && !line && !looks_secret(written)
}

/// Returns true if a key may be shown. By mistake, a secret may have become a key or a part of one. Among secret
/// values, only a key that looks like a variable or a common header is shown; elsewhere a key with a blank is hidden.
pub(in crate::config) fn is_visible_key(name: &str, shown: Visibility) -> bool {
    let common = ["x-", "content-", "openai-", "user-agent"]
        .iter()
        .any(|start| name.to_lowercase().starts_with(start));
    let word = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let plain = !name.contains(|c: char| c.is_whitespace() || "\"'".contains(c));
    let shape = match shown {
        Visibility::Nothing => common || word,
        Visibility::Section | Visibility::Settings => plain,
        // The name of a group may contain a blank.
        Visibility::All => true,
    };
    shape && is_visible(name, Visibility::All)
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
    SIGNS.iter().any(|sign| {
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
        assert!(below("rpm") && below("api_base") && below("routing_strategy"));
        assert!(!below("model_list") && !below("litellm_params"));
        assert!(!below("api_key") && !below("api_ky") && !below("extra_headers") && !below("master_key"));
    }

    #[test]
    fn a_diagnostic_never_shows_a_word_that_looks_like_a_key() {
        assert!(!is_visible("x sk-canary-123456", Visibility::All));
        assert!(!is_visible("https://user:tr0ub@host", Visibility::Settings));
        assert!(is_visible("task-force-one", Visibility::All));
        assert_eq!(redact("Bearer abcdefgh"), "***");
    }
}
