//! The meters of one deployment: [`Meters`].

use std::{
    sync::{Arc, PoisonError, Weak},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    account::Account,
    cost::Cost,
    limits::{Limits, RateWindow},
    reservation::Reservation,
    state::{Charge, MeterState},
};
use crate::{
    Outcome,
    capacity::CapacityListeners,
    endpoint::{CapacityListener, Confidence, Horizon, NoCapacity, NoCapacityReason},
    ledger::ChangeNotifier,
    sync::{Mutex, MutexGuard},
};

/// The meters of one deployment: requests, tokens, calls in flight, and the server hold.
///
/// Clones share the same meters. The meters outlive the services that are built with them, so that they survive a
/// change of the configuration.
#[derive(Clone, Debug)]
pub struct Meters {
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    /// The account of the limits, kept outside of the lock.
    account: Option<Account>,
    /// The origin of the times in `state`, which are milliseconds since then.
    start: Instant,
    state: Mutex<MeterState>,
    listeners: CapacityListeners,
    /// The member of a ledger with which the limits are shared.
    pub(super) changed: ChangeNotifier,
}

/// The values of [`Meters`] at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MeterSnapshot {
    /// The present limit of requests per minute: configured, or lowered or learned from responses.
    pub request_limit: Option<u64>,
    /// Requests admitted in the last minute.
    pub requests: u64,
    /// The time until none of them counts any more.
    pub requests_reset: Duration,
    /// The present limit of tokens per minute.
    pub token_limit: Option<u64>,
    /// Tokens spent or reserved in the last minute.
    pub tokens: u64,
    /// The time until none of them counts any more.
    pub tokens_reset: Duration,
    /// Tokens of the input spent or reserved in the last minute, if they have a limit.
    pub input_tokens: u64,
    /// Tokens of the output spent or reserved in the last minute, if they have a limit.
    pub output_tokens: u64,
    /// Requests admitted on the present day, if they have a limit.
    pub daily_requests: u64,
    /// Tokens spent or reserved on the present day, if they have a limit.
    pub daily_tokens: u64,
    /// The time until the day ends. `None` if there is no limit per day.
    pub day_ends: Option<Duration>,
    /// Calls reserved or in flight.
    pub in_flight: u32,
    /// Tokens reserved by calls that have not completed.
    pub reserved: u64,
    /// The window that is enforced, configured or learned. `None` until a refusal has shown one.
    pub window: Option<RateWindow>,
    /// The rest of the server hold. `None` if the deployment is open.
    pub closed_for: Option<Duration>,
    /// The leased part of the limit of requests, per minute or per window. `None` if the limit is not shared.
    pub request_lease: Option<u64>,
    /// The leased part of the limit of tokens.
    pub token_lease: Option<u64>,
    /// The leased part of the limit of calls in flight.
    pub in_flight_lease: Option<u64>,
}

/// The result of a check for capacity.
#[derive(Clone, Copy, Debug)]
pub(super) struct CapacityCheck {
    /// The used part of the fullest meter, 0.0 to 1.0.
    pub(super) used: f64,
    /// The end of a server hold, of which the firm part is over.
    pub(super) held_until: Option<Instant>,
}

