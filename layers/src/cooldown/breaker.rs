//! The health of one endpoint: [`Breaker`], a state machine without a clock.

use std::time::Duration;

use tokio::time::Instant;

use super::{CooldownConfig, HealthState};
use crate::{Class, Outcome, endpoint::Health, rolling::Rolling};

/// Without `allowed_fails`: the number of failures in a row that begins a cooldown, and the number of calls in the
/// rolling minute from which on a majority of failures begins one.
const MIN_CALLS: u32 = 5;
/// The part of its weight with which a slow start begins: enough to be picked at all.
const MIN_WEIGHT: f64 = 0.1;
/// The healthy time after which the next cooldown is half as long.
const RECOVERY: Duration = Duration::from_secs(60);

/// Successes and failures, as kinds of a [`Rolling`] count.
const GOOD: usize = 0;
const BAD: usize = 1;

/// The phase of an endpoint, and what decides when another begins.
#[derive(Debug)]
pub(super) struct Breaker {
    phase: Phase,
    minute: Rolling<60>,
    /// Failures in a row.
    consecutive_failures: u32,
    /// The next cooldown is the base length doubled so often.
    doublings: u32,
    /// The number of cooldowns so far, by which a call can tell whether one began after it did.
    cooldowns: u32,
}

/// The states of the drawing in the module's documentation.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Takes calls. The last cooldown ended at `since`, where a slow start began.
    Healthy { since: Option<Instant> },
    /// Avoided until its time is over. A failure renews it by `length`.
    CoolingDown { until: Instant, length: Duration },
    /// Waits for the one call that may find out whether it is healthy again.
    HalfOpen { until: Instant, length: Duration },
    /// That call is under way. Until it ends the endpoint is avoided, although its time is over.
    Probing { until: Instant, length: Duration },
}

/// The meaning of an outcome for health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evidence {
    Good,
    Bad,
    /// No evidence.
    None,
}

/// A call that has failed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failure<'a> {
    pub(super) outcome: &'a Outcome,
    /// The number of cooldowns when it began.
    pub(super) generation: u32,
    /// Set for the probe.
    pub(super) probe: bool,
}

impl Evidence {
    pub(super) fn of(outcome: &Outcome) -> Self {
        if !outcome.is_evidence() {
            return Self::None;
        }
        match outcome.class() {
            Class::Success => Self::Good,
            Class::Unauthorized | Class::Timeout | Class::Unavailable => Self::Bad,
            // The caller's own errors; and a limit that is reached is a fact about capacity, for the meter.
            Class::Caller | Class::ContextWindow | Class::ContentPolicy | Class::RateLimited => Self::None,
        }
    }
}

impl Breaker {
    pub(super) const fn new() -> Self {
        Self {
            phase: Phase::Healthy { since: None },
            minute: Rolling::new(Duration::from_secs(1)),
            consecutive_failures: 0,
            doublings: 0,
            cooldowns: 0,
        }
    }

    /// Half opens what has cooled down by now. Comes before anything else, as there is no clock here.
    pub(super) fn advance(&mut self, now: Instant) {
        if let Phase::CoolingDown { until, length } = self.phase
            && until <= now
        {
            self.phase = Phase::HalfOpen { until, length };
        }
    }

    pub(super) fn health(&self, config: &CooldownConfig, now: Instant) -> Health {
        match self.phase {
            _ if config.is_off() => Health::Healthy(1.0),
            Phase::Healthy { since } => {
                Health::Healthy(since.map_or(1.0, |since| slow_start_weight(since, config.slow_start, now)))
            }
            Phase::HalfOpen { .. } => Health::HalfOpen,
            // While the probe is out it stays the least bad: the group may have nothing else.
            Phase::CoolingDown { until, .. } | Phase::Probing { until, .. } => Health::CoolingDown(until),
        }
    }

    pub(super) fn state(&self, config: &CooldownConfig, now: Instant) -> HealthState {
        match self.phase {
            Phase::Healthy { .. } if !self.is_settled(config, now) => HealthState::SlowStart,
            Phase::Healthy { .. } => HealthState::Healthy,
            _ if config.is_off() => HealthState::Healthy,
            Phase::CoolingDown { .. } => HealthState::CoolingDown,
            Phase::HalfOpen { .. } => HealthState::HalfOpen,
            Phase::Probing { .. } => HealthState::Probing,
        }
    }

    /// Returns whether it has its whole weight, and keeps it until a call fails.
    pub(super) fn is_settled(&self, config: &CooldownConfig, now: Instant) -> bool {
        matches!(self.phase, Phase::Healthy { .. }) && self.health(config, now) == Health::Healthy(1.0)
    }

