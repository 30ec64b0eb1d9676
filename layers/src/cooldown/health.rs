//! The handle of one endpoint's health, [`EndpointHealth`], and the guard of one call, [`HealthGuard`].

use std::{
    fmt,
    sync::{Arc, PoisonError, Weak, atomic::Ordering},
    time::Duration,
};

use tokio::time::Instant;

use super::breaker::{Breaker, Evidence, Failure};
use crate::{
    NoCapacity, OnComplete, Outcome,
    capacity::CapacityListeners,
    endpoint::{CapacityListener, Health, NoCapacityReason, Score},
    ledger::ChangeNotifier,
    sync::{AtomicBool, AtomicU32, Mutex},
};

/// The number of failures that begin a cooldown, and the lengths of cooldowns.
#[derive(Clone)]
pub struct CooldownConfig {
    pub(super) cooldown_time: Duration,
    pub(super) allowed_fails: Option<u32>,
    pub(super) allowance: Option<Allowance>,
    pub(super) max_cooldown: Duration,
    pub(super) slow_start: Duration,
}

/// Returns the allowed number of failures for an outcome, if it differs.
type Allowance = Arc<dyn Fn(&Outcome) -> Option<u32> + Send + Sync>;

impl Default for CooldownConfig {
    /// Returns a configuration with cooldowns of 5 s, LiteLLM's default.
    fn default() -> Self {
        Self::new(Duration::from_secs(5))
    }
}

impl CooldownConfig {
    /// Returns a configuration with this length of the first cooldown. Zero disables cooldowns.
    #[must_use]
    pub const fn new(cooldown_time: Duration) -> Self {
        Self {
            cooldown_time,
            allowed_fails: None,
            allowance: None,
            max_cooldown: Duration::from_secs(300),
            slow_start: Duration::from_secs(10),
        }
    }

    /// Sets the number of failures in a rolling minute that do not yet begin a cooldown. With `None` a cooldown begins when
    /// more than half of at least five calls in the rolling minute failed, or five in a row.
    #[must_use]
    pub const fn with_allowed_fails(mut self, allowed_fails: Option<u32>) -> Self {
        self.allowed_fails = allowed_fails;
        self
    }

    /// Sets a function that returns the number of allowed failures (of any kind) in the rolling minute when a call fails with
    /// this outcome, or `None` for the general rule. The function must not use the [`EndpointHealth`].
    #[must_use]
    pub fn with_allowance<F>(mut self, allowance: F) -> Self
    where
        F: Fn(&Outcome) -> Option<u32> + Send + Sync + 'static,
    {
        self.allowance = Some(Arc::new(allowance));
        self
    }

    /// Sets the maximum length of a repeated cooldown. Default: 5 minutes.
    #[must_use]
    pub const fn with_max_cooldown(mut self, max_cooldown: Duration) -> Self {
        self.max_cooldown = max_cooldown;
        self
    }

    /// Sets the time over which the endpoint's weight grows back after a cooldown. Default: 10 s.
    #[must_use]
    pub const fn with_slow_start(mut self, slow_start: Duration) -> Self {
        self.slow_start = slow_start;
        self
    }

    pub(super) const fn is_off(&self) -> bool {
        self.cooldown_time.is_zero()
    }

    pub(super) fn allows(&self, outcome: &Outcome) -> Option<u32> {
        self.allowance.as_ref().and_then(|allowance| allowance(outcome))
    }
}

impl fmt::Debug for CooldownConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CooldownConfig")
            .field("cooldown_time", &self.cooldown_time)
            .field("allowed_fails", &self.allowed_fails)
            .finish_non_exhaustive()
    }
}

/// A handle on the health of one endpoint. Clones share one state, which outlives the services that use it.
#[derive(Clone)]
pub struct EndpointHealth {
    shared: Arc<Shared>,
}

/// The state behind the handle. Most endpoints are healthy, which is read without the lock; both atomics are written under
/// it.
pub(super) struct Shared {
    settled: AtomicBool,
    cooldowns: AtomicU32,
    inner: Mutex<Inner>,
    /// The listeners, notified when a cooldown ends before its time.
    listeners: CapacityListeners,
    /// The member of a ledger with which cooldowns are shared.
    pub(super) changed: ChangeNotifier,
}

pub(super) struct Inner {
    pub(super) config: CooldownConfig,
    pub(super) breaker: Breaker,
    drained: bool,
}

/// The time until which a drained endpoint reports no capacity. An operator ends the drain at a time that is not known.
const DRAIN_INTERVAL: Duration = Duration::from_secs(60);

/// The state of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthState {
    /// Healthy, or not called yet.
    Healthy,
    /// Healthy again, with a reduced weight.
    SlowStart,
    /// Unhealthy and avoided until the cooldown ends.
    CoolingDown,
    /// The cooldown is over; one call may be the probe.
    HalfOpen,
    /// The probe is in flight.
    Probing,
    /// Drained by an operator: receives no call.
    Drained,
}

