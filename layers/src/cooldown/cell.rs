//! What is known about one endpoint's health: [`Cell`], a state machine without a clock.

use std::time::Duration;

use tokio::time::Instant;

use super::Policy;
use crate::{Class, Ending, endpoint::Health, rolling::Rolling};

/// Without `allowed_fails`: benched after so many failures in a row, or when more than half of at least so many calls
/// in the rolling minute have failed.
const FEW: u32 = 5;
/// A slow start begins with this part of the endpoint's weight: enough to be picked at all.
const LEAST: f64 = 0.1;
/// For each such time that it is well, the next bench is half as long.
const RECOVERY: Duration = Duration::from_secs(60);

/// Successes and failures, as kinds of a [`Rolling`] count.
const GOOD: usize = 0;
const BAD: usize = 1;

#[derive(Debug)]
pub(super) struct Cell {
    minute: Rolling<60>,
    /// Failures in a row.
    row: u32,
    /// Benched until then; when that is past, waiting for the probe. None: well.
    until: Option<Instant>,
    /// How long this bench is, to renew it.
    length: Duration,
    /// The next bench is the base length doubled so often.
    doublings: u32,
    /// When the last bench was lifted.
    well_since: Option<Instant>,
    /// The bench, by its number, whose probe is out.
    probing: Option<u32>,
    /// How many benches there were; so a call can tell whether one began after it did.
    benches: u32,
}

/// What an ending says about health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Good,
    Bad,
    /// It says nothing.
    Silent,
}

/// A call that has failed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failure<'a> {
    pub(super) ending: &'a Ending,
    /// It began after so many benches.
    pub(super) begun: u32,
    /// It was the probe.
    pub(super) probe: bool,
}

impl Verdict {
    pub(super) fn of(ending: &Ending) -> Self {
        if !ending.is_evidence() {
            return Self::Silent;
        }
        match ending.class() {
            Class::Success => Self::Good,
            Class::Unauthorized | Class::Timeout | Class::Unavailable => Self::Bad,
            // The caller's own errors; and a limit that is reached is a fact about capacity, for the meter.
            Class::Caller | Class::ContextWindow | Class::ContentPolicy | Class::RateLimited => Self::Silent,
        }
    }
}

impl Cell {
    pub(super) const fn new() -> Self {
        Self {
            minute: Rolling::new(Duration::from_secs(1)),
            row: 0,
            until: None,
            length: Duration::ZERO,
            doublings: 0,
            well_since: None,
            probing: None,
            benches: 0,
        }
    }

    pub(super) fn health(&self, policy: &Policy, now: Instant) -> Health {
        if policy.is_off() {
            return Health::Well(1.0);
        }
        match self.until {
            None => Health::Well(self.well_since.map_or(1.0, |since| ramp(since, policy.slow_start, now))),
            Some(until) if until <= now && self.probing.is_none() => Health::Probe,
            // While the probe is out it stays the least bad: the group may have nothing else.
            Some(until) => Health::Benched(until),
        }
    }

    /// Whether it is well, and stays so until something is heard.
    pub(super) fn is_settled(&self, policy: &Policy, now: Instant) -> bool {
        self.until.is_none() && self.health(policy, now) == Health::Well(1.0)
    }

    /// Takes the probe, if there is one to take. The number of its bench.
    pub(super) fn take_probe(&mut self, policy: &Policy, now: Instant) -> Option<u32> {
        let free = self.health(policy, now) == Health::Probe;
        free.then(|| *self.probing.insert(self.benches))
    }

    /// The probe of that bench is over. Another bench may have begun since, and its probe is another.
    pub(super) fn give_back_probe(&mut self, of: u32) {
        self.probing = self.probing.filter(|&out| out != of);
    }

    /// A call has failed. What was asked before the last bench began says nothing about now: of many that were under way
    /// when a backend stalled, the last may time out when it has long been well again.
    pub(super) fn failed(&mut self, policy: &Policy, failure: Failure<'_>, now: Instant) {
        if failure.begun != self.benches {
            return;
        }
        self.minute.move_to(now);
        self.minute.add(BAD);
        self.row += 1;
        match self.until {
            Some(_) if failure.probe => self.bench(policy, now),
            Some(until) => self.until = until.max(now.checked_add(self.length).unwrap_or(until)).into(),
            None if self.trips(policy, failure.ending) => self.bench(policy, now),
            None => {}
        }
    }

    /// The call, which began after so many benches, went well to its end.
    pub(super) fn succeeded(&mut self, begun: u32, now: Instant) {
        self.answers(begun, now);
        self.minute.move_to(now);
        self.minute.add(GOOD);
        self.row = 0;
    }

    /// The call, which began after so many benches, is being answered. What was asked before the bench began says
    /// nothing about now.
    pub(super) fn answers(&mut self, begun: u32, now: Instant) {
        if self.until.is_some() && begun == self.benches {
            self.until = None;
            self.probing = None;
            self.well_since = Some(now);
            self.row = 0;
            self.minute.clear();
        }
    }

    /// How many have failed, and how many were heard of, in the rolling minute.
    pub(super) fn minute(&mut self, now: Instant) -> (u32, u32) {
        self.minute.move_to(now);
        let [good, bad] = self.minute.sum();
        (bad, good + bad)
    }

    pub(super) const fn until(&self) -> Option<Instant> {
        self.until
    }

    pub(super) const fn benches(&self) -> u32 {
        self.benches
    }

    fn trips(&self, policy: &Policy, ending: &Ending) -> bool {
        let [good, bad] = self.minute.sum();
        match (policy.allows(ending), policy.allowed_fails) {
            (Some(allowed), _) => bad > allowed,
            (None, _) if ending.class() == Class::Unauthorized => true,
            (None, Some(allowed)) => bad > allowed,
            (None, None) => self.row >= FEW || (bad + good >= FEW && bad > good),
        }
    }

    fn bench(&mut self, policy: &Policy, now: Instant) {
        if let Some(since) = self.well_since.take() {
            let clean = now.saturating_duration_since(since).as_secs() / RECOVERY.as_secs();
            self.doublings = self.doublings.saturating_sub(u32::try_from(clean).unwrap_or(u32::MAX));
        }
        let longest = policy.longest.max(policy.cooldown_time);
        self.length = policy.cooldown_time.saturating_mul(1 << self.doublings.min(31)).min(longest);
        if self.length < longest {
            self.doublings += 1;
        }
        let until = now.checked_add(self.length).unwrap_or(now);
        self.until = Some(self.until.map_or(until, |old| old.max(until)));
        self.benches += 1;
        self.probing = None;
        self.row = 0;
        self.minute.clear();
    }
}

fn ramp(since: Instant, slow_start: Duration, now: Instant) -> f64 {
    let passed = now.saturating_duration_since(since);
    if passed >= slow_start { 1.0 } else { passed.div_duration_f64(slow_start).max(LEAST) }
}