impl Meters {
    /// Returns meters without any usage.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let account = limits.account.clone();
        let state = Mutex::new(MeterState::new(limits));
        let (listeners, changed) = (CapacityListeners::default(), ChangeNotifier::default());
        Self::of(Arc::new(Shared { account, start: Instant::now(), state, listeners, changed }))
    }

    pub(super) const fn of(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    pub(super) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Returns the configured limits.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.state().limits().clone()
    }

    /// Replaces the limits. The recorded usage and the server hold stay. The account does not change: a deployment with
    /// another account has other meters.
    pub fn set_limits(&self, limits: Limits) {
        let limits = Limits { account: self.shared.account.clone(), ..limits };
        if *self.state().limits() != limits {
            self.change(|state, now| state.set_limits(limits, now));
        }
    }

    /// Returns true if another clone of these meters exists, in a service or for a call in flight.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.shared) > 1
    }

    /// Returns the present values.
    #[must_use]
    pub fn snapshot(&self) -> MeterSnapshot {
        let now = self.now();
        let snapshot = self.state().snapshot(now);
        let account = self.account_closed_until().map(|at| at.saturating_duration_since(Instant::now()));
        MeterSnapshot { closed_for: snapshot.closed_for.max(account), ..snapshot }
    }

    /// Returns the number of refusals from which a window was learned. Each cost a call; more than one in ten minutes
    /// suggests that another client uses the same limit.
    #[must_use]
    pub fn learned_refusals(&self) -> u64 {
        self.state().learned_refusals()
    }

    /// Returns the capacity for a call of this cost, or the earliest time at which there may be some.
    #[inline]
    pub(super) fn check(&self, cost: impl Into<Cost>, now: Instant) -> Result<CapacityCheck, NoCapacity> {
        let now = self.millis(now);
        let mut state = self.state();
        let check = state.check(cost.into(), now).map(|()| CapacityCheck {
            used: state.used(),
            held_until: state
                .held_until(now)
                .map(|until| self.instant(until))
                .max(self.account_closed_until()),
        });
        drop(state);
        self.unless_account_closed(check.map_err(|full| self.no_capacity(full)))
    }

    /// Reserves capacity for a call of this cost, if there is some.
    pub(super) fn reserve(&self, cost: impl Into<Cost>, now: Instant) -> Result<Reservation, NoCapacity> {
        self.unless_account_closed(Ok(()))?;
        let (cost, now) = (cost.into(), self.millis(now));
        let mut state = self.state();
        match state.check(cost, now) {
            Ok(()) => {
                let charge = state.take(cost, now);
                drop(state);
                Ok(Reservation::new(self.clone(), charge))
            }
            Err(full) => {
                drop(state);
                Err(self.no_capacity(full))
            }
        }
    }

    #[cold]
    fn no_capacity(&self, (at, reason): (u64, NoCapacityReason)) -> NoCapacity {
        self.shared.changed.notify();
        NoCapacity { until: self.instant(at), reason }
    }

    /// Reserves capacity even if a limit is exceeded: a call that began before the limit was known.
    #[cfg(test)]
    pub(super) fn take(&self, cost: u64) -> Reservation {
        let now = self.now();
        let charge = self.state().take(cost.into(), now);
        Reservation::new(self.clone(), charge)
    }

    /// Returns the number of calls of this cost that could begin before the horizon.
    pub(super) fn slots(&self, cost: impl Into<Cost>, horizon: Horizon) -> u64 {
        if self.account_firmly_closed_until().is_some_and(|until| until > horizon.by) {
            return 0;
        }
        let times = (self.millis(horizon.now), self.millis(horizon.by));
        self.state().slots(cost.into(), times, horizon.confidence == Confidence::Certain)
    }

    /// Records the outcome of the call with this charge.
    pub(super) fn completed(&self, charge: &Charge, outcome: &Outcome) {
        if let Some(account) = &self.shared.account {
            account.record(outcome, self.instant(charge.at));
        }
        if self.change(|state, now| state.completed(charge, outcome, now)) {
            self.shared.changed.notify();
        }
    }

    fn account_closed_until(&self) -> Option<Instant> {
        self.shared.account.as_ref().and_then(Account::closed_until)
    }

    fn account_firmly_closed_until(&self) -> Option<Instant> {
        self.shared.account.as_ref().and_then(Account::firmly_closed_until)
    }

    /// Adds the firm hold of the account; of two reasons to wait the longer one is returned.
    #[inline]
    fn unless_account_closed<T>(&self, check: Result<T, NoCapacity>) -> Result<T, NoCapacity> {
        match (self.account_firmly_closed_until(), check) {
            (Some(at), Err(full)) if full.until > at => Err(full),
            (Some(at), _) => Err(NoCapacity { until: at, reason: NoCapacityReason::ServerHold }),
            (None, check) => check,
        }
    }

    /// Changes the state, and notifies the listeners if that may have freed capacity.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut MeterState, u64) -> T) -> T {
        let now = self.now();
        let mut state = self.state();
        let result = change(&mut state, now);
        let freed = state.freed();
        drop(state);
        if freed {
            self.shared.listeners.notify();
        }
        result
    }

    pub(super) fn subscribe(&self, listener: &Weak<dyn CapacityListener>) {
        self.shared.listeners.add(listener);
    }

    pub(super) fn state(&self) -> MutexGuard<'_, MeterState> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> u64 {
        self.millis(Instant::now())
    }

    #[inline]
    fn millis(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.shared.start);
        since.as_secs().saturating_mul(1_000).saturating_add(u64::from(since.subsec_millis()))
    }

    pub(super) fn instant(&self, millis: u64) -> Instant {
        self.shared.start + Duration::from_millis(millis)
    }
}