/// The contents of an [`EndpointHealth`] at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthSnapshot {
    /// The state.
    pub state: HealthState,
    /// The end of the cooldown, which may be in the past; `None` if the endpoint is healthy.
    pub until: Option<Instant>,
    /// The number of failures in the rolling minute, or since the last cooldown began or ended if that is later.
    pub fails: u32,
    /// The number of cooldowns so far.
    pub cooldowns: u32,
}

impl EndpointHealth {
    /// Returns the state of an endpoint that was not called yet.
    #[must_use]
    pub fn new(config: CooldownConfig) -> Self {
        let inner = Mutex::new(Inner { config, breaker: Breaker::new(), drained: false });
        let (settled, cooldowns) = (AtomicBool::new(true), AtomicU32::new(0));
        let (listeners, changed) = (CapacityListeners::default(), ChangeNotifier::default());
        Self { shared: Arc::new(Shared { settled, cooldowns, inner, listeners, changed }) }
    }

    /// Replaces the configuration and keeps the state.
    pub fn set_config(&self, config: CooldownConfig) {
        self.with(Instant::now(), |inner| inner.config = config);
    }

    /// Begins a cooldown of this length by hand, as failures do. It ends with a probe. Returns false if the configuration
    /// disables cooldowns.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tollgate_layers::cooldown::{CooldownConfig, EndpointHealth, HealthState};
    ///
    /// let health = EndpointHealth::new(CooldownConfig::default());
    /// assert!(health.cool_down(Duration::from_secs(60)));
    /// assert_eq!(health.snapshot().state, HealthState::CoolingDown);
    /// health.revive();
    /// assert_eq!(health.snapshot().state, HealthState::SlowStart);
    /// ```
    pub fn cool_down(&self, length: Duration) -> bool {
        let now = Instant::now();
        self.with(now, |inner| {
            let is_on = !inner.config.is_off();
            if is_on {
                inner.breaker.cool_down_for(length, now);
            }
            is_on
        })
    }

    /// Ends a cooldown, without a probe and with a slow start, and a drain.
    pub fn revive(&self) {
        let now = Instant::now();
        self.with(now, |inner| {
            inner.breaker.revive(now);
            inner.drained = false;
        });
    }

    /// Begins or ends a drain. A drained endpoint reports no capacity, so that it receives no call even if there is no other
    /// endpoint; its calls in flight continue.
    pub fn set_drained(&self, drained: bool) {
        self.with(Instant::now(), |inner| inner.drained = drained);
    }

    /// Returns the health that a balancer uses. That of a drained endpoint is a cooldown of a minute.
    #[must_use]
    pub fn health(&self) -> Health {
        self.health_at(Instant::now())
    }

    #[inline]
    pub(super) fn health_at(&self, now: Instant) -> Health {
        if self.is_settled() {
            return Health::Healthy(1.0);
        }
        self.with(now, |inner| inner.health(now))
    }

