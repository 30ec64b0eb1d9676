//! The names of tools, which Anthropic restricts to `[a-zA-Z0-9_-]{1,128}` and Bedrock to half as many characters: [`Names`].

/// The names of tools that were changed in a request, for its response.
#[derive(Debug)]
pub(in crate::dialect) struct Names {
    /// The longest name, in characters.
    longest: usize,
    /// The name that was sent, and the client's.
    changed: Vec<(String, String)>,
}

impl Default for Names {
    fn default() -> Self {
        Self::up_to(128)
    }
}

impl Names {
    /// Creates an empty table for names of at most `longest` characters.
    pub(in crate::dialect) const fn up_to(longest: usize) -> Self {
        Self { longest, changed: Vec::new() }
    }

    /// Returns the name to send for the client's name.
    pub(in crate::dialect) fn sent(&mut self, name: &str) -> String {
        let valid = identifier(name, self.longest);
        if valid == name {
            return valid;
        }
        if let Some((sent, _)) = self.changed.iter().find(|(_, original)| original == name) {
            return sent.clone();
        }
        let is_taken = |name: &String| self.changed.iter().any(|(sent, _)| sent == name);
        let numbered = (2..).map(|n| format!("{}_{n}", &valid[..valid.len().min(self.longest - 8)]));
        let sent =
            std::iter::once(valid.clone()).chain(numbered).find(|name| !is_taken(name)).unwrap_or(valid);
        self.changed.push((sent.clone(), name.to_owned()));
        sent
    }

    /// Returns the client's name for a name that was sent.
    pub(in crate::dialect) fn original<'n>(&'n self, sent: &'n str) -> &'n str {
        self.changed.iter().find(|(name, _)| name == sent).map_or(sent, |(_, original)| original)
    }
}

/// Returns an identifier of at most `longest` characters, with each character that is not allowed replaced.
pub(in crate::dialect) fn identifier(text: &str, longest: usize) -> String {
    let is_valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    text.chars().take(longest).map(|c| if is_valid(c) { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_tools_are_valid_distinct_and_found_again() {
        let mut names = Names::default();
        let sent = ["a.b", "a/b", "ok", "a.b", &"é".repeat(200)].map(|name| names.sent(name));
        assert_eq!(sent[..4], ["a_b", "a_b_2", "ok", "a_b"]);
        assert_eq!(sent[4].len(), 128);
        assert_eq!(["a_b", "a_b_2", "ok"].map(|name| names.original(name)), ["a.b", "a/b", "ok"]);
    }
}
