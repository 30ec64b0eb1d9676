//! The retry budget, which limits the repeats of all requests together: [`Budget`].

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
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
/// Deposits and withdrawals are those of tower's `TpsBudget`; this one reports its counts, and its percentage is exact.
#[derive(Clone)]
pub struct Budget {
    shared: Arc<Mutex<State>>,
}

struct State {
    percent: u32,
    reserve: u32,
    /// The counts of the last 10 seconds: see [`REPEATS`] and [`DEPOSITS`].
    rolling: Rolling<SLOTS>,
    totals: Counts,
}

/// The index of repeats in the rolling counts.
const REPEATS: usize = 0;
/// The index of deposits in the rolling counts.
const DEPOSITS: usize = 1;

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
        let state = State { percent, reserve, rolling: Rolling::new(TICK), totals: Counts::default() };
        Self { shared: Arc::new(Mutex::new(state)) }
    }

    /// Replaces the percentage and the reserve. The counts stay.
    pub fn set(&self, percent: u32, reserve: u32) {
        let mut state = self.state();
        (state.percent, state.reserve) = (percent, reserve);
    }

    /// Records a first attempt.
    pub fn deposit(&self) {
        let mut state = self.state();
        state.totals.deposits += 1;
        state.rolling.add(DEPOSITS);
    }

    /// Withdraws one repeat. Returns true if the repeat may be made.
    #[must_use]
    pub fn withdraw(&self) -> bool {
        let mut state = self.state();
        if state.left() == 0 {
            state.totals.refused += 1;
            return false;
        }
        state.totals.withdrawals += 1;
        state.rolling.add(REPEATS);
        true
    }

    /// Returns a withdrawn repeat that was not made.
    pub fn put_back(&self) {
        let mut state = self.state();
        state.totals.withdrawals = state.totals.withdrawals.saturating_sub(1);
        state.rolling.take_off(REPEATS);
    }

    /// Returns the number of repeats that would be allowed now.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.state().left()
    }

    /// Returns the totals.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.state().totals
    }

    /// Returns the state, advanced to the present.
    fn state(&self) -> MutexGuard<'_, State> {
        let now = Instant::now();
        let mut state = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        state.rolling.move_to(now);
        state
    }
}

impl State {
    fn left(&self) -> u64 {
        let [repeats, deposits] = self.rolling.sum().map(u64::from);
        let allowed = u64::from(self.percent) * deposits / 100 + u64::from(self.reserve);
        allowed.saturating_sub(repeats)
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Budget")
            .field("percent", &state.percent)
            .field("reserve", &state.reserve)
            .field("left", &state.left())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;
    use tokio::time::advance;

    use super::*;

    const WINDOW: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn a_budget_starts_with_its_reserve_and_returns_to_it() {
        let budget = Budget::new(20, 3);
        assert_eq!((0..5).filter(|_| budget.withdraw()).count(), 3);
        assert_eq!(budget.counts(), Counts { deposits: 0, withdrawals: 3, refused: 2 });
        advance(WINDOW + TICK).await;
        assert_eq!(budget.left(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_deposit_into_the_budget_counts_for_ten_seconds() {
        let budget = Budget::new(20, 0);
        (0..10).for_each(|_| budget.deposit());
        assert_eq!(budget.clone().left(), 2);
        assert!(budget.withdraw() && budget.withdraw() && !budget.withdraw());
        advance(2 * WINDOW).await;
        assert_eq!(budget.left(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn an_unused_withdrawal_is_put_back_into_the_budget() {
        let budget = Budget::new(0, 1);
        assert!(budget.withdraw());
        budget.put_back();
        assert_eq!(budget.counts(), Counts::default());
        assert!(budget.withdraw() && !budget.withdraw());
    }

    #[tokio::test(start_paused = true)]
    async fn the_rates_of_a_budget_change_while_its_counts_stay() {
        let budget = Budget::new(20, 0);
        (0..10).for_each(|_| budget.deposit());
        assert!(budget.withdraw());
        budget.set(50, 1);
        assert_eq!(budget.left(), 5);
        budget.set(0, 0);
        assert!(!budget.withdraw());
    }

    #[tokio::test(start_paused = true)]
    async fn the_budget_counts_all_deposits_and_uses_those_of_ten_seconds() {
        let budget = Budget::new(100, 0);
        for _ in 0..100 {
            budget.deposit();
            advance(2 * TICK).await;
        }
        assert_eq!(budget.counts().deposits, 100);
        assert_eq!(budget.left(), 20);
    }

    #[test]
    fn concurrent_deposits_into_the_budget_are_all_counted() {
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
        fn the_budget_is_never_exceeded_in_any_ten_seconds(
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
                    // A deposit in a slot that has partly expired may still count.
                    let slack = WINDOW + TICK;
                    firsts.retain(|at| now - *at <= slack);
                    repeats.retain(|at| now - *at < WINDOW);
                    assert!(repeats.len() <= firsts.len() / 5 + 2);
                }
            });
        }
    }
}
