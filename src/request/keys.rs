//! The top-level keys of a request body: [`TopLevelKeys`].

use std::ops::Range;

/// The top-level keys of a body that are sent upstream, without escapes, in order, each with the range of its value.
///
/// All names share one string: a body has about six, and an allocation for each would cost more than parsing the body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TopLevelKeys {
    names: String,
    /// The range of each name in `names`, and the range of its value in the body.
    members: Vec<(Range<usize>, Range<usize>)>,
}

impl TopLevelKeys {
    /// Returns an empty list with capacity for `count` keys.
    pub(crate) fn with_capacity(count: usize) -> Self {
        // Few names are longer than `temperature` and `max_tokens`.
        Self { names: String::with_capacity(12 * count), members: Vec::with_capacity(count) }
    }

    /// Appends a key.
    pub(crate) fn push(&mut self, name: &str, value: Range<usize>) {
        let from = self.names.len();
        self.names.push_str(name);
        self.members.push((from..self.names.len(), value));
    }

    /// Returns each name with the range of its value. Names may repeat.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &Range<usize>)> {
        self.members.iter().map(|(name, value)| (&self.names[name.clone()], value))
    }

    /// Returns the range of the last value with this name, which is the one that counts.
    pub(crate) fn last(&self, name: &str) -> Option<&Range<usize>> {
        self.iter().rev().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// Returns true if there are no keys.
    pub(crate) const fn is_empty(&self) -> bool {
        self.members.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn top_level_keys_stay_separate_and_the_last_of_two_counts() {
        let mut keys = TopLevelKeys::with_capacity(1);
        for (name, value) in [("a", 1..2), ("", 3..4), ("ab", 5..6), ("a", 7..8)] {
            keys.push(name, value);
        }
        let names: Vec<_> = keys.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["a", "", "ab", "a"]);
        assert_eq!([keys.last("a"), keys.last(""), keys.last("b")], [Some(&(7..8)), Some(&(3..4)), None]);
    }
}
