//! The meters of one deployment: [`Meters`].

use std::{
    sync::{Arc, PoisonError, Weak},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    account::Account,
    limits::{Limits, RateWindow},
    reservation::Reservation,
    state::{Charge, MeterState},
};
use crate::{
    Outcome,
    capacity::CapacityListeners,
    endpoint::{CapacityListener, Confidence, Horizon, NoCapacity, NoCapacityReason},
    sync::{Mutex, MutexGuard},
};

/// The meters of one deployment: requests, tokens, calls in flight, and the server's word.
///
/// A handle: clones share the same meters. It outlives the services that are built with it, so that a deployment's
/// meters survive a change of the configuration.
#[derive(Clone, Debug)]
pub struct Meters {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// What it is paid from: the state's own, for those who only look.
    account: Option<Account>,
    /// Times inside are milliseconds since then.
    start: Instant,
    state: Mutex<MeterState>,
    listeners: CapacityListeners,
}

/// What the meters show at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MeterSnapshot {
    /// The limit of requests per minute that holds now: given, or lowered or learned by what answers told.
    pub request_limit: Option<u64>,
    /// Requests admitted in the last minute.
    pub requests: u64,
    /// The limit of tokens per minute that holds now.
    pub token_limit: Option<u64>,
    /// Tokens spent or reserved in the last minute.
    pub tokens: u64,
    /// Calls reserved or in flight.
    pub in_flight: u32,
    /// Tokens reserved by calls that have not ended yet.
    pub reserved: u64,
    /// The window that is kept, pinned or learned. `None` until a refusal has taught one.
    pub window: Option<RateWindow>,
    /// How long the server's word closes the deployment from now on.
    pub closed_for: Option<Duration>,
}

/// What there is for a call that costs so much.
#[derive(Clone, Copy, Debug)]
pub(super) struct CapacityCheck {
    /// The fullest meter, 0.0 to 1.0.
    pub(super) used: f64,
}

impl Meters {
    /// Meters that nothing was counted on yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let account = limits.account.clone();
        let state = Mutex::new(MeterState::new(limits));
        let (start, listeners) = (Instant::now(), CapacityListeners::default());
        Self { shared: Arc::new(Shared { account, start, state, listeners }) }
    }

    /// The limits that were given.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.state().limits().clone()
    }

    /// From now on these limits hold, as if they always had: what was used stays used, and the server's word stands.
    /// The account alone is the one that they were made with: what is paid from another has other meters.
    pub fn set_limits(&self, limits: Limits) {
        let limits = Limits { account: self.shared.account.clone(), ..limits };
        if *self.state().limits() != limits {
            self.change(|state, now| state.set_limits(limits, now));
        }
    }

    /// What they show now.
    #[must_use]
    pub fn snapshot(&self) -> MeterSnapshot {
        let now = self.now();
        let snapshot = self.state().snapshot(now);
        let account = self.account_closed_until().map(|at| at.saturating_duration_since(Instant::now()));
        MeterSnapshot { closed_for: snapshot.closed_for.max(account), ..snapshot }
    }

    /// How many refusals have taught a window so far: each cost a call, and more than one in ten minutes is a sign that
    /// somebody else spends the same limit.
    #[must_use]
    pub fn learned_refusals(&self) -> u64 {
        self.state().learned_refusals()
    }

    /// Whether there is room for a call of this cost, else from when there may be.
    #[inline]
    pub(super) fn check(&self, cost: u64, now: Instant) -> Result<CapacityCheck, NoCapacity> {
        let now = self.millis(now);
        let mut state = self.state();
        let check = state.check(cost, now).map(|()| CapacityCheck { used: state.used() });
        drop(state);
        self.unless_account_closed(
            check.map_err(|(at, why)| NoCapacity { until: self.instant(at), reason: why }),
        )
    }

    /// Takes it.
    pub(super) fn reserve(&self, cost: u64, now: Instant) -> Result<Reservation, NoCapacity> {
        self.unless_account_closed(Ok(()))?;
        let now = self.millis(now);
        let mut state = self.state();
        match state.check(cost, now) {
            Ok(()) => {
                let charge = state.take(cost, now);
                drop(state);
                Ok(Reservation::new(self.clone(), charge))
            }
            Err((at, why)) => Err(NoCapacity { until: self.instant(at), reason: why }),
        }
    }

    /// Takes it even where there is none.
    pub(super) fn take(&self, cost: u64) -> Reservation {
        let now = self.now();
        let charge = self.state().take(cost, now);
        Reservation::new(self.clone(), charge)
    }

    /// How many calls of this cost could begin until then.
    pub(super) fn slots(&self, cost: u64, horizon: Horizon) -> u64 {
        if self.account_closed_until().is_some_and(|until| until > horizon.by) {
            return 0;
        }
        let times = (self.millis(horizon.now), self.millis(horizon.by));
        self.state().slots(cost, times, horizon.confidence == Confidence::Certain)
    }

    /// A call that took this has ended.
    pub(super) fn completed(&self, charge: &Charge, outcome: &Outcome) {
        if let Some(account) = &self.shared.account {
            account.record(outcome, self.instant(charge.at));
        }
        self.change(|state, now| state.completed(charge, outcome, now));
    }

    fn account_closed_until(&self) -> Option<Instant> {
        self.shared.account.as_ref().and_then(Account::closed_until)
    }

    /// Of two reasons to wait the longer one.
    #[inline]
    fn unless_account_closed<T>(&self, check: Result<T, NoCapacity>) -> Result<T, NoCapacity> {
        match (self.account_closed_until(), check) {
            (Some(at), Err(full)) if full.until > at => Err(full),
            (Some(at), _) => Err(NoCapacity { until: at, reason: NoCapacityReason::ServerHold }),
            (None, check) => check,
        }
    }

    /// Changes the state, and tells those who wait if that may have made room.
    pub(super) fn change(&self, change: impl FnOnce(&mut MeterState, u64)) {
        let now = self.now();
        let mut state = self.state();
        change(&mut state, now);
        let freed = state.freed();
        drop(state);
        if freed {
            self.shared.listeners.notify();
        }
    }

    pub(super) fn subscribe(&self, listener: &Weak<dyn CapacityListener>) {
        self.shared.listeners.add(listener);
    }

    fn state(&self) -> MutexGuard<'_, MeterState> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        self.millis(Instant::now())
    }

    #[inline]
    fn millis(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.shared.start);
        since.as_secs().saturating_mul(1_000).saturating_add(u64::from(since.subsec_millis()))
    }

    fn instant(&self, millis: u64) -> Instant {
        self.shared.start + Duration::from_millis(millis)
    }
}
