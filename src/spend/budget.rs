//! A budget of dollars that is shared by many requests: [`Budget`].

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use super::NANO;
use crate::config::BudgetLimit;
#[cfg(feature = "redis")]
use crate::config::BudgetPeriod;

/// A budget, kept in memory. Requests that are in flight when it is spent are served: the cost of a response is known at
/// its end. Replicas may share it: then what the others have spent counts too.
#[derive(Debug)]
pub(crate) struct Budget {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    limit: BudgetLimit,
    /// The nanodollars that this process has spent in the present period.
    nanodollars: u64,
    /// The nanodollars that other replicas have spent in it, as far as is known.
    others: u64,
    /// The end of the present period. None before the first use, and for a budget that is never renewed.
    ends: Option<SystemTime>,
    /// The number of periods that have ended.
    ended: u64,
    /// True if the budget was used since the others were told.
    used: bool,
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

/// The part of a budget that this process has spent, for the other replicas.
#[cfg(feature = "redis")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BudgetShare {
    /// The spent nanodollars of the present period.
    pub nanodollars: u64,
    /// The time until the budget is renewed. None if it never is, or if it was not used since.
    pub renewed_after: Option<Duration>,
    period: Option<BudgetPeriod>,
    ended: u64,
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
        let state = State { limit, nanodollars: 0, others: 0, ends: None, ended: 0, used: false };
        Self { state: Mutex::new(state) }
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
        state.end_period(now);
        if state.ends.is_none() {
            state.ends = state.limit.period.map(|period| period.end(now));
        }
        state.used = true;
        let max = state.limit.max;
        if (state.spent() as f64) < max * NANO {
            return Ok(());
        }
        Err(BudgetSpent { max, renewed_after: state.rest(now) })
    }

    /// Returns the use of the budget at `now`. Reading it begins no period.
    pub(crate) fn usage(&self, now: SystemTime) -> BudgetUse {
        let mut state = self.state();
        state.end_period(now);
        BudgetUse { max: state.limit.max, spent: state.spent() as f64 / NANO, renewed_after: state.rest(now) }
    }

    /// Adds the cost of a response.
    pub(crate) fn add(&self, nanodollars: u64) {
        let mut state = self.state();
        state.nanodollars = state.nanodollars.saturating_add(nanodollars);
        state.used = true;
    }

    /// Returns what this process has spent, or none if nothing has used the budget since the last total. With `always` it is
    /// returned in any case.
    #[cfg(feature = "redis")]
    pub(crate) fn share(&self, now: SystemTime, always: bool) -> Option<BudgetShare> {
        let mut state = self.state();
        state.end_period(now);
        let State { limit, nanodollars, ended, .. } = *state;
        let renewed_after = state.rest(now);
        (state.used || always).then_some(BudgetShare {
            nanodollars,
            renewed_after,
            period: limit.period,
            ended,
        })
    }

    /// Sets the nanodollars that all replicas have spent, and the time until the budget is renewed, in response to this part.
    #[cfg(feature = "redis")]
    pub(crate) fn set_total(
        &self,
        share: &BudgetShare,
        (total, renewed_after): (u64, Option<Duration>),
        now: SystemTime,
    ) {
        let mut state = self.state();
        if (state.ended, state.limit.period) != (share.ended, share.period) {
            // The response is about a period that is over.
            return;
        }
        state.others = total.saturating_sub(share.nanodollars);
        state.used = state.nanodollars != share.nanodollars;
        // All replicas have the period of the one that began it.
        state.ends = renewed_after.map(|rest| now + rest).or(state.ends);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(feature = "redis")]
impl BudgetShare {
    /// Returns a name of the period. A budget with another period has another total.
    pub(crate) fn period_name(&self) -> String {
        self.period.map_or_else(|| "always".to_owned(), |period| period.to_string())
    }
}

impl State {
    /// Forgets what was spent in a period that has ended. The next one begins with the next use.
    fn end_period(&mut self, now: SystemTime) {
        if self.ends.is_some_and(|ends| ends <= now) {
            (self.nanodollars, self.others, self.ends) = (0, 0, None);
            self.ended += 1;
        }
    }

    const fn spent(&self) -> u64 {
        self.nanodollars.saturating_add(self.others)
    }

    /// Returns the rest of the present period.
    fn rest(&self, now: SystemTime) -> Option<Duration> {
        self.ends.and_then(|ends| ends.duration_since(now).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::BudgetPeriod;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_budget_that_is_spent_is_renewed_with_its_period() {
        let hour = HOUR;
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

    #[cfg(feature = "redis")]
    #[test]
    fn a_shared_budget_counts_what_other_replicas_have_spent_in_its_period() {
        let start = SystemTime::UNIX_EPOCH + HOUR * 24 * 365;
        let budget = Budget::new(BudgetLimit { max: 1e-6, period: Some(BudgetPeriod::Time(HOUR)) });
        assert_eq!(budget.share(start, false), None, "nothing has used it");
        assert_eq!(budget.check(start), Ok(()));
        budget.add(300);
        let share = budget.share(start, false).unwrap();
        assert_eq!((share.nanodollars, share.renewed_after), (300, Some(HOUR)));
        budget.add(100);
        budget.set_total(&share, (900, Some(HOUR / 2)), start);
        let BudgetUse { spent, renewed_after, .. } = budget.usage(start);
        assert_eq!((spent, renewed_after), (1e-6, Some(HOUR / 2)), "600 of the others and 400");
        assert_eq!(budget.check(start), Err(BudgetSpent { max: 1e-6, renewed_after: Some(HOUR / 2) }));
        let share = budget.share(start, false).unwrap();
        assert_eq!(budget.check(start + HOUR / 2), Ok(()), "the next period");
        budget.set_total(&share, (9_999, Some(HOUR)), start + HOUR / 2);
        assert_eq!(budget.usage(start + HOUR / 2).spent, 0.0, "a late response is about the period before");
    }

    #[cfg(feature = "redis")]
    #[test]
    fn a_shared_budget_is_told_once_unless_it_is_used() {
        let start = SystemTime::UNIX_EPOCH;
        let budget = Budget::new(BudgetLimit { max: 1.0, period: None });
        budget.add(5);
        let share = budget.share(start, false).unwrap();
        budget.add(1);
        budget.set_total(&share, (5, None), start);
        let share = budget.share(start, false).unwrap();
        budget.set_total(&share, (6, None), start);
        assert_eq!(budget.share(start, false), None);
        assert!(budget.share(start, true).is_some_and(|share| share.nanodollars == 6));
    }
}
