//! A pair of counters over a rolling time window.

use std::time::Duration;

use tokio::time::Instant;

/// Counts of the last `SLOTS` ticks, including the current one. Does not read the clock.
#[derive(Clone, Debug)]
pub(crate) struct Rolling<const SLOTS: usize> {
    tick: Duration,
    // Set by the first use, so that construction needs no clock.
    start: Option<Instant>,
    // The number of ticks since the start.
    ticks: u128,
    at: usize,
    slots: [[u32; 2]; SLOTS],
    sum: [u32; 2],
}

impl<const SLOTS: usize> Rolling<SLOTS> {
    pub(crate) const fn new(tick: Duration) -> Self {
        Self { tick, start: None, ticks: 0, at: 0, slots: [[0; 2]; SLOTS], sum: [0; 2] }
    }

    /// Drops expired slots. A time before the previous one has no effect.
    pub(crate) fn move_to(&mut self, now: Instant) {
        let start = *self.start.get_or_insert(now);
        let ticks = now.saturating_duration_since(start).as_nanos() / self.tick.as_nanos().max(1);
        let steps = ticks.saturating_sub(self.ticks).min(SLOTS as u128);
        for _ in 0..steps {
            self.at = (self.at + 1) % SLOTS;
            let old = std::mem::take(&mut self.slots[self.at]);
            self.sum[0] -= old[0];
            self.sum[1] -= old[1];
        }
        self.ticks = self.ticks.max(ticks);
    }

    /// Adds one to the counter `kind` in the current tick.
    pub(crate) const fn add(&mut self, kind: usize) {
        self.slots[self.at][kind] += 1;
        self.sum[kind] += 1;
    }

    /// Adds to both counters in the current tick.
    pub(crate) fn add_all(&mut self, counts: [u32; 2]) {
        for (kind, count) in counts.into_iter().enumerate() {
            self.slots[self.at][kind] += count;
            self.sum[kind] += count;
        }
    }

    /// Returns the counts of the ticks that have ended since the tick `from`, which becomes the current one.
    pub(crate) fn ended_since(&self, from: &mut u128) -> [u32; 2] {
        let mut counts = [0; 2];
        let passed = (1..SLOTS).take_while(|ago| self.ticks.saturating_sub(*ago as u128) >= *from);
        for ago in passed.take_while(|ago| *ago as u128 <= self.ticks) {
            let slot = self.slots[(self.at + SLOTS - ago) % SLOTS];
            (counts[0], counts[1]) = (counts[0] + slot[0], counts[1] + slot[1]);
        }
        *from = self.ticks;
        counts
    }

    /// Subtracts one from the counter `kind`, if the current tick has a count. A count in an older slot must not be
    /// subtracted, since it expires by itself.
    pub(crate) const fn take_off(&mut self, kind: usize) {
        if self.slots[self.at][kind] > 0 {
            self.slots[self.at][kind] -= 1;
            self.sum[kind] -= 1;
        }
    }

    /// Returns both counts.
    pub(crate) const fn sum(&self) -> [u32; 2] {
        self.sum
    }

    /// Resets both counts.
    pub(crate) const fn clear(&mut self) {
        self.slots = [[0; 2]; SLOTS];
        self.sum = [0; 2];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn rolling_counts_drop_what_is_older_than_their_slots() {
        let second = Duration::from_secs(1);
        let mut rolling = Rolling::<3>::new(second);
        let start = Instant::now();
        for (after, sum) in [(0, 1), (1, 2), (2, 3), (3, 3), (5, 2), (5, 3), (100, 1)] {
            rolling.move_to(start + after * second);
            rolling.add(1);
            assert_eq!(rolling.sum(), [0, sum], "after {after} s");
        }
        rolling.take_off(1);
        rolling.take_off(1);
        rolling.take_off(0);
        assert_eq!(rolling.sum(), [0, 0]);
    }
}
