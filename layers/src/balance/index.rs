//! Who has room first, among thousands: [`Index`].

use super::{calendar::Calendar, room::FEW};

/// For each of many, from when it may have room; finds one that may in O(log n).
///
/// What it says may be too early, and never too late: whoever is found is asked, and noted anew if it has none.
///
/// A tournament: each inner node holds the best of the two below it. Times are nanoseconds since the group began.
#[derive(Debug)]
pub(super) struct Index {
    leaves: usize,
    len: usize,
    nodes: Vec<Node>,
    calendar: Calendar,
}

/// From when one may have room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) at: u64,
    /// A call that costs less than this may find some before; zero: none may.
    pub(super) below: u64,
    /// What begins then is only a return from a bench: it may be called before, if there is no better one.
    pub(super) ill: bool,
}

/// The earliest return of one that is full, that of one that is benched, and the largest `below`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Node {
    well: u64,
    ill: u64,
    below: u64,
}

/// Those that may have room by some time.
#[derive(Debug)]
pub(super) struct Due {
    /// How many, each counted once, and a little late.
    pub(super) count: u64,
    /// A few of them; all, where they are few; none, where so many were enough.
    some: [Option<usize>; FEW],
}

impl Due {
    /// What it comes to for all of them, if the others are like those few.
    pub(super) fn of_all(&self, amount: impl Fn(usize) -> u64) -> u64 {
        let (mut sum, mut asked) = (0_u64, 0);
        for which in self.some.into_iter().flatten() {
            sum = sum.saturating_add(amount(which));
            asked += 1;
        }
        // There may be more than were counted: some for whom this call is cheap enough.
        sum.saturating_mul(self.count.max(asked)) / asked.max(1)
    }
}

impl Key {
    pub(super) const NOW: Self = Self { at: 0, below: 0, ill: false };
}

impl Node {
    const NEVER: Self = Self { well: u64::MAX, ill: u64::MAX, below: 0 };

    const fn of(key: Key) -> Self {
        let Key { at, below, ill } = key;
        if ill { Self { well: u64::MAX, ill: at, below } } else { Self { well: at, ill: u64::MAX, below } }
    }

    fn best(self, other: Self) -> Self {
        Self {
            well: self.well.min(other.well),
            ill: self.ill.min(other.ill),
            below: self.below.max(other.below),
        }
    }

    fn may_have_room(&self, now: u64, cost: u64) -> bool {
        self.well.min(self.ill) <= now || cost < self.below
    }
}

impl Index {
    /// All of `len` may have room now.
    pub(super) fn new(len: usize) -> Self {
        let leaves = len.next_power_of_two();
        let mut nodes = vec![Node::of(Key::NOW); 2 * leaves];
        nodes[leaves + len..].fill(Node::NEVER);
        for node in (1..leaves).rev() {
            nodes[node] = nodes[2 * node].best(nodes[2 * node + 1]);
        }
        Self { leaves, len, nodes, calendar: Calendar::new(len) }
    }

    pub(super) fn key(&self, which: usize) -> Key {
        let Node { well, ill, below } = self.nodes[self.leaves + which];
        Key { at: well.min(ill), below, ill: ill < well }
    }

    pub(super) fn set(&mut self, which: usize, key: Key) {
        let mut node = self.leaves + which;
        self.nodes[node] = Node::of(key);
        self.calendar.file(which, key.at);
        while node > 1 {
            node /= 2;
            let best = self.nodes[2 * node].best(self.nodes[2 * node + 1]);
            if self.nodes[node] == best {
                return;
            }
            self.nodes[node] = best;
        }
    }

    /// Whether this one may have room at `now` for a call of this cost.
    pub(super) fn may_have_room(&self, which: usize, now: u64, cost: u64) -> bool {
        self.nodes[self.leaves + which].may_have_room(now, cost)
    }

    /// The first at `from` or behind it that may have room at `now` for a call of this cost.
    pub(super) fn next(&self, from: usize, now: u64, cost: u64) -> Option<usize> {
        if from >= self.len {
            return None;
        }
        let mut node = self.leaves + from;
        // Up, until something to the right may; then down to the leftmost of it.
        while !self.nodes[node].may_have_room(now, cost) {
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
            if !self.nodes[node].may_have_room(now, cost) {
                node += 1;
            }
        }
        Some(node - self.leaves)
    }

    /// When the first of those has room that are full at `now`.
    pub(super) fn first_after(&self, now: u64) -> Option<u64> {
        let first = self.least(1, (&|node| node.well, &|_, at| at > now), None);
        first.map(|(at, _)| at)
    }

