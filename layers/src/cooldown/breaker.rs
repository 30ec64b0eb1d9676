//! The state machine of one endpoint's health, without a clock: [`Breaker`].

use std::time::Duration;

use tokio::time::Instant;

use super::{CooldownConfig, HealthState};
use crate::{Class, Outcome, endpoint::Health, rolling::Rolling};

/// The rule without `allowed_fails`: this many consecutive failures begin a cooldown, and so does a majority of failures
/// among at least this many calls in the rolling minute.
const MIN_CALLS: u32 = 5;
/// The fraction of the weight with which a slow start begins: enough to be picked at all.
const MIN_WEIGHT: f64 = 0.1;
/// The time of health after which the next cooldown is half as long.
const RECOVERY: Duration = Duration::from_secs(60);

/// The index of successes in a [`Rolling`] count.
const GOOD: usize = 0;
/// The index of failures in a [`Rolling`] count.
const BAD: usize = 1;

/// The phase of an endpoint, and the counts that determine the next phase.
#[derive(Debug)]
pub(super) struct Breaker {
    phase: Phase,
    minute: Rolling<60>,
    /// The counts at other replicas; `None` if the endpoint has not failed here or there since it is shared.
    others: Option<Box<Others>>,
    /// The number of consecutive failures.
    consecutive_failures: u32,
    /// The number of times that the next cooldown's length is doubled.
    doublings: u32,
    /// The number of cooldowns so far. A call compares it with the number at its begin.
    cooldowns: u32,
}

/// The outcomes at the other replicas, and the first tick of which the own outcomes were not shared yet.
#[derive(Debug)]
struct Others {
    minute: Rolling<60>,
    shared: u128,
}

impl Default for Others {
    fn default() -> Self {
        Self { minute: Rolling::new(Duration::from_secs(1)), shared: 0 }
    }
}

/// The phases of the diagram in the module's documentation.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Called normally. The last cooldown ended, and a slow start began, at `since`.
    Healthy { since: Option<Instant> },
    /// Avoided until the cooldown ends at `until`. A failure renews it by `length`.
    CoolingDown { until: Instant, length: Duration },
    /// The cooldown is over, and one call may be the probe.
    HalfOpen { until: Instant, length: Duration },
    /// The probe is in flight. Until its end the endpoint is avoided, although the cooldown is over.
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
    /// The number of cooldowns when the call began.
    pub(super) generation: u32,
    /// True for the probe.
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
            // The caller's own errors; a reached limit concerns capacity, which the meter handles.
            Class::Caller | Class::ContextWindow | Class::ContentPolicy | Class::RateLimited => Self::None,
        }
    }
}

impl Breaker {
    pub(super) const fn new() -> Self {
        Self {
            phase: Phase::Healthy { since: None },
            minute: Rolling::new(Duration::from_secs(1)),
            others: None,
            consecutive_failures: 0,
            doublings: 0,
            cooldowns: 0,
        }
    }

    /// Ends a cooldown that is over at `now`. Must be called before any other method, because there is no clock here.
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
            // Not refused during the probe, because the group may have no other endpoint.
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

    /// Returns true if the endpoint has its full weight and keeps it until a call fails.
    pub(super) fn is_settled(&self, config: &CooldownConfig, now: Instant) -> bool {
        matches!(self.phase, Phase::Healthy { .. }) && self.health(config, now) == Health::Healthy(1.0)
    }

    /// Takes the probe if it is available. Returns the number of its cooldown.
    pub(super) fn take_probe(&mut self, config: &CooldownConfig) -> Option<u32> {
        let Phase::HalfOpen { until, length } = self.phase else { return None };
        if config.is_off() {
            return None;
        }
        self.phase = Phase::Probing { until, length };
        Some(self.cooldowns)
    }

    /// Returns the probe of the cooldown with this number. A later cooldown may have begun since, with a probe of its own.
    pub(super) fn return_probe(&mut self, cooldown: u32, now: Instant) {
        if let Phase::Probing { until, length } = self.phase
            && cooldown == self.cooldowns
        {
            self.phase = Phase::CoolingDown { until, length };
            self.advance(now);
        }
    }

