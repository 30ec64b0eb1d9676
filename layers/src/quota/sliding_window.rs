//! A sliding window of recent charges: [`SlidingWindow`].

use crate::ledger::AGES;

/// The number of slots. A slot takes six bytes, a window 1.5 KB.
pub(super) const SLOTS: usize = 256;

/// Amounts with the times of their admission, over the last `span` milliseconds.
///
/// A slot holds the amounts of one `grain` of time and expires with the *last* of them: an amount expires up to one
/// grain (0.4 % of the span) too late, never too early. A limit that fits the slots needs no grain: each slot
/// is then one exact millisecond.
///
/// Times are milliseconds since the meter began. A slot stores the low 16 bits of its time, which wrap after 65 s: no slot
/// is older than the span when an amount is added, so the high bits are known.
#[derive(Debug)]
pub(super) struct SlidingWindow {
    span: u64,
    sum: u64,
    /// The times of the first and of the last amount in the newest slot.
    slot_started: u64,
    newest: u64,
    /// The time of the last amount in the newest expired slot.
    expired: u64,
    first: usize,
    len: usize,
    // Both are empty until the first amount: of thousands of endpoints many are never called.
    at: Vec<u16>,
    amount: Vec<u32>,
}

impl SlidingWindow {
    /// Returns an empty window of `span` milliseconds.
    pub(super) const fn new(span: u64) -> Self {
        Self {
            span,
            sum: 0,
            slot_started: 0,
            newest: 0,
            expired: 0,
            first: 0,
            len: 0,
            at: Vec::new(),
            amount: Vec::new(),
        }
    }

    /// Returns a shorter window with the amounts of `other` that are younger than `span`.
    pub(super) fn from_longer(other: &Self, span: u64, now: u64) -> Self {
        let mut shorter = Self::new(span);
        shorter.expired = other.expired;
        for (at, amount) in other.slots() {
            if at + span > now {
                shorter.add(at, amount, 0);
            } else {
                shorter.expired = at;
            }
        }
        shorter
    }

    /// Returns the sum of the amounts.
    pub(super) const fn sum(&self) -> u64 {
        self.sum
    }

    /// Removes the slots that have expired by `now`. Calls `on_expire` for each slot with its time of expiry and the sum
    /// before it.
    pub(super) fn expire(&mut self, now: u64, mut on_expire: impl FnMut(u64, u64)) {
        while self.len > 0 {
            let expires = self.time(self.first) + self.span;
            if expires > now {
                return;
            }
            on_expire(expires, self.sum);
            self.expired = expires - self.span;
            self.sum -= u64::from(self.amount[self.first]);
            self.first = (self.first + 1) % SLOTS;
            self.len -= 1;
        }
    }

    /// Adds `amount` at `at`, to the newest slot if that began less than `grain` ago. Returns the time of the entry.
    ///
    /// [`SlidingWindow::expire`] must have been called for `at`.
    pub(super) fn add(&mut self, at: u64, amount: u32, grain: u64) -> u64 {
        if self.at.is_empty() {
            (self.at, self.amount) = (vec![0; SLOTS], vec![0; SLOTS]);
        }
        let at = at.max(self.newest);
        // Refunded calls must not use up the slots. A later correction of such a call finds the next slot.
        while self.len > 0 && self.amount[self.last()] == 0 {
            self.len -= 1;
            self.slot_started = 0;
        }
        let last = self.last();
        let same = self.len > 0 && (at == self.time(last) || at < self.slot_started + grain);
        let fits = || self.amount[last].checked_add(amount);
        if let (true, Some(sum)) = (same || self.len == SLOTS, fits()) {
            self.amount[last] = sum;
            self.at[last] = low(at);
        } else if self.len < SLOTS {
            let next = (self.first + self.len) % SLOTS;
            (self.at[next], self.amount[next]) = (low(at), amount);
            self.len += 1;
            self.slot_started = at;
        } else {
            // More than 2^32 in one slot: no meter admits that much.
            return at;
        }
        self.newest = at;
        self.sum += u64::from(amount);
        at
    }

    /// Replaces the amount `was` that was added at `at` by `is`, unless it has expired.
    pub(super) fn correct(&mut self, at: u64, was: u64, is: u64) {
        if at <= self.expired {
            // The entry has expired.
            return;
        }
        let index = self.index(at);
        if index == self.len {
            return;
        }
        let slot = (self.first + index) % SLOTS;
        let amount = u64::from(self.amount[slot]);
        let corrected = u32::try_from(amount.saturating_add(is).saturating_sub(was)).unwrap_or(u32::MAX);
        self.sum = self.sum + u64::from(corrected) - amount;
        self.amount[slot] = corrected;
    }

    /// Returns the index of the newest slot, if there is one.
    const fn last(&self) -> usize {
        (self.first + self.len).wrapping_sub(1) % SLOTS
    }

    /// Returns the sum of the amounts added at `at` or later.
    pub(super) fn since(&self, at: u64) -> u64 {
        let slots = (self.index(at)..self.len).map(|index| (self.first + index) % SLOTS);
        slots.map(|slot| u64::from(self.amount[slot])).sum()
    }

    /// Returns the part of the sum that will not have expired at `at`.
    pub(super) fn sum_at(&self, at: u64) -> u64 {
        self.since((at + 1).saturating_sub(self.span))
    }

    /// Returns the time at which `amount` of the sum will have expired; `None` if the sum is smaller.
    pub(super) fn freed_at(&self, amount: u64) -> Option<u64> {
        let mut left = amount;
        self.slots().find_map(|(at, amount)| {
            left = left.saturating_sub(u64::from(amount));
            (left == 0).then_some(at + self.span)
        })
    }

    pub(super) const fn span(&self) -> u64 {
        self.span
    }

    /// Returns the amounts that expire in each twelfth of the span, from `now`.
    pub(super) fn ages(&self, now: u64) -> [u64; AGES] {
        let mut ages = [0; AGES];
        for (at, amount) in self.slots() {
            let left = (at + self.span).saturating_sub(now).max(1);
            let twelfth = (left * AGES as u64).div_ceil(self.span).clamp(1, AGES as u64);
            // In the range of the array by the clamp.
            ages[twelfth as usize - 1] += u64::from(amount);
        }
        ages
    }

    /// Returns the position of the slot that holds the amount added at `at`: the first with a last amount that is not earlier.
    fn index(&self, at: u64) -> usize {
        let (mut index, mut end) = (0, self.len);
        while index < end {
            let middle = usize::midpoint(index, end);
            if self.time((self.first + middle) % SLOTS) < at { index = middle + 1 } else { end = middle }
        }
        index
    }

    fn order(&self) -> impl Iterator<Item = usize> + use<> {
        let first = self.first;
        (0..self.len).map(move |i| (first + i) % SLOTS)
    }

    fn slots(&self) -> impl Iterator<Item = (u64, u32)> + '_ {
        self.order().map(|slot| (self.time(slot), self.amount[slot]))
    }

    fn time(&self, slot: usize) -> u64 {
        self.newest - u64::from(low(self.newest).wrapping_sub(self.at[slot]))
    }
}

/// Returns the low 16 bits of a time.
const fn low(at: u64) -> u16 {
    (at & 0xffff) as u16
}
