//! Wildcard names of groups: [`Pattern`], [`Patterns`].

use std::cmp::Reverse;

/// A name with one `*`, which matches one or more characters.
///
/// The whole name must match, whereas LiteLLM matches a prefix.
///
/// ```
/// use tollgate::config::Pattern;
///
/// let pattern = Pattern::parse("openai/*").expect("it has a star");
/// assert_eq!(pattern.capture("openai/gpt-4o"), Some("gpt-4o"));
/// assert_eq!(pattern.capture("azure/gpt-4o"), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    before: Box<str>,
    after: Box<str>,
}

impl Pattern {
    /// Parses a name as a pattern. Returns none if it contains no `*` or more than one.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let (before, after) = name.split_once('*').filter(|(_, after)| !after.contains('*'))?;
        Some(Self { before: before.into(), after: after.into() })
    }

    /// Returns the part of `name` that the `*` matches, or none if the name does not match.
    #[must_use]
    pub fn capture<'n>(&self, name: &'n str) -> Option<&'n str> {
        let captured = name.strip_prefix(&*self.before)?.strip_suffix(&*self.after)?;
        (!captured.is_empty()).then_some(captured)
    }

    /// Returns the pattern with `captured` in place of the `*`.
    #[must_use]
    pub fn fill(&self, captured: &str) -> String {
        [&self.before, captured, &self.after].concat()
    }

    /// Returns the number of literal bytes.
    const fn literal_len(&self) -> usize {
        self.before.len() + self.after.len()
    }
}

/// Patterns, each with a value. If several patterns match a name, the one with the most literal bytes is used; among
/// equals, the first.
#[derive(Clone, Debug)]
pub struct Patterns<T>(Vec<(Pattern, T)>);

impl<T> Patterns<T> {
    /// Returns true if there is no pattern.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the value of the most specific pattern that matches.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&T> {
        self.0.iter().find(|(pattern, _)| pattern.capture(name).is_some()).map(|(_, to)| to)
    }
}

impl<T> FromIterator<(Pattern, T)> for Patterns<T> {
    fn from_iter<I: IntoIterator<Item = (Pattern, T)>>(patterns: I) -> Self {
        let mut patterns: Vec<_> = patterns.into_iter().collect();
        patterns.sort_by_key(|(pattern, _)| Reverse(pattern.literal_len()));
        Self(patterns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_star_of_a_pattern_matches_at_least_one_character_of_a_whole_name() {
        let captured = |pattern, name| Pattern::parse(pattern).unwrap().capture(name).map(str::to_owned);
        assert_eq!(captured("*", "a/b").as_deref(), Some("a/b"));
        assert_eq!(captured("gpt-*-mini", "gpt-5-mini").as_deref(), Some("5"));
        for (pattern, name) in
            [("*", ""), ("a*", "a"), ("a*b", "ab"), ("a*", "ba"), ("*b", "bc"), ("aa*aa", "aaa")]
        {
            assert_eq!(captured(pattern, name), None, "{pattern} {name}");
        }
        assert_eq!(Pattern::parse("a-*").unwrap().fill("x"), "a-x");
        assert_eq!((Pattern::parse("plain"), Pattern::parse("a*b*")), (None, None));
    }

    #[test]
    fn the_most_specific_pattern_wins() {
        let names = ["*", "openai/*", "*-mini", "openai/gpt-*"];
        let patterns: Patterns<&str> =
            names.into_iter().filter_map(|name| Some((Pattern::parse(name)?, name))).collect();
        for (name, meant) in [
            ("x", "*"),
            ("openai/o3", "openai/*"),
            ("openai/gpt-5-mini", "openai/gpt-*"),
            ("o3-mini", "*-mini"),
        ] {
            assert_eq!(patterns.find(name), Some(&meant), "{name}");
        }
    }
}
