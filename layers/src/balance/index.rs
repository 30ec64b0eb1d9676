//! Who has room first, among thousands: [`Index`].

/// For each of many, from when it may have room; finds one that may in O(log n).
///
/// A tournament: each inner node holds the earliest of the two below it.
#[derive(Debug)]
pub(super) struct Index {
    leaves: usize,
    len: usize,
    /// How many are benched.
    ill: usize,
    nodes: Vec<Key>,
}

/// A time in milliseconds, and whether what begins then is only a return from a bench.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) at: u64,
    pub(super) ill: bool,
}

impl Key {
    pub(super) const NOW: Self = Self { at: 0, ill: false };
    const NEVER: Self = Self { at: u64::MAX, ill: true };
}

impl Index {
    /// All of `len` may have room now.
    pub(super) fn new(len: usize) -> Self {
        let leaves = len.next_power_of_two();
        let mut nodes = vec![Key::NOW; 2 * leaves];
        for leaf in len..leaves {
            nodes[leaves + leaf] = Key::NEVER;
        }
        for node in (1..leaves).rev() {
            nodes[node] = nodes[2 * node].min(nodes[2 * node + 1]);
        }
        Self { leaves, len, ill: 0, nodes }
    }

    pub(super) fn set(&mut self, which: usize, key: Key) {
        let mut node = self.leaves + which;
        self.ill = self.ill + usize::from(key.ill) - usize::from(self.nodes[node].ill);
        self.nodes[node] = key;
        while node > 1 {
            node /= 2;
            let earliest = self.nodes[2 * node].min(self.nodes[2 * node + 1]);
            if self.nodes[node] == earliest {
                return;
            }
            self.nodes[node] = earliest;
        }
    }

    /// The earliest of all.
    pub(super) fn first(&self) -> Key {
        self.nodes[1]
    }

    /// The first at `from` or behind it that may have room at `now`.
    pub(super) fn next(&self, from: usize, now: u64) -> Option<usize> {
        if from >= self.len {
            return None;
        }
        let mut node = self.leaves + from;
        // Up, until something to the right is due; then down to the leftmost of it.
        while self.nodes[node].at > now {
            while node % 2 == 1 {
                node /= 2;
            }
            if node == 0 {
                return None;
            }
            node += 1;
        }
        while node < self.leaves {
            node *= 2;
            if self.nodes[node].at > now {
                node += 1;
            }
        }
        Some(node - self.leaves)
    }

    /// How many may have room by then; counts no further than `enough`, and allocates nothing.
    pub(super) fn due(&self, by: u64, enough: usize) -> usize {
        self.due_below(1, by, enough)
    }

    fn due_below(&self, node: usize, by: u64, enough: usize) -> usize {
        if enough == 0 || self.nodes[node].at > by {
            return 0;
        }
        if node >= self.leaves {
            return 1;
        }
        let left = self.due_below(2 * node, by, enough);
        left + self.due_below(2 * node + 1, by, enough - left)
    }

    /// The one that was benched and returns first.
    pub(super) fn least_ill(&self) -> Option<usize> {
        if self.ill == 0 {
            return None;
        }
        let ill = self.keys().iter().enumerate().filter(|(_, key)| key.ill);
        ill.min_by_key(|(_, key)| key.at).map(|(which, _)| which)
    }

    pub(super) fn keys(&self) -> &[Key] {
        &self.nodes[self.leaves..self.leaves + self.len]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn finds_what_a_walk_would_find(
            keys in prop::collection::vec(0_u64..20, 1..70),
            from in 0_usize..80,
            now in 0_u64..20,
        ) {
            let mut index = Index::new(keys.len());
            for (which, at) in keys.iter().enumerate() {
                index.set(which, Key { at: *at, ill: false });
            }
            let walked = (from..keys.len()).find(|which| keys[*which] <= now);
            prop_assert_eq!(index.next(from, now), walked);
            prop_assert_eq!(Some(index.first().at), keys.iter().min().copied());
            let due = keys.iter().filter(|at| **at <= now).count();
            prop_assert_eq!((index.due(now, from), index.due(now, usize::MAX)), (due.min(from), due));
        }
    }
}
