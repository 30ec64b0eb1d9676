//! The meters that few deployments have, behind one test in [`MeterState`](super::state::MeterState): tokens per minute by
//! direction, and limits per day.

use super::{
    cost::{Cost, CostCorrection},
    daily::DailyMeters,
    limits::Limits,
    tokens::TokenMeter,
};
use crate::{Outcome, endpoint::NoCapacityReason};

/// The meters of input and of output tokens per minute, and of requests and tokens per day.
#[derive(Debug)]
pub(super) struct OptionalMeters {
    pub(super) input: Option<DirectionMeter>,
    pub(super) output: Option<DirectionMeter>,
    pub(super) daily: Option<DailyMeters>,
}

/// The charge of one call on the [`OptionalMeters`].
#[derive(Clone, Copy, Debug)]
pub(super) struct OptionalCharge {
    input: Option<DirectionCharge>,
    output: Option<DirectionCharge>,
    /// The end of the day of the call.
    day: Option<u64>,
    /// The tokens that were charged for the day.
    tokens: u64,
}

impl OptionalMeters {
    /// Returns the meters for these limits, or none if they have none of them. The usage in `kept` stays.
    pub(super) fn new(limits: &Limits, kept: Option<Box<Self>>, now: u64) -> Option<Box<Self>> {
        let (input, output, daily) = match kept {
            Some(kept) => (kept.input, kept.output, kept.daily),
            None => (None, None, None),
        };
        let meters = Self {
            input: limits.input_tokens.map(|limit| DirectionMeter::new(limit, input)),
            output: limits.output_tokens.map(|limit| DirectionMeter::new(limit, output)),
            daily: limits.daily.map(|limits| DailyMeters::new(limits, daily, now)),
        };
        let any = meters.input.is_some() || meters.output.is_some() || meters.daily.is_some();
        any.then(|| Box::new(meters))
    }

    /// Checks if a call may begin now: `estimate` is its estimated cost, `expected` the corrected sum.
    ///
    /// # Errors
    /// Returns the earliest time at which one may, and the limit that is reached.
    pub(super) fn check(
        &mut self,
        (estimate, expected): (Cost, u64),
        now: u64,
    ) -> Result<(), (u64, NoCapacityReason)> {
        let input = self.input.as_mut().map_or(Ok(()), |meter| meter.check(estimate.input, now));
        let output = self.output.as_mut().map_or(Ok(()), |meter| meter.check(estimate.output, now));
        let minute = input.err().max(output.err()).map(|at| (at, NoCapacityReason::Cost));
        let day = self.daily.as_mut().and_then(|daily| daily.check(expected, now).err());
        // A day ends later than a minute, unless it is just over.
        let later = minute.into_iter().chain(day).max_by_key(|(at, _)| *at);
        later.map_or(Ok(()), Err)
    }

    pub(super) fn take(&mut self, (estimate, expected): (Cost, u64), now: u64) -> OptionalCharge {
        OptionalCharge {
            input: self.input.as_mut().map(|meter| meter.take(estimate.input, now)),
            output: self.output.as_mut().map(|meter| meter.take(estimate.output, now)),
            day: self.daily.as_mut().map(|daily| daily.take(expected, now)),
            tokens: expected,
        }
    }

    /// Refunds the charge of a call that was not sent.
    pub(super) fn refund(&mut self, charge: &OptionalCharge) {
        for (meter, charge) in [(&mut self.input, charge.input), (&mut self.output, charge.output)] {
            if let (Some(meter), Some(charge)) = (meter, charge) {
                meter.tokens.correct(charge.recorded_at, charge.reserved, 0);
            }
        }
        if let (Some(daily), Some(day)) = (&mut self.daily, charge.day) {
            daily.refund(day, charge.tokens);
        }
    }

    /// Replaces the reserved tokens by the actual ones. Returns true if that has freed capacity.
    pub(super) fn settle(&mut self, charge: &OptionalCharge, outcome: &Outcome, now: u64) -> bool {
        let (total, output) = (outcome.used(), outcome.used_output());
        let input = total.zip(output).map(|(total, output)| total.saturating_sub(output));
        let mut freed = false;
        for (meter, charge, used) in
            [(&mut self.input, charge.input, input), (&mut self.output, charge.output, output)]
        {
            if let (Some(meter), Some(charge), Some(used)) = (meter, charge, used) {
                freed |= meter.settle(charge, used, now);
            }
        }
        if let (Some(daily), Some(day), Some(total)) = (&mut self.daily, charge.day, total) {
            freed |= daily.settle(day, charge.tokens, total);
        }
        freed
    }

    /// Returns the utilisation of the fuller meter per minute, 0.0 to 1.0. The day does not count: a deployment that has
    /// used most of its day is as fast as before.
    pub(super) fn used(&self) -> f64 {
        let part = |meter: &Option<DirectionMeter>| {
            meter.as_ref().map_or(0.0, |meter| meter.tokens.minute.used_part())
        };
        part(&self.input).max(part(&self.output))
    }

    /// Returns the number of such calls that could begin until `by`.
    pub(super) fn slots(&mut self, (estimate, expected): (Cost, u64), now: u64, by: u64) -> u64 {
        let input = self.input.as_mut().map_or(u64::MAX, |meter| meter.slots(estimate.input, now, by));
        let output = self.output.as_mut().map_or(u64::MAX, |meter| meter.slots(estimate.output, now, by));
        let day = self.daily.as_mut().map_or(u64::MAX, |daily| daily.slots(expected, now, by));
        input.min(output).min(day)
    }
}

/// The tokens of one direction in the last minute, with a correction of their estimates.
#[derive(Debug)]
pub(super) struct DirectionMeter {
    pub(super) tokens: TokenMeter,
    correction: CostCorrection,
}

/// The charge of one call on a [`DirectionMeter`].
#[derive(Clone, Copy, Debug)]
struct DirectionCharge {
    recorded_at: u64,
    estimate: u64,
    reserved: u64,
}

impl DirectionMeter {
    fn new(limit: u64, kept: Option<Self>) -> Self {
        let mut meter = kept
            .unwrap_or_else(|| Self { tokens: TokenMeter::new(limit), correction: CostCorrection::new() });
        meter.tokens.minute.set_limit(limit);
        meter
    }

    /// Returns the tokens to reserve: the corrected estimate, and at most the whole limit.
    fn expected(&self, estimate: u64, now: u64) -> u64 {
        self.correction.apply(estimate, now).min(self.tokens.minute.limit)
    }

    /// Returns the tokens of the last minute.
    pub(super) const fn used(&self) -> u64 {
        self.tokens.minute.used()
    }

    fn check(&mut self, estimate: u64, now: u64) -> Result<(), u64> {
        let expected = self.expected(estimate, now);
        self.tokens.check(expected, now)
    }

    fn take(&mut self, estimate: u64, now: u64) -> DirectionCharge {
        let reserved = self.expected(estimate, now);
        DirectionCharge { recorded_at: self.tokens.take(reserved, now), estimate, reserved }
    }

    fn settle(&mut self, charge: DirectionCharge, used: u64, now: u64) -> bool {
        let was = self.correction.factor(now);
        self.correction.learn(charge.estimate.min(self.tokens.minute.limit), used, now);
        self.tokens.correct(charge.recorded_at, charge.reserved, used);
        used < charge.reserved || self.correction.factor(now) < was
    }

    fn slots(&mut self, estimate: u64, now: u64, by: u64) -> u64 {
        let expected = self.expected(estimate, now);
        self.tokens.slots(expected, (now, by), false)
    }
}
