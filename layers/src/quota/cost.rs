//! The estimated cost of a call, [`Cost`], and its correction by the actual costs of earlier calls: [`CostCorrection`].

use super::requests::{as_f64, whole};

/// The estimated cost of a call, in the unit of the token limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// The input.
    pub input: u64,
    /// The output.
    pub output: u64,
}

impl Cost {
    /// Returns input and output together.
    #[must_use]
    pub const fn total(self) -> u64 {
        self.input.saturating_add(self.output)
    }
}

/// A cost that is not divided: all of it is input.
impl From<u64> for Cost {
    fn from(input: u64) -> Self {
        Self { input, output: 0 }
    }
}

/// The bounds of the factor. An estimate that is further off is not worth correcting.
const BOUNDS: (f64, f64) = (0.05, 20.0);
/// The part of the way to the ratio of one call by which the factor moves.
const STEP: f64 = 0.05;
/// The largest part of itself by which one call raises the factor.
const LARGEST_RAISE: f64 = 0.25;
/// The time for which a factor is kept without further evidence, in milliseconds.
const KEPT: u64 = 30_000;
/// The time without further evidence after which the factor is 1, in milliseconds.
const FORGOTTEN: u64 = 120_000;

/// The factor from the estimated to the expected actual cost of a call.
///
/// A single call changes the factor by at most 5 % downwards and 25 % upwards, so that a call with an absurd estimate, or a
/// response with an absurd usage, does not set the reservations of the others. A factor that no call confirms returns to
/// 1 with time.
#[derive(Debug)]
pub(super) struct CostCorrection {
    factor: f64,
    /// The time of the last evidence.
    at: u64,
}

impl CostCorrection {
    pub(super) const fn new() -> Self {
        Self { factor: 1.0, at: 0 }
    }

    /// Returns the expected actual cost of a call with this estimate.
    pub(super) fn apply(&self, estimate: u64, now: u64) -> u64 {
        // Every check calls this; most meters have learned nothing.
        if self.factor == 1.0 { estimate } else { whole((as_f64(estimate) * self.factor(now)).ceil()) }
    }

    /// Returns the factor as of `now`.
    pub(super) fn factor(&self, now: u64) -> f64 {
        let left = FORGOTTEN.saturating_sub(now.saturating_sub(self.at)).min(FORGOTTEN - KEPT);
        if left == FORGOTTEN - KEPT {
            return self.factor;
        }
        self.factor.powf(as_f64(left) / as_f64(FORGOTTEN - KEPT))
    }

    /// Records the actual cost of a call.
    pub(super) fn learn(&mut self, estimate: u64, used: u64, now: u64) {
        let factor = self.factor(now);
        let ratio = (as_f64(used) / as_f64(estimate.max(1))).clamp(BOUNDS.0, BOUNDS.1);
        self.factor = factor + ((ratio - factor) * STEP).min(factor * LARGEST_RAISE);
        self.at = now;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_cost_correction_approaches_the_ratio_of_estimated_and_actual_costs() {
        for (estimate, used, factor) in
            [(1_000, 100, 0.1), (100, 300, 3.0), (1_000, 1, 0.05), (1, 1_000, 20.0)]
        {
            let mut correction = CostCorrection::new();
            (0..200).for_each(|call| correction.learn(estimate, used, call));
            let learned = correction.factor(200);
            assert!((learned / factor - 1.0).abs() < 0.02, "{used} of {estimate}: {learned}");
        }
    }

    proptest! {
        #[test]
        fn one_call_changes_a_cost_correction_by_a_bounded_part(
            calls in prop::collection::vec((any::<u64>(), any::<u64>(), 0u64..200_000), 1..100),
        ) {
            let (mut correction, mut now) = (CostCorrection::new(), 0);
            for (estimate, used, wait) in calls {
                now += wait;
                let before = correction.factor(now);
                correction.learn(estimate, used, now);
                let change = correction.factor(now) / before;
                prop_assert!((0.95 - 1e-9..=1.25 + 1e-9).contains(&change), "{before} by {change}");
            }
        }

        #[test]
        fn a_cost_correction_is_forgotten_after_two_minutes(
            calls in prop::collection::vec((any::<u64>(), any::<u64>()), 1..300),
        ) {
            let mut correction = CostCorrection::new();
            calls.iter().for_each(|(estimate, used)| correction.learn(*estimate, *used, 7));
            let (soon, late) = (correction.factor(30_007), correction.factor(120_007));
            prop_assert_eq!(soon, correction.factor(7));
            prop_assert!((late - 1.0).abs() < 1e-9, "{} is left", late);
        }
    }
}
