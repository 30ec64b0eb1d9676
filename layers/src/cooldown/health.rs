//! The handle on one endpoint's health, and the guard of one call: [`HealthState`], [`HealthGuard`].

use std::{
    fmt,
    sync::{Arc, PoisonError, Weak, atomic::Ordering},
    time::Duration,
};

use tokio::time::Instant;

use super::breaker::{Breaker, Failure, Verdict};
use crate::{
    NoCapacity, OnComplete, Outcome,
    capacity::CapacityListeners,
    endpoint::{CapacityListener, Health, NoCapacityReason, Score},
    sync::{AtomicBool, AtomicU32, Mutex},
};

/// The rule by which an endpoint is unhealthy, and for how long it cools down.
#[derive(Clone)]
pub struct Policy {
    pub(super) cooldown_time: Duration,
    pub(super) allowed_fails: Option<u32>,
    pub(super) allowance: Option<Allowance>,
    pub(super) longest: Duration,
    pub(super) slow_start: Duration,
}

type Allowance = Arc<dyn Fn(&Outcome) -> Option<u32> + Send + Sync>;

impl Default for Policy {
    /// Cools down for 5 s, as LiteLLM does.
    fn default() -> Self {
        Self::new(Duration::from_secs(5))
    }
}

impl Policy {
    /// Cools down for this long at first; with zero never.
    #[must_use]
    pub const fn new(cooldown_time: Duration) -> Self {
        Self {
            cooldown_time,
            allowed_fails: None,
            allowance: None,
            longest: Duration::from_secs(300),
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
    /// gives one. Asked of failures only; must not look at the [`HealthState`].
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
    pub const fn with_longest(mut self, longest: Duration) -> Self {
        self.longest = longest;
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

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("cooldown_time", &self.cooldown_time)
            .field("allowed_fails", &self.allowed_fails)
            .finish_non_exhaustive()
    }
}

/// A handle on the health of one endpoint. Clones share one state, which outlives the services that use it.
#[derive(Clone)]
pub struct HealthState {
    shared: Arc<Shared>,
}

/// Nearly every endpoint is healthy, which is seen without the lock. Both atomics are written under it.
struct Shared {
    settled: AtomicBool,
    cooldowns: AtomicU32,
    judged: Mutex<Judged>,
    /// Told when a cooldown ends before its time.
    listeners: CapacityListeners,
}

struct Judged {
    policy: Policy,
    breaker: Breaker,
}

/// The state of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
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

/// The contents of a [`HealthState`] at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The state.
    pub state: State,
    /// The end of the cooldown, past or to come; `None` when it is healthy.
    pub until: Option<Instant>,
    /// Failures in the rolling minute, or since the last cooldown began or ended.
    pub fails: u32,
    /// The number of cooldowns so far.
    pub cooldowns: u32,
}

impl HealthState {
    /// Returns the state of an endpoint that was not called yet.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        let judged = Mutex::new(Judged { policy, breaker: Breaker::new() });
        let (settled, cooldowns) = (AtomicBool::new(true), AtomicU32::new(0));
        Self {
            shared: Arc::new(Shared { settled, cooldowns, judged, listeners: CapacityListeners::default() }),
        }
    }

    /// Judges by another policy from now on; the state stays.
    pub fn set_policy(&self, policy: Policy) {
        self.with(Instant::now(), |judged| judged.policy = policy);
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
        self.with(now, |judged| judged.health(now))
    }

    /// Returns the contents, for a status page or metrics.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let now = Instant::now();
        self.with(now, |Judged { policy, breaker }| Snapshot {
            state: breaker.state(policy, now),
            until: breaker.until().filter(|_| !policy.is_off()),
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
        let taken = self.with(now, |judged| judged.breaker.take_probe(&judged.policy));
        if let Some(of) = taken {
            return Ok(Some(Probe { health: self.clone(), of }));
        }
        // Chosen as the least bad it may be called all the same. Chosen as the probe it was chosen for nothing; asked
        // again, it says that it is avoided.
        let lost = seen.health == Health::HalfOpen && matches!(self.health_at(now), Health::CoolingDown(_));
        if lost { Err(NoCapacity { at: now, why: NoCapacityReason::Probing }) } else { Ok(None) }
    }

    pub(super) fn guard(&self, probe: Option<Probe>) -> HealthGuard {
        HealthGuard { health: self.clone(), begun: self.shared.cooldowns.load(Ordering::Acquire), probe }
    }

    pub(super) fn subscribe(&self, listener: &Weak<dyn CapacityListener>) {
        self.shared.listeners.add(listener);
    }

    fn is_settled(&self) -> bool {
        self.shared.settled.load(Ordering::Acquire)
    }

    fn with<T>(&self, now: Instant, f: impl FnOnce(&mut Judged) -> T) -> T {
        let mut judged = self.shared.judged.lock().unwrap_or_else(PoisonError::into_inner);
        judged.breaker.advance(now);
        let was_avoided = judged.is_avoided(now);
        let result = f(&mut judged);
        self.shared.settled.store(judged.breaker.is_settled(&judged.policy, now), Ordering::Release);
        self.shared.cooldowns.store(judged.breaker.cooldowns(), Ordering::Release);
        let freed = was_avoided && !judged.is_avoided(now);
        drop(judged);
        if freed {
            self.shared.listeners.notify();
        }
        result
    }
}

impl Judged {
    fn health(&self, now: Instant) -> Health {
        self.breaker.health(&self.policy, now)
    }

    fn is_avoided(&self, now: Instant) -> bool {
        matches!(self.health(now), Health::CoolingDown(_))
    }
}

impl fmt::Debug for HealthState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HealthState").field(&self.snapshot()).finish()
    }
}

/// The one probe after a cooldown, given back when dropped.
#[derive(Debug)]
pub(super) struct Probe {
    health: HealthState,
    /// The number of the cooldown that it is the probe of.
    of: u32,
}

impl Drop for Probe {
    fn drop(&mut self) {
        let now = Instant::now();
        self.health.with(now, |judged| judged.breaker.give_back_probe(self.of, now));
    }
}

/// Records how one call ended. Dropped before, it records nothing, and gives back the probe if it held it.
#[derive(Debug)]
pub struct HealthGuard {
    health: HealthState,
    /// The number of cooldowns when the call began.
    begun: u32,
    probe: Option<Probe>,
}

impl HealthGuard {
    /// Notes the head of the answer. A good one ends the cooldown now, and not at the end of a long body.
    pub(super) fn head(&mut self, outcome: &Outcome) {
        if Verdict::of(outcome) == Verdict::Good {
            // Mostly there is no cooldown to end, and one that begins now is none of this call's.
            if !self.health.is_settled() {
                let now = Instant::now();
                self.health.with(now, |judged| judged.breaker.answers(self.begun, now));
            }
            self.probe = None;
        }
    }
}

#[cfg(test)]
impl HealthGuard {
    /// Returns whether it holds the probe of the present cooldown.
    pub(super) fn is_probe(&self) -> bool {
        self.probe.is_some() && self.begun == self.health.snapshot().cooldowns
    }
}

impl OnComplete for HealthGuard {
    fn complete(self, outcome: &Outcome) {
        let now = Instant::now();
        self.health.with(now, |Judged { policy, breaker }| match Verdict::of(outcome) {
            _ if policy.is_off() => {}
            Verdict::Good => breaker.succeeded(self.begun, now),
            Verdict::Bad => {
                let failure = Failure { outcome, begun: self.begun, probe: self.probe.is_some() };
                breaker.failed(policy, failure, now);
            }
            Verdict::Silent => {}
        });
    }
}
