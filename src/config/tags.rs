//! Tag routing: the deployments of a group that a request with tags may use.

use std::{collections::BTreeSet, sync::Arc};

/// The tag of the deployments for requests without a tag that the group knows.
const DEFAULT: &str = "default";

/// The tags of the deployments of a group, and the rules by which the tags of a request choose among them.
///
/// A tag `!x` of a request excludes the deployments with the tag x, `&x` requires it. Any other one must match. If none of
/// these is known in the group, or if there is none, the deployments with the tag `default` are used; without such a
/// deployment a request without tags may use all, and one with tags none.
///
/// ```
/// use tollgate::config::TagRules;
///
/// let deployments = [vec!["paid"], vec!["free", "eu"], vec!["default"]];
/// let rules = TagRules::new(true, "", deployments);
/// let admitted = |tags: &[&str]| (0..3).filter(|n| rules.admits(*n, tags)).collect::<Vec<_>>();
/// assert_eq!(admitted(&["free"]), [1]);
/// assert_eq!(admitted(&["free", "paid"]), [0, 1]);
/// assert_eq!(admitted(&[]), [2]);
/// assert_eq!(admitted(&["unknown"]), [2]);
/// assert_eq!(admitted(&["free", "!eu"]), [0; 0]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagRules {
    match_any: bool,
    prefix: Box<str>,
    deployments: Vec<BTreeSet<Arc<str>>>,
    known: BTreeSet<Arc<str>>,
}

impl TagRules {
    /// Creates the rules. With `match_any` one tag of a request must match, otherwise all. Of the tags of a request only
    /// those with the prefix count, without it.
    pub fn new<D, T>(match_any: bool, prefix: &str, deployments: impl IntoIterator<Item = D>) -> Self
    where
        D: IntoIterator<Item = T>,
        T: Into<Arc<str>>,
    {
        let deployments = deployments.into_iter().map(|tags| tags.into_iter().map(Into::into).collect());
        let deployments: Vec<BTreeSet<Arc<str>>> = deployments.collect();
        let known = deployments.iter().flatten().cloned().collect();
        Self { match_any, prefix: prefix.into(), deployments, known }
    }

    /// Returns true if a request with these tags may use the deployment at this index.
    pub fn admits<T: AsRef<str>>(&self, index: usize, tags: &[T]) -> bool {
        let Some(own) = self.deployments.get(index) else { return false };
        let routing = || self.routing(tags);
        if !is_candidate(own, routing()) {
            return false;
        }
        let (mut positive, mut matched, mut all, mut known) = (false, false, true, false);
        for tag in routing().filter(|tag| !tag.starts_with(['!', '&'])) {
            let matches = own.contains(tag);
            (positive, matched, all) = (true, matched || matches, all && matches);
            known = known || self.known.contains(tag);
        }
        match (positive, known) {
            (true, true) => all || (matched && self.match_any),
            (true, false) => own.contains(DEFAULT),
            (false, _) => own.contains(DEFAULT) || !self.has_default(routing),
        }
    }

    /// Returns true if a request with these tags may use any deployment.
    pub fn admits_any<T: AsRef<str>>(&self, tags: &[T]) -> bool {
        (0..self.deployments.len()).any(|index| self.admits(index, tags))
    }

    /// Returns the tags of a request that choose deployments.
    fn routing<'t, T: AsRef<str>>(&self, tags: &'t [T]) -> impl Iterator<Item = &'t str> + use<'t, '_, T> {
        tags.iter().filter_map(|tag| tag.as_ref().strip_prefix(&*self.prefix)).filter(|tag| !tag.is_empty())
    }

    /// Returns true if a deployment that the request does not exclude has the tag `default`.
    fn has_default<'t, I: Iterator<Item = &'t str>>(&self, routing: impl Fn() -> I) -> bool {
        self.known.contains(DEFAULT)
            && self.deployments.iter().any(|tags| tags.contains(DEFAULT) && is_candidate(tags, routing()))
    }
}

/// Returns true if a deployment has every tag that is required, and none that is excluded.
fn is_candidate<'t>(own: &BTreeSet<Arc<str>>, mut routing: impl Iterator<Item = &'t str>) -> bool {
    routing.all(|tag| match (tag.strip_prefix('!'), tag.strip_prefix('&')) {
        (Some(excluded), _) => !own.contains(excluded),
        (None, Some(required)) => required.is_empty() || own.contains(required),
        (None, None) => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(match_any: bool, prefix: &str, tags: &[&str]) -> Vec<usize> {
        let rules = TagRules::new(match_any, prefix, [vec!["a", "b"], vec!["b"], vec![], vec!["c"]]);
        let admitted: Vec<_> = (0..4).filter(|n| rules.admits(*n, tags)).collect();
        assert_eq!(rules.admits_any(tags), !admitted.is_empty());
        admitted
    }

    #[test]
    fn tags_choose_the_deployments_with_one_or_all_of_them() {
        let none: [usize; 0] = [];
        assert_eq!(admitted(true, "", &["b"]), [0, 1]);
        assert_eq!(admitted(true, "", &["a", "c"]), [0, 3]);
        assert_eq!(admitted(false, "", &["a", "b"]), [0]);
        assert_eq!(admitted(false, "", &["a", "c"]), none);
        assert_eq!(admitted(true, "", &["x"]), none);
        assert_eq!(admitted(true, "", &[]), [0, 1, 2, 3]);
        assert_eq!(admitted(true, "", &["!b"]), [2, 3]);
        assert_eq!(admitted(true, "", &["&b", "!a"]), [1]);
        assert_eq!(admitted(true, "", &["&x"]), none);
        assert_eq!(admitted(true, "route:", &["b", "route:c"]), [3]);
        assert_eq!(admitted(true, "route:", &["b"]), [0, 1, 2, 3]);
    }
}
