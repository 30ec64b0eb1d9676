//! A budget of dollars that is shared by many requests: [`Budget`].

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use super::NANO;
use crate::config::BudgetLimit;

/// A budget, kept in memory. Requests that are in flight when it is spent are served: the cost of a response is known at
/// its end.
#[derive(Debug)]
pub(crate) struct Budget {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    limit: BudgetLimit,
    nanodollars: u64,
    /// The end of the present period. None before the first use, and for a budget that is never renewed.
    ends: Option<SystemTime>,
}

/// The use of a budget at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct BudgetUse {
    /// The limit in dollars.
    pub max: f64,
    /// The spent dollars of the present period.
    pub spent: f64,
    /// The time until the budget is renewed. None if it never is, or if it was not used since.
    pub renewed_after: Option<Duration>,
}

/// The error of a budget that is spent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct BudgetSpent {
    /// The limit in dollars.
    pub max: f64,
    /// The time until the budget is renewed. None if it never is.
    pub renewed_after: Option<Duration>,
}

impl Budget {
    /// Returns a budget of which nothing is spent.
    pub(crate) fn new(limit: BudgetLimit) -> Self {
        Self { state: Mutex::new(State { limit, nanodollars: 0, ends: None }) }
    }

    /// Replaces the limit. What is spent stays. Another period begins with the next request.
    pub(crate) fn set_limit(&self, limit: BudgetLimit) {
        let mut state = self.state();
        if state.limit.period != limit.period {
            state.ends = None;
        }
        state.limit = limit;
    }

    /// Checks if something is left of the budget at `now`.
    ///
    /// # Errors
    ///
    /// [`BudgetSpent`] if nothing is.
    pub(crate) fn check(&self, now: SystemTime) -> Result<(), BudgetSpent> {
        let mut state = self.state();
        state.renew(now);
        let max = state.limit.max;
        if (state.nanodollars as f64) < max * NANO {
            return Ok(());
        }
        let renewed_after = state.ends.and_then(|ends| ends.duration_since(now).ok());
        Err(BudgetSpent { max, renewed_after })
    }

    /// Returns the use of the budget at `now`. Reading it begins no period.
    pub(crate) fn usage(&self, now: SystemTime) -> BudgetUse {
        let state = self.state();
        let has_ended = state.ends.is_some_and(|ends| ends <= now);
        let spent = if has_ended { 0.0 } else { state.nanodollars as f64 / NANO };
        let renewed_after = state.ends.and_then(|ends| ends.duration_since(now).ok()).filter(|_| !has_ended);
        BudgetUse { max: state.limit.max, spent, renewed_after }
    }

    /// Adds the cost of a response.
    pub(crate) fn add(&self, nanodollars: u64) {
        let mut state = self.state();
        state.nanodollars = state.nanodollars.saturating_add(nanodollars);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Begins a new period, if the present one has ended.
    fn renew(&mut self, now: SystemTime) {
        let Some(period) = self.limit.period else { return };
        match self.ends {
            Some(ends) if now < ends => {}
            Some(_) => (self.nanodollars, self.ends) = (0, Some(period.end(now))),
            None => self.ends = Some(period.end(now)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::BudgetPeriod;

    #[test]
    fn a_budget_that_is_spent_is_renewed_with_its_period() {
        let hour = Duration::from_secs(3600);
        let start = SystemTime::UNIX_EPOCH + hour * 24 * 365;
        let limit = BudgetLimit { max: 0.5, period: Some(BudgetPeriod::Time(hour)) };
        let budget = Budget::new(limit);
        assert_eq!(budget.check(start), Ok(()));
        budget.add(499_999_999);
        assert_eq!(budget.check(start), Ok(()));
        budget.add(1);
        let spent = |renewed_after| Err(BudgetSpent { max: 0.5, renewed_after });
        assert_eq!(budget.check(start + hour / 2), spent(Some(hour / 2)));
        let used = |spent, renewed_after| BudgetUse { max: 0.5, spent, renewed_after };
        assert_eq!(budget.usage(start + hour / 2), used(0.5, Some(hour / 2)));
        assert_eq!(budget.usage(start + hour), used(0.0, None));
        assert_eq!(budget.check(start + hour), Ok(()));
        budget.add(700_000_000);
        budget.set_limit(BudgetLimit { max: 0.8, ..limit });
        assert_eq!(budget.check(start + hour), Ok(()));
        budget.set_limit(BudgetLimit { max: 0.5, period: None });
        assert_eq!(budget.check(start + hour * 9_999), spent(None));
        let nothing = Budget::new(BudgetLimit { max: 0.0, period: None });
        assert_eq!(nothing.check(start), Err(BudgetSpent { max: 0.0, renewed_after: None }));
    }
}