    /// Counts a failure. A call that began before the last cooldown is ignored: of many calls in flight when a backend
    /// stalled, the last may time out long after the endpoint has recovered.
    pub(super) fn failed(&mut self, config: &CooldownConfig, failure: Failure<'_>, now: Instant) {
        if failure.generation != self.cooldowns {
            return;
        }
        self.minute.move_to(now);
        self.minute.add(BAD);
        self.others.iter_mut().for_each(|others| others.minute.move_to(now));
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

    /// Counts a call that began after `generation` cooldowns and succeeded.
    pub(super) fn succeeded(&mut self, generation: u32, now: Instant) {
        self.end_cooldown(generation, now);
        self.minute.move_to(now);
        self.minute.add(GOOD);
        self.consecutive_failures = 0;
    }

    /// Ends the cooldown for a good response to a call that began during it. A call that began earlier is ignored.
    pub(super) fn end_cooldown(&mut self, generation: u32, now: Instant) {
        if generation == self.cooldowns {
            self.revive(now);
        }
    }

    /// Ends the cooldown, if there is one, with a slow start.
    pub(super) fn revive(&mut self, now: Instant) {
        if self.until().is_some() {
            self.phase = Phase::Healthy { since: Some(now) };
            self.consecutive_failures = 0;
            self.clear();
        }
    }

    fn clear(&mut self) {
        self.minute.clear();
        self.others.iter_mut().for_each(|others| others.minute.clear());
    }

    /// Begins a cooldown that has begun at another replica. It may last longer here, so that only one of the replicas
    /// probes the endpoint.
    pub(super) fn cool_down_with_others(&mut self, length: Duration, doublings: u32, now: Instant) {
        self.doublings = self.doublings.max(doublings);
        self.cool_down_for(length, now);
    }

    pub(super) const fn doublings(&self) -> u32 {
        self.doublings
    }

    /// Returns the successes and failures since the last call that other replicas should count too: those of an endpoint
    /// that has failed within the last minute. After the first failure these are the outcomes of that minute.
    pub(super) fn outcomes_to_share(&mut self, now: Instant) -> [u32; 2] {
        self.minute.move_to(now);
        let has_failed = self.minute.sum()[BAD] > 0;
        if !has_failed && self.others.is_none() {
            return [0; 2];
        }
        let counts = self.minute.ended_since(&mut self.others.get_or_insert_default().shared);
        if has_failed { counts } else { [0; 2] }
    }

    /// Counts the successes and failures at another replica.
    pub(super) fn count_others(&mut self, counts: [u32; 2], now: Instant) {
        let others = self.others.get_or_insert_default();
        others.minute.move_to(now);
        others.minute.add_all(counts);
    }

    /// Returns the number of failed calls and of completed calls in the rolling minute.
    pub(super) fn minute(&mut self, now: Instant) -> (u32, u32) {
        self.minute.move_to(now);
        let [good, bad] = self.minute.sum();
        (bad, good + bad)
    }

    /// Returns the end of the cooldown, which may be in the past, or `None` if the endpoint is healthy.
    pub(super) const fn until(&self) -> Option<Instant> {
        match self.phase {
            Phase::Healthy { .. } => None,
            Phase::CoolingDown { until, .. }
            | Phase::HalfOpen { until, .. }
            | Phase::Probing { until, .. } => Some(until),
        }
    }

    /// Returns the end of the cooldown as [`until`](Self::until) does, and true if the probe is in flight.
    pub(super) const fn cooldown(&self) -> Option<(Instant, bool)> {
        match self.until() {
            Some(until) => Some((until, matches!(self.phase, Phase::Probing { .. }))),
            None => None,
        }
    }

    pub(super) const fn cooldowns(&self) -> u32 {
        self.cooldowns
    }

    /// Returns true if a healthy endpoint with these counts must cool down.
    fn trips(&self, config: &CooldownConfig, outcome: &Outcome) -> bool {
        let [good, bad] = self.minute.sum();
        let [good_there, bad_there] = self.others.as_ref().map_or([0; 2], |others| others.minute.sum());
        let (good, bad) = (good + good_there, bad + bad_there);
        match (config.allows(outcome), config.allowed_fails) {
            (Some(allowed), _) => bad > allowed,
            (None, _) if outcome.class() == Class::Unauthorized => true,
            (None, Some(allowed)) => bad > allowed,
            (None, None) => self.consecutive_failures >= MIN_CALLS || (bad + good >= MIN_CALLS && bad > good),
        }
    }

    /// Begins a cooldown, longer than the last.
    fn cool_down(&mut self, config: &CooldownConfig, now: Instant) {
        if let Phase::Healthy { since: Some(since) } = self.phase {
            let minutes = now.saturating_duration_since(since).as_secs() / RECOVERY.as_secs();
            self.doublings = self.doublings.saturating_sub(u32::try_from(minutes).unwrap_or(u32::MAX));
        }
        let max_cooldown = config.max_cooldown.max(config.cooldown_time);
        let length = config.cooldown_time.saturating_mul(1 << self.doublings.min(31)).min(max_cooldown);
        if length < max_cooldown {
            self.doublings += 1;
        }
        self.cool_down_for(length, now);
    }

    /// Begins a cooldown of this length.
    pub(super) fn cool_down_for(&mut self, length: Duration, now: Instant) {
        let until = renewed(self.until().unwrap_or(now), length, now);
        self.phase = Phase::CoolingDown { until, length };
        self.cooldowns += 1;
        self.consecutive_failures = 0;
        self.clear();
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
