//! A map of shared handles that drops the handles that nothing else uses: [`SharedMap`].

use std::{borrow::Borrow, collections::HashMap, hash::Hash, sync::Arc, time::Duration};

use tokio::time::Instant;
use tollgate_layers::{
    cooldown::EndpointHealth,
    quota::{Account, Meters},
};

/// A handle whose clones share one state.
pub(crate) trait Shared {
    /// Returns true if another clone exists.
    fn is_shared(&self) -> bool;
}

impl<T> Shared for Arc<T> {
    fn is_shared(&self) -> bool {
        Self::strong_count(self) > 1
    }
}

impl Shared for Meters {
    fn is_shared(&self) -> bool {
        Self::is_shared(self)
    }
}

impl Shared for Account {
    fn is_shared(&self) -> bool {
        Self::is_shared(self)
    }
}

impl Shared for (u64, EndpointHealth) {
    fn is_shared(&self) -> bool {
        self.1.is_shared()
    }
}

/// Handles by key. A handle that only the map holds is dropped after a grace, in which a new tree may use it again.
#[derive(Debug)]
pub(crate) struct SharedMap<K, V> {
    entries: HashMap<K, Entry<V>>,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    /// The time since which only the map holds the handle, as far as is known.
    unused_since: Option<Instant>,
}

impl<K, V> Default for SharedMap<K, V> {
    fn default() -> Self {
        Self { entries: HashMap::new() }
    }
}

impl<K: Eq + Hash, V: Shared + Clone> SharedMap<K, V> {
    /// Returns the handle with this key.
    pub(crate) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.entries.get(key).map(|entry| &entry.value)
    }

    /// Adds a handle, in place of one with the same key.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        self.entries.insert(key, Entry { value, unused_since: None });
    }

    /// Returns the handle with this key, after adding the one that `create` returns if there is none.
    pub(crate) fn get_or_insert_with(&mut self, key: K, create: impl FnOnce() -> V) -> V {
        let entry = || Entry { value: create(), unused_since: None };
        self.entries.entry(key).or_insert_with(entry).value.clone()
    }

    /// Returns a copy, in the order of the keys.
    pub(crate) fn to_vec(&self) -> Vec<(K, V)>
    where
        K: Clone + Ord,
    {
        let entries = self.entries.iter().map(|(key, entry)| (key.clone(), entry.value.clone()));
        let mut entries: Vec<_> = entries.collect();
        entries.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        entries
    }

    /// Drops the handles that only the map has held since `grace` before `now`.
    pub(crate) fn prune(&mut self, now: Instant, grace: Duration) {
        self.entries.retain(|_, entry| {
            if entry.value.is_shared() {
                entry.unused_since = None;
                return true;
            }
            now.saturating_duration_since(*entry.unused_since.get_or_insert(now)) < grace
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_shared_map_drops_a_handle_that_was_unused_for_the_whole_grace() {
        let (mut map, grace, start) = (SharedMap::default(), Duration::from_secs(300), Instant::now());
        let used = map.get_or_insert_with("used", || Arc::new(1));
        map.insert("unused", Arc::new(2));
        let mut again = None;
        map.insert("used again", Arc::new(3));
        for (after, left) in [(0, 3), (299, 3), (300, 2), (599, 2)] {
            map.prune(start + Duration::from_secs(after), grace);
            assert_eq!(map.to_vec().len(), left, "after {after} s");
            again = map.get("used again").cloned();
        }
        drop((used, again));
        map.prune(start + Duration::from_secs(600), Duration::ZERO);
        assert!(map.to_vec().is_empty());
    }
}
