//! How many repeats there may be, whatever fails: [`Budget`].

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::rolling::Rolling;

/// The rolling window, 10 s as in Finagle and linkerd, moves in steps of this.
const TICK: Duration = Duration::from_millis(250);
/// One more than 10 s has: the present one is never whole.
const SLOTS: usize = 41;

/// One allowance of repeats, shared by all its clones: in any 10 seconds at most a share of the first attempts,
/// plus a constant. So it starts full, and a process that has failed for hours adds little fuel.
///
/// tower's `TpsBudget` is deposited into and withdrawn from in the same way; this one says what it did, and its
/// share is not rounded to a whole fraction.
#[derive(Clone)]
pub struct Budget {
    shared: Arc<Shared>,
}

struct Shared {
    percent: u32,
    reserve: u32,
    window: Mutex<Window>,
}

/// What a [`Budget`] has done since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// First attempts.
    pub deposits: u64,
    /// Repeats that were let through and made.
    pub withdrawals: u64,
    /// Repeats that were not let through.
    pub refused: u64,
}

impl Default for Budget {
    /// 20 % of the first attempts, and 100 more.
    fn default() -> Self {
        Self::new(20, 100)
    }
}

impl Budget {
    /// At most `percent` of the first attempts of the last 10 seconds, plus `reserve`.
    #[must_use]
    pub fn new(percent: u32, reserve: u32) -> Self {
        let window = Window { rolling: Rolling::new(TICK), counts: Counts::default() };
        Self { shared: Arc::new(Shared { percent, reserve, window: Mutex::new(window) }) }
    }

    /// Notes a first attempt.
    pub fn deposit(&self) {
        self.with(|window| {
            window.counts.deposits += 1;
            window.rolling.add(DEPOSITS);
        });
    }

    /// Asks for one repeat. Whether it may be made.
    #[must_use]
    pub fn withdraw(&self) -> bool {
        self.with(|window| {
            if self.shared.left(window) == 0 {
                window.counts.refused += 1;
                return false;
            }
            window.counts.withdrawals += 1;
            window.rolling.add(WITHDRAWALS);
            true
        })
    }

    /// Gives back what was withdrawn for a repeat that was then not made.
    pub fn put_back(&self) {
        self.with(|window| {
            window.counts.withdrawals = window.counts.withdrawals.saturating_sub(1);
            window.rolling.take_off(WITHDRAWALS);
        });
    }

    /// How many repeats it would let through now.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.with(|window| self.shared.left(window))
    }

    /// What it has done so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.with(|window| window.counts)
    }

    fn with<T>(&self, f: impl FnOnce(&mut Window) -> T) -> T {
        let now = Instant::now();
        let mut window = self.shared.window.lock().unwrap_or_else(PoisonError::into_inner);
        window.rolling.move_to(now);
        f(&mut window)
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
    fn left(&self, window: &Window) -> u64 {
        let [deposits, withdrawals] = window.rolling.sum().map(u64::from);
        let allowed = deposits * u64::from(self.percent) / 100 + u64::from(self.reserve);
        allowed.saturating_sub(withdrawals)
    }
}

/// First attempts and repeats, as kinds of a [`Rolling`] count.
const DEPOSITS: usize = 0;
const WITHDRAWALS: usize = 1;

struct Window {
    rolling: Rolling<SLOTS>,
    counts: Counts,
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
