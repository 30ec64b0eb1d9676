//! How to choose among the endpoints with capacity: [`Strategy`].

use std::ops::Range;

use super::load::{Call, Loads, Table};
use crate::endpoint::{EndpointWeight, Health, Score};

/// How to choose among the endpoints that have room, are well and were not tried by this request.
///
/// Limits, benches and tiers hold under every one of them. Of more than 64 endpoints of one order a sample of 16 is
/// asked, drawn by weight or, under the strategies that do not go by weight, evenly; all are, where none of the sample
/// can be called. So the cheapest or the fastest of very many is preferred, but not always found; weights are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Strategy {
    /// Least work in flight and given lately, for its weight, its speed and its errors.
    #[default]
    Adaptive,
    /// A draw, weighted.
    SimpleShuffle,
    /// Fewest calls in flight.
    LeastBusy,
    /// Least of its limit used.
    UsageBased,
    /// One of the fastest: any that is slower than the fastest by no more than this part of its time.
    LatencyBased {
        /// 0.1 takes all that are at most a tenth slower.
        buffer: f64,
    },
    /// The cheapest. Those without a price come last.
    CostBased,
}

impl Strategy {
    /// Whether it goes by weight.
    pub(super) const fn weighs(self) -> bool {
        match self {
            Self::Adaptive | Self::SimpleShuffle | Self::UsageBased => true,
            Self::LeastBusy | Self::LatencyBased { .. } | Self::CostBased => false,
        }
    }

    /// Whether it draws lots.
    pub(super) const fn draws(self) -> bool {
        match self {
            Self::SimpleShuffle | Self::LatencyBased { .. } => true,
            Self::Adaptive | Self::LeastBusy | Self::UsageBased | Self::CostBased => false,
        }
    }
}

/// Cumulative weights, of which an index is drawn in proportion to its weight, as by rand's `WeightedIndex`.
#[derive(Debug)]
pub(super) struct WeightedIndex {
    sums: Vec<f64>,
}

impl WeightedIndex {
    pub(super) fn new(weights: impl Iterator<Item = f64>) -> Self {
        let sums = weights.scan(0.0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        });
        Self { sums: std::iter::once(0.0).chain(sums).collect() }
    }

    /// Draws one of `among`; evenly, where all weigh nothing.
    pub(super) fn sample(&self, among: &Range<usize>, rng: &mut fastrand::Rng) -> usize {
        let (start, end) = (self.sums[among.start], self.sums[among.end]);
        if end <= start {
            return rng.usize(among.clone());
        }
        let place = start + rng.f64() * (end - start);
        let drawn = self.sums[among.start + 1..=among.end].partition_point(|sum| *sum <= place);
        // Rounding may lead past the end.
        among.start + drawn.min(among.len() - 1)
    }
}

/// What each is meant to carry: the first of weight, requests and tokens per minute that any of them sets. Those that
/// do not set it get the mean of the others, so that none starves.
pub(super) fn weights(shares: &[EndpointWeight]) -> Vec<f64> {
    let of = |metric: fn(&EndpointWeight) -> Option<f64>| {
        let given = |share| metric(share).filter(|weight| weight.is_finite() && *weight >= 0.0);
        let (mut sum, mut count) = (0.0, 0.0);
        for weight in shares.iter().filter_map(given) {
            sum += weight;
            count += 1.0;
        }
        // LiteLLM too takes the first metric of which there is any above nothing.
        (sum > 0.0).then(|| shares.iter().map(|share| given(share).unwrap_or(sum / count)).collect())
    };
    of(|share| share.weight)
        .or_else(|| of(|share| share.rpm))
        .or_else(|| of(|share| share.tpm))
        .unwrap_or_else(|| vec![1.0; shares.len()])
}

/// An endpoint that has capacity.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) index: usize,
    pub(super) score: Score,
}

impl Candidate {
    /// What part of its weight it may carry.
    fn part(&self) -> f64 {
        match self.score.health {
            Health::Healthy(part) => part,
            Health::HalfOpen | Health::CoolingDown(_) => 1.0,
        }
    }
}

/// The one to call.
pub(super) fn choose<'a>(
    loads: &Loads,
    table: &Table,
    among: &'a [Candidate],
    call: &Call,
) -> Option<&'a Candidate> {
    match loads.strategy {
        Strategy::SimpleShuffle => {
            draw(among, call.random, |candidate| loads.weights[candidate.index] * candidate.part())
        }
        Strategy::LatencyBased { buffer } => {
            // Nothing known is as good as the best: it is tried, without being swamped before it has answered.
            let time = |candidate: &Candidate| {
                let seconds = table.latencies.seconds(candidate.index, call.kind, table.decay.now)?;
                Some(seconds * table.loads[candidate.index].error_factor(&table.decay))
            };
            let least = among.iter().filter_map(time).fold(f64::INFINITY, f64::min);
            let most = least * (1.0 + buffer.max(0.0));
            draw(among, call.random, |candidate| {
                let fast = time(candidate).is_none_or(|seconds| seconds <= most);
                if fast { candidate.part() } else { 0.0 }
            })
        }
        Strategy::Adaptive | Strategy::LeastBusy | Strategy::UsageBased | Strategy::CostBased => {
            lowest(loads, table, among, call)
        }
    }
}

