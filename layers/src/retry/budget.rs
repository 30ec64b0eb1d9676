//! The retry budget, which bounds the repeats of all requests: [`Budget`].

use std::{
    fmt,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::rolling::Rolling;

/// The step of the rolling window, which is 10 s as in Finagle and linkerd.
const TICK: Duration = Duration::from_millis(250);
/// The number of steps in 10 s, and one more because the present step is incomplete.
const SLOTS: usize = 41;

/// A budget of repeats, shared by all clones: in any 10 seconds at most a percentage of the first attempts, plus a
/// constant reserve. The budget starts full. During a long outage repeats add little load.
///
/// tower's `TpsBudget` is deposited into and withdrawn from in the same way; this one reports its counts, and its
/// percentage is exact. A first attempt costs one atomic exchange; only a repeat takes a lock.
#[derive(Clone)]
pub struct Budget {
    shared: Arc<Shared>,
}

struct Shared {
    percent: AtomicU32,
    reserve: AtomicU32,
    deposits: Deposits,
    repeats: Mutex<Repeats>,
}

/// The totals of a [`Budget`] since its creation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// First attempts.
    pub deposits: u64,
    /// Repeats that were allowed and made.
    pub withdrawals: u64,
    /// Repeats that were refused.
    pub refused: u64,
}

impl Default for Budget {
    /// Returns a budget of 20 % of the first attempts and a reserve of 100.
    fn default() -> Self {
        Self::new(20, 100)
    }
}

impl Budget {
    /// Returns a budget of `percent` of the first attempts of the last 10 seconds, plus `reserve`.
    #[must_use]
    pub fn new(percent: u32, reserve: u32) -> Self {
        let repeats = Repeats { rolling: Rolling::new(TICK), made: 0, refused: 0 };
        Self {
            shared: Arc::new(Shared {
                percent: AtomicU32::new(percent),
                reserve: AtomicU32::new(reserve),
                deposits: Deposits::new(),
                repeats: Mutex::new(repeats),
            }),
        }
    }

    /// Replaces the percentage and the reserve. The counts stay.
    pub fn set(&self, percent: u32, reserve: u32) {
        self.shared.percent.store(percent, Ordering::Relaxed);
        self.shared.reserve.store(reserve, Ordering::Relaxed);
    }

    /// Records a first attempt. Takes no lock, because every request calls this.
    pub fn deposit(&self) {
        self.shared.deposits.add(Instant::now());
    }

    /// Withdraws one repeat. Returns true if the repeat may be made.
    #[must_use]
    pub fn withdraw(&self) -> bool {
        self.with(|repeats, left| {
            if left == 0 {
                repeats.refused += 1;
                return false;
            }
            repeats.made += 1;
            repeats.rolling.add(0);
            true
        })
    }

    /// Returns a withdrawn repeat that was not made.
    pub fn put_back(&self) {
        self.with(|repeats, _| {
            repeats.made = repeats.made.saturating_sub(1);
            repeats.rolling.take_off(0);
        });
    }

    /// Returns the number of repeats that would be allowed now.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.with(|_, left| left)
    }

    /// Returns the totals.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let deposits = self.shared.deposits.total();
        self.with(|repeats, _| Counts { deposits, withdrawals: repeats.made, refused: repeats.refused })
    }

    fn with<T>(&self, f: impl FnOnce(&mut Repeats, u64) -> T) -> T {
        let now = Instant::now();
        let mut repeats = self.shared.repeats.lock().unwrap_or_else(PoisonError::into_inner);
        repeats.rolling.move_to(now);
        let left = self.shared.left(&repeats, now);
        f(&mut repeats, left)
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget")
            .field("percent", &self.shared.percent)
            .field("reserve", &self.shared.reserve)
            .field("left", &self.left())
            .finish()
    }
}

impl Shared {
    fn left(&self, repeats: &Repeats, now: Instant) -> u64 {
        let [made, _] = repeats.rolling.sum().map(u64::from);
        let share = u64::from(self.percent.load(Ordering::Relaxed)) * self.deposits.lately(now) / 100;
        (share + u64::from(self.reserve.load(Ordering::Relaxed))).saturating_sub(made)
    }
}

/// The repeats, counted exactly under a lock, as the first kind of a [`Rolling`] count.
struct Repeats {
    rolling: Rolling<SLOTS>,
    made: u64,
    refused: u64,
}

/// The first attempts of the last ten seconds, and of all time. Each slot holds its tick in the upper half and the count
/// of that tick in the lower, so that one atomic holds both.
struct Deposits {
    // Set by the first use, so that to make a budget needs no time.
    start: OnceLock<Instant>,
    slots: [AtomicU64; SLOTS],
    /// The count of attempts whose slot has been reused.
    older: AtomicU64,
}

impl Deposits {
    const fn new() -> Self {
        Self { start: OnceLock::new(), slots: [const { AtomicU64::new(0) }; SLOTS], older: AtomicU64::new(0) }
    }

