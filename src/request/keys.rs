//! The keys of a body: [`TopLevelKeys`].

use std::ops::Range;

/// The top-level keys of a body that go upstream, unescaped, in order, each with the range of its value.
///
/// All names lie in one string: a body has half a dozen, and an allocation for each would cost more than reading it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TopLevelKeys {
    names: String,
    /// Where the name stands among the names, and its value in the body.
    members: Vec<(Range<usize>, Range<usize>)>,
}

impl TopLevelKeys {
    /// No key, and room for so many.
    pub(crate) fn with_capacity(count: usize) -> Self {
        // Few names are longer than `temperature` and `max_tokens`.
        Self { names: String::with_capacity(12 * count), members: Vec::with_capacity(count) }
    }

    /// The next key.
    pub(crate) fn push(&mut self, name: &str, value: Range<usize>) {
        let from = self.names.len();
        self.names.push_str(name);
        self.members.push((from..self.names.len(), value));
    }

    /// Each name with the range of its value. A name may stand twice.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &Range<usize>)> {
        self.members.iter().map(|(name, value)| (&self.names[name.clone()], value))
    }

    /// The value that counts where a name stands twice: the last.
    pub(crate) fn last(&self, name: &str) -> Option<&Range<usize>> {
        self.iter().rev().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// Whether there are none.
    pub(crate) const fn is_empty(&self) -> bool {
        self.members.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_apart_and_the_last_of_two_counts() {
        let mut keys = TopLevelKeys::with_capacity(1);
        for (name, value) in [("a", 1..2), ("", 3..4), ("ab", 5..6), ("a", 7..8)] {
            keys.push(name, value);
        }
        let names: Vec<_> = keys.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["a", "", "ab", "a"]);
        assert_eq!([keys.last("a"), keys.last(""), keys.last("b")], [Some(&(7..8)), Some(&(3..4)), None]);
    }
}