    /// The one that returns first, of those that are benched and `fit`.
    pub(super) fn least_ill(&self, fit: impl Fn(usize) -> bool) -> Option<usize> {
        let least = self.least(1, (&|node| node.ill, &|which, _| fit(which)), None);
        least.map(|(_, which)| which)
    }

    /// Those that may have room by then for a call of this cost; which they are, unless so many are `enough`.
    pub(super) fn due(&mut self, (now, by): (u64, u64), (cost, enough): (u64, u64)) -> Due {
        self.turn(now);
        let walk = || (0..self.len).filter(|which| self.key(*which).at <= by).count();
        let count = self.calendar.due(by).unwrap_or_else(walk);
        let some = if count as u64 >= enough { [None; FEW] } else { self.some((by, cost), count) };
        Due { count: count as u64, some }
    }

    /// Whether all may have room at `now`, for all that it knows: it says no more than a new one. A little late.
    pub(super) fn is_blank(&mut self, now: u64) -> bool {
        self.turn(now);
        self.calendar.is_past()
    }

    /// Turns the calendar to this time.
    fn turn(&mut self, now: u64) {
        if self.calendar.turn(now) {
            for which in 0..self.len {
                if self.calendar.is_far(which) {
                    self.calendar.file(which, self.key(which).at);
                }
            }
        }
    }

    /// A few of those, spread over all of them where there are many.
    fn some(&self, (by, cost): (u64, u64), count: usize) -> [Option<usize>; FEW] {
        let step = self.len / FEW;
        let mut behind = 0;
        std::array::from_fn(|nth| {
            // Out of step, since endpoints are often listed in turns.
            let apart = if count > FEW { nth * step + nth % step.max(1) } else { 0 };
            let which = self.next(behind.max(apart), by, cost).or_else(|| self.next(behind, by, cost))?;
            behind = which + 1;
            Some(which)
        })
    }

    /// The least below `node` that fits, unless another is known that is no later. Those that do not fit must be few.
    fn least(
        &self,
        node: usize,
        (time, fits): (&impl Fn(&Node) -> u64, &impl Fn(usize, u64) -> bool),
        known: Option<(u64, usize)>,
    ) -> Option<(u64, usize)> {
        let at = time(&self.nodes[node]);
        if at == u64::MAX || known.is_some_and(|(known, _)| known <= at) {
            return known;
        }
        if node >= self.leaves {
            let which = node - self.leaves;
            return if fits(which, at) { Some((at, which)) } else { known };
        }
        // The earlier side first: then the other is mostly not looked at.
        let left = time(&self.nodes[2 * node]) <= time(&self.nodes[2 * node + 1]);
        let [first, second] = if left { [2 * node, 2 * node + 1] } else { [2 * node + 1, 2 * node] };
        let known = self.least(first, (time, fits), known);
        self.least(second, (time, fits), known)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> impl Strategy<Value = Key> {
        (0_u64..20, 0_u64..3, any::<bool>()).prop_map(|(at, below, ill)| Key { at, below, ill })
    }

    proptest! {
        #[test]
        fn finds_what_a_walk_would_find(
            keys in prop::collection::vec(key(), 1..70),
            from in 0_usize..80,
            now in 0_u64..20,
            cost in 0_u64..4,
        ) {
            let mut index = Index::new(keys.len());
            for (which, key) in keys.iter().enumerate() {
                index.set(which, *key);
                prop_assert_eq!(index.key(which), *key);
            }
            let may = |key: &Key| key.at <= now || cost < key.below;
            let walked = (from..keys.len()).find(|which| may(&keys[*which]));
            prop_assert_eq!(index.next(from, now, cost), walked);
            prop_assert!((0..keys.len()).all(|which| index.may_have_room(which, now, cost) == may(&keys[which])));
            let all = (0..keys.len()).filter(|which| may(&keys[*which])).count();
            let some: Vec<_> = index.due((0, now), (cost, u64::MAX)).some.into_iter().flatten().collect();
            prop_assert!(some.iter().all(|which| may(&keys[*which])) && some.is_sorted_by(|one, next| one < next));
            prop_assert!(some.len() == all.min(FEW) || some.len() >= FEW / 4, "{} of {all}", some.len());
            let well = keys.iter().filter(|key| !key.ill && key.at > now).map(|key| key.at);
            prop_assert_eq!(index.first_after(now), well.min());
            let odd = |which: usize| which % 2 == 1;
            let ill = (0..keys.len()).filter(|which| keys[*which].ill && odd(*which)).map(|which| keys[which].at);
            prop_assert_eq!(index.least_ill(odd).map(|which| keys[which].at), ill.min());
        }
    }
}
