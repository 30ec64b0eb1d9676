//! The handle on one endpoint's health, and the guard of one call: [`EndpointHealth`], [`HealthGuard`].

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
    sync::{AtomicBool, AtomicU32, Mutex},
};

/// The rule by which an endpoint is unhealthy, and for how long it cools down.
#[derive(Clone)]
pub struct CooldownConfig {
    pub(super) cooldown_time: Duration,
    pub(super) allowed_fails: Option<u32>,
    pub(super) allowance: Option<Allowance>,
    pub(super) max_cooldown: Duration,
    pub(super) slow_start: Duration,
}

type Allowance = Arc<dyn Fn(&Outcome) -> Option<u32> + Send + Sync>;

impl Default for CooldownConfig {
    /// Cools down for 5 s, as LiteLLM does.
    fn default() -> Self {
        Self::new(Duration::from_secs(5))
    }
}

impl CooldownConfig {
    /// Cools down for this long at first; with zero never.
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

    /// Allows so many failures in a rolling minute; one more begins a cooldown. With `None`: more than half of at least
    /// five calls in the rolling minute, or five in a row.
    #[must_use]
    pub const fn with_allowed_fails(mut self, allowed_fails: Option<u32>) -> Self {
        self.allowed_fails = allowed_fails;
        self
    }

    /// Allows another number of failures (of any kind) in the rolling minute when a call ends in a way for which this
    /// gives one. Asked of failures only; must not look at the [`EndpointHealth`].
    #[must_use]
    pub fn with_allowance<F>(mut self, allowance: F) -> Self
    where
        F: Fn(&Outcome) -> Option<u32> + Send + Sync + 'static,
    {
        self.allowance = Some(Arc::new(allowance));
        self
    }

    /// Doubles a repeated cooldown up to this; 5 minutes by default.
    #[must_use]
    pub const fn with_max_cooldown(mut self, max_cooldown: Duration) -> Self {
        self.max_cooldown = max_cooldown;
        self
    }

    /// Gives the endpoint its whole weight back over this time after a cooldown; 10 s by default.
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
        f.debug_struct("Policy")
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

/// Nearly every endpoint is healthy, which is seen without the lock. Both atomics are written under it.
struct Shared {
    settled: AtomicBool,
    cooldowns: AtomicU32,
    inner: Mutex<Inner>,
    /// The listeners, notified when a cooldown ends before its time.
    listeners: CapacityListeners,
}

struct Inner {
    config: CooldownConfig,
    breaker: Breaker,
}

/// The state of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthState {
    /// Healthy, or not called yet.
    Healthy,
    /// Healthy again, and not yet at its whole weight.
    SlowStart,
    /// Unhealthy, and avoided for a time.
    CoolingDown,
    /// That time is over; one call may find out whether it is healthy.
    HalfOpen,
    /// That one call is under way.
    Probing,
}

/// The contents of a [`EndpointHealth`] at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthSnapshot {
    /// The state.
    pub state: HealthState,
    /// The end of the cooldown, past or to come; `None` when it is healthy.
    pub until: Option<Instant>,
    /// Failures in the rolling minute, or since the last cooldown began or ended.
    pub fails: u32,
    /// The number of cooldowns so far.
    pub cooldowns: u32,
}

impl EndpointHealth {
    /// Returns the state of an endpoint that was not called yet.
    #[must_use]
    pub fn new(config: CooldownConfig) -> Self {
        let inner = Mutex::new(Inner { config, breaker: Breaker::new() });
        let (settled, cooldowns) = (AtomicBool::new(true), AtomicU32::new(0));
        Self {
            shared: Arc::new(Shared { settled, cooldowns, inner, listeners: CapacityListeners::default() }),
        }
    }

    /// Judges by another policy from now on; the state stays.
    pub fn set_config(&self, config: CooldownConfig) {
        self.with(Instant::now(), |inner| inner.config = config);
    }

    /// Returns the health that a balancer goes by.
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