    /// Returns true if another clone of this health exists, in a service or for a call in flight.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.shared) > 1
    }

    /// Returns the contents, for a status page or metrics.
    #[must_use]
    pub fn snapshot(&self) -> HealthSnapshot {
        let now = Instant::now();
        self.with(now, |Inner { config, breaker, drained }| HealthSnapshot {
            state: if *drained { HealthState::Drained } else { breaker.state(config, now) },
            until: breaker.until().filter(|_| !config.is_off()),
            fails: breaker.minute(now).0,
            cooldowns: breaker.cooldowns(),
        })
    }

    /// Returns the health at `now`.
    ///
    /// # Errors
    /// Returns [`NoCapacity`] if the endpoint is drained.
    pub(super) fn unless_drained(&self, now: Instant) -> Result<Health, NoCapacity> {
        self.with(now, |inner| inner.unless_drained(now).map(|()| inner.health(now)))
    }

    /// Returns true if the endpoint is drained and not expected to receive calls before `by`.
    pub(super) fn is_drained(&self, now: Instant, by: Instant) -> bool {
        !self.is_settled() && by < now + DRAIN_INTERVAL && self.with(now, |inner| inner.drained)
    }

    /// Takes the probe, if the cooldown is over and no other call has it.
    ///
    /// # Errors
    /// Returns [`NoCapacity`] if `seen` offered the probe and another call has taken it since, or if the endpoint was
    /// drained since.
    pub(super) fn take_probe(&self, seen: &Score, now: Instant) -> Result<Option<Probe>, NoCapacity> {
        if self.is_settled() {
            return Ok(None);
        }
        self.with(now, |inner| inner.unless_drained(now))?;
        let taken = self.with(now, |inner| inner.breaker.take_probe(&inner.config));
        if let Some(cooldown) = taken {
            return Ok(Some(Probe { health: self.clone(), cooldown }));
        }
        // An endpoint that was picked although it cools down may be called. One that was picked for the probe is refused:
        // its next score shows the cooldown.
        let lost = seen.health == Health::HalfOpen && matches!(self.health_at(now), Health::CoolingDown(_));
        if lost { Err(NoCapacity { until: now, reason: NoCapacityReason::Probing }) } else { Ok(None) }
    }

    /// Admits a call that no balancer has chosen; returns the probe if the call is it.
    ///
    /// # Errors
    /// Returns the end of the cooldown, which is in the past while another call has the probe.
    pub(super) fn admit(&self, now: Instant) -> Result<Option<Probe>, Instant> {
        match self.health_at(now) {
            Health::Healthy(_) => Ok(None),
            Health::CoolingDown(until) => Err(until),
            Health::HalfOpen => {
                let taken = self.with(now, |inner| inner.breaker.take_probe(&inner.config));
                taken.map(|cooldown| Some(Probe { health: self.clone(), cooldown })).ok_or(now)
            }
        }
    }

    pub(super) const fn of(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    pub(super) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(super) fn guard(&self, probe: Option<Probe>) -> HealthGuard {
        HealthGuard { health: self.clone(), generation: self.shared.cooldowns.load(Ordering::Acquire), probe }
    }

    pub(super) fn subscribe(&self, listener: &Weak<dyn CapacityListener>) {
        self.shared.listeners.add(listener);
    }

    #[inline]
    pub(super) fn is_settled(&self) -> bool {
        self.shared.settled.load(Ordering::Acquire)
    }

    pub(super) fn with<T>(&self, now: Instant, f: impl FnOnce(&mut Inner) -> T) -> T {
        let mut inner = self.shared.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.breaker.advance(now);
        let was_settled = self.is_settled();
        let was_avoided = !was_settled && inner.is_avoided(now);
        let was = if was_settled { None } else { inner.breaker.cooldown() };
        let result = f(&mut inner);
        let settled = !inner.drained && inner.breaker.is_settled(&inner.config, now);
        self.shared.settled.store(settled, Ordering::Release);
        self.shared.cooldowns.store(inner.breaker.cooldowns(), Ordering::Release);
        let freed = was_avoided && !inner.is_avoided(now);
        let changed = !(was_settled && settled) && inner.breaker.cooldown() != was;
        drop(inner);
        if freed {
            self.shared.listeners.notify();
        }
        if changed {
            self.shared.changed.notify();
        }
        result
    }
}

impl Inner {
    fn health(&self, now: Instant) -> Health {
        if self.drained {
            return Health::CoolingDown(now + DRAIN_INTERVAL);
        }
        self.breaker.health(&self.config, now)
    }

    fn unless_drained(&self, now: Instant) -> Result<(), NoCapacity> {
        let full = NoCapacity { until: now + DRAIN_INTERVAL, reason: NoCapacityReason::Drained };
        if self.drained { Err(full) } else { Ok(()) }
    }

    fn is_avoided(&self, now: Instant) -> bool {
        matches!(self.health(now), Health::CoolingDown(_))
    }
}

impl fmt::Debug for EndpointHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EndpointHealth").field(&self.snapshot()).finish()
    }
}

/// The probe after a cooldown. Returned when dropped.
#[derive(Debug)]
pub(super) struct Probe {
    health: EndpointHealth,
    /// The number of the cooldown.
    cooldown: u32,
}

impl Drop for Probe {
    fn drop(&mut self) {
        let now = Instant::now();
        self.health.with(now, |inner| inner.breaker.return_probe(self.cooldown, now));
    }
}

/// The record of one call, which [`OnComplete::complete`] ends with its outcome. Dropped without it, nothing is recorded and
/// the probe is returned.
#[derive(Debug)]
pub struct HealthGuard {
    health: EndpointHealth,
    /// The number of cooldowns when the call began.
    generation: u32,
    probe: Option<Probe>,
}

impl HealthGuard {
    /// Records a response head. A success ends the cooldown now, not at the end of a long body.
    pub(super) fn response_head(&mut self, outcome: &Outcome) {
        if Evidence::of(outcome) == Evidence::Good {
            // Usually there is no cooldown to end, and a call cannot end one that begins now.
            if !self.health.is_settled() {
                let now = Instant::now();
                self.health.with(now, |inner| inner.breaker.end_cooldown(self.generation, now));
            }
            self.probe = None;
        }
    }
}

#[cfg(test)]
impl HealthGuard {
    /// Returns true if the call is the probe of the current cooldown.
    pub(super) fn is_probe(&self) -> bool {
        self.probe.is_some() && self.generation == self.health.snapshot().cooldowns
    }
}

impl OnComplete for HealthGuard {
    fn complete(self, outcome: &Outcome) {
        let now = Instant::now();
        self.health.with(now, |Inner { config, breaker, .. }| match Evidence::of(outcome) {
            _ if config.is_off() => {}
            Evidence::Good => breaker.succeeded(self.generation, now),
            Evidence::Bad => {
                let failure = Failure { outcome, generation: self.generation, probe: self.probe.is_some() };
                breaker.failed(config, failure, now);
            }
            Evidence::None => {}
        });
    }
}