    /// Takes the probe, if there is one to take. Returns the number of its cooldown.
    pub(super) fn take_probe(&mut self, config: &CooldownConfig) -> Option<u32> {
        let Phase::HalfOpen { until, length } = self.phase else { return None };
        if config.is_off() {
            return None;
        }
        self.phase = Phase::Probing { until, length };
        Some(self.cooldowns)
    }

    /// Gives back the probe of that cooldown. Another one may have begun since, whose probe is another.
    pub(super) fn return_probe(&mut self, of: u32, now: Instant) {
        if let Phase::Probing { until, length } = self.phase
            && of == self.cooldowns
        {
            self.phase = Phase::CoolingDown { until, length };
            self.advance(now);
        }
    }

    /// Counts a failure. A call that began before the last cooldown says nothing about now: of many that were under way
    /// when a backend stalled, the last may time out when the endpoint has long been healthy again.
    pub(super) fn failed(&mut self, config: &CooldownConfig, failure: Failure<'_>, now: Instant) {
        if failure.generation != self.cooldowns {
            return;
        }
        self.minute.move_to(now);
        self.minute.add(BAD);
        self.consecutive_failures += 1;
        match self.phase {
            Phase::Healthy { .. } if !self.trips(config, failure.outcome) => {}
            Phase::Healthy { .. } => self.cool_down(config, now),
            _ if failure.probe => self.cool_down(config, now),
            Phase::CoolingDown { until, length } | Phase::HalfOpen { until, length } => {
                self.phase = Phase::CoolingDown { until: renewed(until, length, now), length };
            }
            Phase::Probing { until, length } => {
                self.phase = Phase::Probing { until: renewed(until, length, now), length };
            }
        }
    }

    /// Counts a call that began after so many cooldowns and went well to its end.
    pub(super) fn succeeded(&mut self, generation: u32, now: Instant) {
        self.end_cooldown(generation, now);
        self.minute.move_to(now);
        self.minute.add(GOOD);
        self.consecutive_failures = 0;
    }

    /// Ends the cooldown when a call that began in it is being answered. One that began earlier says nothing about now.
    pub(super) fn end_cooldown(&mut self, generation: u32, now: Instant) {
        if self.until().is_some() && generation == self.cooldowns {
            self.phase = Phase::Healthy { since: Some(now) };
            self.consecutive_failures = 0;
            self.minute.clear();
        }
    }

    /// Returns how many calls have failed, and how many have ended, in the rolling minute.
    pub(super) fn minute(&mut self, now: Instant) -> (u32, u32) {
        self.minute.move_to(now);
        let [good, bad] = self.minute.sum();
        (bad, good + bad)
    }

    /// Returns the end of the cooldown, also of one whose time is over. `None` when it is healthy.
    pub(super) const fn until(&self) -> Option<Instant> {
        match self.phase {
            Phase::Healthy { .. } => None,
            Phase::CoolingDown { until, .. }
            | Phase::HalfOpen { until, .. }
            | Phase::Probing { until, .. } => Some(until),
        }
    }

    pub(super) const fn cooldowns(&self) -> u32 {
        self.cooldowns
    }

    fn trips(&self, config: &CooldownConfig, outcome: &Outcome) -> bool {
        let [good, bad] = self.minute.sum();
        match (config.allows(outcome), config.allowed_fails) {
            (Some(allowed), _) => bad > allowed,
            (None, _) if outcome.class() == Class::Unauthorized => true,
            (None, Some(allowed)) => bad > allowed,
            (None, None) => self.consecutive_failures >= MIN_CALLS || (bad + good >= MIN_CALLS && bad > good),
        }
    }

    /// Begins a cooldown.
    fn cool_down(&mut self, config: &CooldownConfig, now: Instant) {
        if let Phase::Healthy { since: Some(since) } = self.phase {
            let clean = now.saturating_duration_since(since).as_secs() / RECOVERY.as_secs();
            self.doublings = self.doublings.saturating_sub(u32::try_from(clean).unwrap_or(u32::MAX));
        }
        let max_cooldown = config.max_cooldown.max(config.cooldown_time);
        let length = config.cooldown_time.saturating_mul(1 << self.doublings.min(31)).min(max_cooldown);
        if length < max_cooldown {
            self.doublings += 1;
        }
        let until = renewed(self.until().unwrap_or(now), length, now);
        self.phase = Phase::CoolingDown { until, length };
        self.cooldowns += 1;
        self.consecutive_failures = 0;
        self.minute.clear();
    }
}

/// Returns the end of a renewed cooldown, which is never earlier than `until`.
fn renewed(until: Instant, length: Duration, now: Instant) -> Instant {
    now.checked_add(length).map_or(until, |renewed| renewed.max(until))
}

fn slow_start_weight(since: Instant, slow_start: Duration, now: Instant) -> f64 {
    let passed = now.saturating_duration_since(since);
    if passed >= slow_start { 1.0 } else { passed.div_duration_f64(slow_start).max(MIN_WEIGHT) }
}