    /// Returns the contents, for a status page or metrics.
    #[must_use]
    pub fn snapshot(&self) -> HealthSnapshot {
        let now = Instant::now();
        self.with(now, |Inner { config, breaker }| HealthSnapshot {
            state: breaker.state(config, now),
            until: breaker.until().filter(|_| !config.is_off()),
            fails: breaker.minute(now).0,
            cooldowns: breaker.cooldowns(),
        })
    }

    /// Takes the probe, if the cooldown is over and no other call has it.
    ///
    /// # Errors
    /// [`NoCapacity`], when `seen` had it and another call has taken it since.
    pub(super) fn take_probe(&self, seen: &Score, now: Instant) -> Result<Option<Probe>, NoCapacity> {
        if self.is_settled() {
            return Ok(None);
        }
        let taken = self.with(now, |inner| inner.breaker.take_probe(&inner.config));
        if let Some(of) = taken {
            return Ok(Some(Probe { health: self.clone(), of }));
        }
        // Chosen as the least bad it may be called all the same. Chosen as the probe it was chosen for nothing; asked
        // again, it says that it is avoided.
        let lost = seen.health == Health::HalfOpen && matches!(self.health_at(now), Health::CoolingDown(_));
        if lost { Err(NoCapacity { until: now, reason: NoCapacityReason::Probing }) } else { Ok(None) }
    }

    pub(super) fn guard(&self, probe: Option<Probe>) -> HealthGuard {
        HealthGuard { health: self.clone(), generation: self.shared.cooldowns.load(Ordering::Acquire), probe }
    }

    pub(super) fn subscribe(&self, listener: &Weak<dyn CapacityListener>) {
        self.shared.listeners.add(listener);
    }

    fn is_settled(&self) -> bool {
        self.shared.settled.load(Ordering::Acquire)
    }

    fn with<T>(&self, now: Instant, f: impl FnOnce(&mut Inner) -> T) -> T {
        let mut inner = self.shared.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.breaker.advance(now);
        let was_avoided = inner.is_avoided(now);
        let result = f(&mut inner);
        self.shared.settled.store(inner.breaker.is_settled(&inner.config, now), Ordering::Release);
        self.shared.cooldowns.store(inner.breaker.cooldowns(), Ordering::Release);
        let freed = was_avoided && !inner.is_avoided(now);
        drop(inner);
        if freed {
            self.shared.listeners.notify();
        }
        result
    }
}

impl Inner {
    fn health(&self, now: Instant) -> Health {
        self.breaker.health(&self.config, now)
    }

    fn is_avoided(&self, now: Instant) -> bool {
        matches!(self.health(now), Health::CoolingDown(_))
    }
}

impl fmt::Debug for EndpointHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HealthState").field(&self.snapshot()).finish()
    }
}

/// The one probe after a cooldown, given back when dropped.
#[derive(Debug)]
pub(super) struct Probe {
    health: EndpointHealth,
    /// The number of the cooldown that it is the probe of.
    of: u32,
}

impl Drop for Probe {
    fn drop(&mut self) {
        let now = Instant::now();
        self.health.with(now, |inner| inner.breaker.return_probe(self.of, now));
    }
}

/// Records how one call ended. Dropped before, it records nothing, and gives back the probe if it held it.
#[derive(Debug)]
pub struct HealthGuard {
    health: EndpointHealth,
    /// The number of cooldowns when the call began.
    generation: u32,
    probe: Option<Probe>,
}

impl HealthGuard {
    /// Records the begin of a response. A success ends the cooldown now, not at the end of a long body.
    pub(super) fn response_head(&mut self, outcome: &Outcome) {
        if Evidence::of(outcome) == Evidence::Good {
            // Mostly there is no cooldown to end, and one that begins now is none of this call's.
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
    /// Returns whether it holds the probe of the present cooldown.
    pub(super) fn is_probe(&self) -> bool {
        self.probe.is_some() && self.generation == self.health.snapshot().cooldowns
    }
}

impl OnComplete for HealthGuard {
    fn complete(self, outcome: &Outcome) {
        let now = Instant::now();
        self.health.with(now, |Inner { config, breaker }| match Evidence::of(outcome) {
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