fn lowest<'a>(loads: &Loads, table: &Table, among: &'a [Candidate], call: &Call) -> Option<&'a Candidate> {
    let limited = |candidate: &&Candidate| {
        let share = &loads.shares[candidate.index];
        share.rpm.is_some() || share.tpm.is_some()
    };
    let usage = || {
        let (sum, count) = among
            .iter()
            .filter(limited)
            .fold((0.0, 0.0), |(sum, count), one| (sum + one.score.used, count + 1.0));
        if count > 0.0 { sum / count } else { 0.0 }
    };
    // Without a limit nothing is ever used of it; such a one stands in the middle instead of taking all.
    let usage = if loads.strategy == Strategy::UsageBased { usage() } else { 0.0 };
    let first = |candidate: &Candidate| match loads.strategy {
        Strategy::LeastBusy => f64::from(table.loads[candidate.index].calls),
        Strategy::UsageBased if limited(&candidate) => candidate.score.used,
        Strategy::UsageBased => usage,
        Strategy::CostBased => loads.shares[candidate.index].price.unwrap_or(f64::INFINITY),
        Strategy::Adaptive | Strategy::SimpleShuffle | Strategy::LatencyBased { .. } => 0.0,
    };
    let mut best: Option<(f64, f64, &Candidate)> = None;
    for candidate in among {
        let (first, second) = (first(candidate), adaptive(loads, table, candidate, call));
        let better = best.as_ref().is_none_or(|(best_first, best_second, other)| {
            let longest_ago = || table.loads[candidate.index].picked.cmp(&table.loads[other.index].picked);
            let order = first.total_cmp(best_first).then_with(|| second.total_cmp(best_second));
            order.then_with(longest_ago).is_lt()
        });
        if better {
            best = Some((first, second, candidate));
        }
    }
    best.map(|(_, _, candidate)| candidate)
}

/// What it carries and would carry, for its weight.
///
/// What was given lately weighs as it did when it was given: an endpoint that becomes slow gets less from then on, but
/// is not cut off until the past is made up for, and one that recovers is not flooded.
fn adaptive(loads: &Loads, table: &Table, candidate: &Candidate, call: &Call) -> f64 {
    let load = &table.loads[candidate.index];
    let in_flight = (load.work() + candidate.score.cost) * penalty(table, candidate, call);
    (in_flight + load.lately(&table.decay)) / loads.weights[candidate.index].max(1e-9)
}

/// How much heavier than usual work is there: how slow it is against the group, how often it fails, and what part of
/// its weight it may carry.
pub(super) fn penalty(table: &Table, candidate: &Candidate, call: &Call) -> f64 {
    let slowness = table.latencies.slowness(candidate.index, call.kind, table.decay.now);
    slowness * table.loads[candidate.index].error_factor(&table.decay) / candidate.part().max(0.01)
}

/// A draw by weight; where all weigh nothing, an even one.
fn draw(among: &[Candidate], random: u64, weight: impl Fn(&Candidate) -> f64) -> Option<&Candidate> {
    // The upper 53 bits, as a fraction of one.
    let part = (random >> 11) as f64 / (1_u64 << 53) as f64;
    let total: f64 = among.iter().map(&weight).sum();
    if total <= 0.0 {
        return among.get((part * among.len() as f64) as usize);
    }
    let mut left = part * total;
    let drawn = among.iter().find(|candidate| {
        left -= weight(candidate);
        left < 0.0
    });
    // Rounding may leave a trace at the end.
    drawn.or_else(|| among.iter().rev().find(|candidate| weight(candidate) > 0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAWS: u32 = 20_000;

    /// The part of all draws that falls on each.
    fn parts(weights: &[f64], among: &Range<usize>) -> Vec<f64> {
        let (index, mut rng) = (WeightedIndex::new(weights.iter().copied()), fastrand::Rng::with_seed(7));
        let mut parts = vec![0.0; weights.len()];
        for _ in 0..DRAWS {
            parts[index.sample(among, &mut rng)] += 1.0 / f64::from(DRAWS);
        }
        parts
    }

    fn near(one: f64, other: f64) -> bool {
        (one - other).abs() < 0.02
    }

    #[test]
    fn each_is_drawn_by_its_weight() {
        let parts = parts(&[1000.0, 6.0, 3.0, 1.0, 1000.0], &(1..4));
        assert!(near(parts[1], 0.6) && near(parts[2], 0.3) && near(parts[3], 0.1), "{parts:?}");
        assert_eq!((parts[0], parts[4]), (0.0, 0.0));
    }

    #[test]
    fn one_that_weighs_nothing_is_drawn_only_where_all_do() {
        let some = parts(&[5.0, 0.0, 5.0, 0.0], &(0..4));
        assert_eq!((some[1], some[3]), (0.0, 0.0));
        let none = parts(&[0.0; 4], &(0..4));
        assert!(none.iter().all(|part| near(*part, 0.25)), "{none:?}");
    }
}