    fn add(&self, now: Instant) {
        let tick = self.tick(now);
        let slot = &self.slots[tick as usize % SLOTS];
        let mut seen = slot.load(Ordering::Relaxed);
        loop {
            let (of, count) = split(seen);
            // A thread that was delayed for ten seconds finds the slot reused, and counts there.
            let next = if of < tick { join(tick, 1) } else { join(of, count.saturating_add(1)) };
            match slot.compare_exchange_weak(seen, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) if of < tick => {
                    self.older.fetch_add(u64::from(count), Ordering::Relaxed);
                    return;
                }
                Ok(_) => return,
                Err(other) => seen = other,
            }
        }
    }

    fn lately(&self, now: Instant) -> u64 {
        let tick = self.tick(now);
        let counts = self.slots.iter().map(|slot| split(slot.load(Ordering::Relaxed)));
        counts.filter(|(of, _)| of + SLOTS as u32 > tick).map(|(_, count)| u64::from(count)).sum()
    }

    fn total(&self) -> u64 {
        let counts = self.slots.iter().map(|slot| u64::from(split(slot.load(Ordering::Relaxed)).1));
        self.older.load(Ordering::Relaxed) + counts.sum::<u64>()
    }

    /// Returns the ticks since the start; 32 bits last for 34 years.
    fn tick(&self, now: Instant) -> u32 {
        let since = now.saturating_duration_since(*self.start.get_or_init(|| now));
        u32::try_from(since.as_nanos() / TICK.as_nanos()).unwrap_or(u32::MAX - SLOTS as u32)
    }
}

const fn join(tick: u32, count: u32) -> u64 {
    (tick as u64) << 32 | count as u64
}

const fn split(slot: u64) -> (u32, u32) {
    ((slot >> 32) as u32, slot as u32)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;
    use tokio::time::advance;

    use super::*;

    const WINDOW: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn it_starts_with_its_reserve_and_ends_with_it() {
        let budget = Budget::new(20, 3);
        assert_eq!((0..5).filter(|_| budget.withdraw()).count(), 3);
        assert_eq!(budget.counts(), Counts { deposits: 0, withdrawals: 3, refused: 2 });
        advance(WINDOW + TICK).await;
        assert_eq!(budget.left(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn first_attempts_earn_their_share_for_ten_seconds() {
        let budget = Budget::new(20, 0);
        (0..10).for_each(|_| budget.deposit());
        assert_eq!(budget.clone().left(), 2);
        assert!(budget.withdraw() && budget.withdraw() && !budget.withdraw());
        advance(2 * WINDOW).await;
        assert_eq!(budget.left(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_used_can_be_put_back() {
        let budget = Budget::new(0, 1);
        assert!(budget.withdraw());
        budget.put_back();
        assert_eq!(budget.counts(), Counts::default());
        assert!(budget.withdraw() && !budget.withdraw());
    }

    #[tokio::test(start_paused = true)]
    async fn its_terms_may_change_while_what_it_has_seen_stays() {
        let budget = Budget::new(20, 0);
        (0..10).for_each(|_| budget.deposit());
        assert!(budget.withdraw());
        budget.set(50, 1);
        assert_eq!(budget.left(), 5);
        budget.set(0, 0);
        assert!(!budget.withdraw());
    }

    #[tokio::test(start_paused = true)]
    async fn deposits_are_counted_for_ever_and_earn_for_ten_seconds() {
        let budget = Budget::new(100, 0);
        for _ in 0..100 {
            budget.deposit();
            advance(2 * TICK).await;
        }
        assert_eq!(budget.counts().deposits, 100);
        assert_eq!(budget.left(), 20);
    }

    #[test]
    fn many_threads_lose_no_deposit() {
        let budget = Budget::new(100, 0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..10_000).for_each(|_| budget.deposit()));
            }
        });
        assert_eq!(budget.counts().deposits, 80_000);
    }

    proptest! {
        #[test]
        fn no_ten_seconds_hold_more_repeats_than_allowed(
            steps in prop::collection::vec((0u64..700, any::<bool>()), 1..400),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time().start_paused(true).build().unwrap();
            runtime.block_on(async {
                let budget = Budget::new(20, 2);
                let (mut firsts, mut repeats) = (VecDeque::new(), VecDeque::new());
                for (wait, first) in steps {
                    advance(Duration::from_millis(wait)).await;
                    let now = Instant::now();
                    if first {
                        budget.deposit();
                        firsts.push_back(now);
                        continue;
                    }
                    if !budget.withdraw() {
                        continue;
                    }
                    repeats.push_back(now);
                    // A slot that has begun to leave the window may still count on the side of the deposits.
                    let slack = WINDOW + TICK;
                    firsts.retain(|at| now - *at <= slack);
                    repeats.retain(|at| now - *at < WINDOW);
                    assert!(repeats.len() <= firsts.len() / 5 + 2);
                }
            });
        }
    }
}
