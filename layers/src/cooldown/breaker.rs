//! The health of one endpoint: [`Breaker`], a state machine without a clock.

use std::time::Duration;

use tokio::time::Instant;

use super::{Policy, State};
use crate::{Class, Outcome, endpoint::Health, rolling::Rolling};

/// Without `allowed_fails`: the number of failures in a row that begins a cooldown, and the number of calls in the
/// rolling minute from which on a majority of failures begins one.
const FEW: u32 = 5;
/// The part of its weight with which a slow start begins: enough to be picked at all.
const LEAST: f64 = 0.1;
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
    row: u32,
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
pub(super) enum Verdict {
    Good,
    Bad,
    /// No evidence.
    Silent,
}

/// A call that has failed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failure<'a> {
    pub(super) outcome: &'a Outcome,
    /// The number of cooldowns when it began.
    pub(super) begun: u32,
    /// Set for the probe.
    pub(super) probe: bool,
}

impl Verdict {
    pub(super) fn of(outcome: &Outcome) -> Self {
        if !outcome.is_evidence() {
            return Self::Silent;
        }
        match outcome.class() {
            Class::Success => Self::Good,
            Class::Unauthorized | Class::Timeout | Class::Unavailable => Self::Bad,
            // The caller's own errors; and a limit that is reached is a fact about capacity, for the meter.
            Class::Caller | Class::ContextWindow | Class::ContentPolicy | Class::RateLimited => Self::Silent,
        }
    }
}

impl Breaker {
    pub(super) const fn new() -> Self {
        Self {
            phase: Phase::Healthy { since: None },
            minute: Rolling::new(Duration::from_secs(1)),
            row: 0,
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

    pub(super) fn health(&self, policy: &Policy, now: Instant) -> Health {
        match self.phase {
            _ if policy.is_off() => Health::Healthy(1.0),
            Phase::Healthy { since } => {
                Health::Healthy(since.map_or(1.0, |since| ramp(since, policy.slow_start, now)))
            }
            Phase::HalfOpen { .. } => Health::HalfOpen,
            // While the probe is out it stays the least bad: the group may have nothing else.
            Phase::CoolingDown { until, .. } | Phase::Probing { until, .. } => Health::CoolingDown(until),
        }
    }

    pub(super) fn state(&self, policy: &Policy, now: Instant) -> State {
        match self.phase {
            Phase::Healthy { .. } if !self.is_settled(policy, now) => State::SlowStart,
            Phase::Healthy { .. } => State::Healthy,
            _ if policy.is_off() => State::Healthy,
            Phase::CoolingDown { .. } => State::CoolingDown,
            Phase::HalfOpen { .. } => State::HalfOpen,
            Phase::Probing { .. } => State::Probing,
        }
    }

    /// Returns whether it has its whole weight, and keeps it until a call fails.
    pub(super) fn is_settled(&self, policy: &Policy, now: Instant) -> bool {
        matches!(self.phase, Phase::Healthy { .. }) && self.health(policy, now) == Health::Healthy(1.0)
    }

    /// Takes the probe, if there is one to take. Returns the number of its cooldown.
    pub(super) fn take_probe(&mut self, policy: &Policy) -> Option<u32> {
        let Phase::HalfOpen { until, length } = self.phase else { return None };
        if policy.is_off() {
            return None;
        }
        self.phase = Phase::Probing { until, length };
        Some(self.cooldowns)
    }

    /// Gives back the probe of that cooldown. Another one may have begun since, whose probe is another.
    pub(super) fn give_back_probe(&mut self, of: u32, now: Instant) {
        if let Phase::Probing { until, length } = self.phase
            && of == self.cooldowns
        {
            self.phase = Phase::CoolingDown { until, length };
            self.advance(now);
        }
    }

    /// Counts a failure. A call that began before the last cooldown says nothing about now: of many that were under way
    /// when a backend stalled, the last may time out when the endpoint has long been healthy again.
    pub(super) fn failed(&mut self, policy: &Policy, failure: Failure<'_>, now: Instant) {
        if failure.begun != self.cooldowns {
            return;
        }
        self.minute.move_to(now);
        self.minute.add(BAD);
        self.row += 1;
        match self.phase {
            Phase::Healthy { .. } if !self.trips(policy, failure.outcome) => {}
            Phase::Healthy { .. } => self.cool_down(policy, now),
            _ if failure.probe => self.cool_down(policy, now),
            Phase::CoolingDown { until, length } | Phase::HalfOpen { until, length } => {
                self.phase = Phase::CoolingDown { until: renewed(until, length, now), length };
            }
            Phase::Probing { until, length } => {
                self.phase = Phase::Probing { until: renewed(until, length, now), length };
            }
        }
    }

    /// Counts a call that began after so many cooldowns and went well to its end.
    pub(super) fn succeeded(&mut self, begun: u32, now: Instant) {
        self.answers(begun, now);
        self.minute.move_to(now);
        self.minute.add(GOOD);
        self.row = 0;
    }

    /// Ends the cooldown when a call that began in it is being answered. One that began earlier says nothing about now.
    pub(super) fn answers(&mut self, begun: u32, now: Instant) {
        if self.until().is_some() && begun == self.cooldowns {
            self.phase = Phase::Healthy { since: Some(now) };
            self.row = 0;
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

    fn trips(&self, policy: &Policy, outcome: &Outcome) -> bool {
        let [good, bad] = self.minute.sum();
        match (policy.allows(outcome), policy.allowed_fails) {
            (Some(allowed), _) => bad > allowed,
            (None, _) if outcome.class() == Class::Unauthorized => true,
            (None, Some(allowed)) => bad > allowed,
            (None, None) => self.row >= FEW || (bad + good >= FEW && bad > good),
        }
    }

    /// Begins a cooldown.
    fn cool_down(&mut self, policy: &Policy, now: Instant) {
        if let Phase::Healthy { since: Some(since) } = self.phase {
            let clean = now.saturating_duration_since(since).as_secs() / RECOVERY.as_secs();
            self.doublings = self.doublings.saturating_sub(u32::try_from(clean).unwrap_or(u32::MAX));
        }
        let longest = policy.longest.max(policy.cooldown_time);
        let length = policy.cooldown_time.saturating_mul(1 << self.doublings.min(31)).min(longest);
        if length < longest {
            self.doublings += 1;
        }
        let until = renewed(self.until().unwrap_or(now), length, now);
        self.phase = Phase::CoolingDown { until, length };
        self.cooldowns += 1;
        self.row = 0;
        self.minute.clear();
    }
}

/// Returns the end of a cooldown that begins anew: it only ever moves away.
fn renewed(until: Instant, length: Duration, now: Instant) -> Instant {
    now.checked_add(length).map_or(until, |renewed| renewed.max(until))
}

fn ramp(since: Instant, slow_start: Duration, now: Instant) -> f64 {
    let passed = now.saturating_duration_since(since);
    if passed >= slow_start { 1.0 } else { passed.div_duration_f64(slow_start).max(LEAST) }
}
