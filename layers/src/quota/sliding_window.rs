//! What was admitted lately: [`SlidingWindow`].

/// How many slots a log has: of six bytes each, so that a log is one and a half kilobytes.
pub(super) const SLOTS: usize = 256;

/// Amounts and when they were admitted, as far back as a span of time.
///
/// A slot holds all that was admitted within one `grain` and leaves when the *last* of it does: a log forgets up to
/// one grain (0.4 % of the span) too late, never too early. A limit that fits the slots needs no grain: each slot
/// is then one exact millisecond.
///
/// Times are milliseconds since the meter began. A slot keeps the low quarter of its time, which goes round in 65 s: what
/// is kept when something is added is no older than the span, so the rest is known.
#[derive(Debug)]
pub(super) struct SlidingWindow {
    span: u64,
    sum: u64,
    /// When the newest slot was opened, and when it was last added to.
    slot_started: u64,
    newest: u64,
    /// When the newest of those that have left was last added to.
    expired: u64,
    first: usize,
    len: usize,
    at: [u16; SLOTS],
    amount: [u32; SLOTS],
}

impl SlidingWindow {
    /// An empty log, as far back as `span` milliseconds.
    pub(super) const fn new(span: u64) -> Self {
        Self {
            span,
            sum: 0,
            slot_started: 0,
            newest: 0,
            expired: 0,
            first: 0,
            len: 0,
            at: [0; SLOTS],
            amount: [0; SLOTS],
        }
    }

    /// The same amounts as in `other`, as far as they are younger than `span`.
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

    /// What is kept.
    pub(super) const fn sum(&self) -> u64 {
        self.sum
    }

    /// Forgets what has left the span by `now`. `on_expire` is told, for each slot, when it left and what the sum had
    /// been until then.
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

    /// Adds `amount` at `at`, in the newest slot if that was opened less than `grain` ago.
    ///
    /// The log has been expired until then.
    pub(super) fn add(&mut self, at: u64, amount: u32, grain: u64) -> u64 {
        let at = at.max(self.newest);
        // Calls that never left must not use up the slots. One that is still to be corrected is found in the next slot.
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
            // More than four thousand million in one slot: no meter lets that happen.
            return at;
        }
        self.newest = at;
        self.sum += u64::from(amount);
        at
    }

    /// Makes what was added at `at` dearer or cheaper, if it is still kept.
    pub(super) fn correct(&mut self, at: u64, was: u64, is: u64) {
        if at <= self.expired {
            // What is kept are others.
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

    /// The newest slot, if there is one.
    const fn last(&self) -> usize {
        (self.first + self.len).wrapping_sub(1) % SLOTS
    }

    /// What was added at `at` or later.
    pub(super) fn since(&self, at: u64) -> u64 {
        let slots = (self.index(at)..self.len).map(|index| (self.first + index) % SLOTS);
        slots.map(|slot| u64::from(self.amount[slot])).sum()
    }

    /// What of it will still be kept at `at`.
    pub(super) fn sum_at(&self, at: u64) -> u64 {
        self.since((at + 1).saturating_sub(self.span))
    }

    /// When `amount` of what is kept will have left; `None` if there is not so much.
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

    /// The first slot that was last added to no earlier than that: what was added at `at` is in it.
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

/// The low quarter of a time.
const fn low(at: u64) -> u16 {
    (at & 0xffff) as u16
}
