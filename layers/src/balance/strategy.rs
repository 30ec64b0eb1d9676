//! The strategies for the choice among endpoints with capacity: [`Strategy`].

use std::ops::Range;

use super::{
    group::Tiers,
    load::{Call, Table},
};
use crate::endpoint::{EndpointWeight, Health, Score};

/// The choice among the endpoints that have capacity, are healthy and were not tried by this request.
///
/// Limits, cooldowns and tiers apply under every strategy. In a tier of more than 64 endpoints, a sample of up to 16 is
/// queried: drawn by weight, or evenly for the strategies that ignore weights, until four can be called (`Adaptive`) or
/// one can (`SimpleShuffle`). All endpoints are queried only if none of the sample
/// can be called. The cheapest or fastest of very many endpoints is therefore preferred, but not always found; the weights
/// are always respected.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Strategy {
    /// The endpoint with the least work in flight and in the last seconds, relative to its weight, latency and errors.
    #[default]
    Adaptive,
    /// A random endpoint, drawn by weight.
    SimpleShuffle,
    /// The endpoint with the fewest calls in flight.
    LeastBusy,
    /// The endpoint that has used the smallest part of its limit.
    UsageBased,
    /// A random endpoint among the fastest.
    LatencyBased {
        /// The part by which an endpoint may be slower than the fastest: 0.1 accepts all that are at most a tenth slower.
        buffer: f64,
    },
    /// The cheapest endpoint. Endpoints without a price come last.
    CostBased,
}

impl Strategy {
    /// Returns true if the strategy uses weights.
    pub(super) const fn is_weighted(self) -> bool {
        match self {
            Self::Adaptive | Self::SimpleShuffle | Self::UsageBased => true,
            Self::LeastBusy | Self::LatencyBased { .. } | Self::CostBased => false,
        }
    }

    /// Returns true if the strategy draws at random.
    pub(super) const fn is_random(self) -> bool {
        match self {
            Self::SimpleShuffle | Self::LatencyBased { .. } => true,
            Self::Adaptive | Self::LeastBusy | Self::UsageBased | Self::CostBased => false,
        }
    }
}

/// Cumulative weights, from which an index is drawn in proportion to its weight, as in rand's `WeightedIndex`.
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

    /// Draws an index from `among`; evenly if all weights are zero.
    pub(super) fn sample(&self, among: &Range<usize>, rng: &mut fastrand::Rng) -> usize {
        let (start, end) = (self.sums[among.start], self.sums[among.end]);
        if end <= start {
            return rng.usize(among.clone());
        }
        let place = start + rng.f64() * (end - start);
        let drawn = self.sums[among.start + 1..=among.end].partition_point(|sum| *sum <= place);
        // Rounding can lead past the end.
        among.start + drawn.min(among.len() - 1)
    }
}

/// Returns the weight of each endpoint: the first of weight, requests and tokens per minute that any endpoint sets.
/// Endpoints that do not set it get the mean of the others, so that none starves.
pub(super) fn weights(shares: &[EndpointWeight]) -> Vec<f64> {
    let of = |metric: fn(&EndpointWeight) -> Option<f64>| {
        let given = |share| metric(share).filter(|weight| weight.is_finite() && *weight >= 0.0);
        let (mut sum, mut count) = (0.0, 0.0);
        for weight in shares.iter().filter_map(given) {
            sum += weight;
            count += 1.0;
        }
        // LiteLLM also uses the first metric that is above zero anywhere.
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
    /// The slot of the endpoint.
    pub(super) index: usize,
    pub(super) score: Score,
}

impl Candidate {
    /// Returns the part of the endpoint's weight that applies, below 1 during a slow start.
    fn part(&self) -> f64 {
        match self.score.health {
            Health::Healthy(part) => part,
            Health::HalfOpen | Health::CoolingDown(_) => 1.0,
        }
    }
}

/// Returns the endpoint to call.
pub(super) fn choose<'a>(
    tiers: &Tiers,
    table: &Table,
    among: &'a [Candidate],
    call: &Call,
) -> Option<&'a Candidate> {
    match tiers.strategy {
        Strategy::SimpleShuffle => {
            draw(among, call.random, |candidate| tiers.weights[candidate.index] * candidate.part())
        }
        Strategy::LatencyBased { buffer } => {
            // An endpoint without a sample counts as fast, so that it is tried, but not as faster than the others: it is not
            // flooded before its first response.
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
            lowest(tiers, table, among, call)
        }
    }
}

fn lowest<'a>(tiers: &Tiers, table: &Table, among: &'a [Candidate], call: &Call) -> Option<&'a Candidate> {
    let limited = |candidate: &&Candidate| {
        let share = &tiers.shares[candidate.index];
        share.rpm.is_some() || share.tpm.is_some()
    };
    let usage = || {
        let (sum, count) = among
            .iter()
            .filter(limited)
            .fold((0.0, 0.0), |(sum, count), one| (sum + one.score.used, count + 1.0));
        if count > 0.0 { sum / count } else { 0.0 }
    };
    // An endpoint without a limit always has zero usage. It counts with the mean usage, else it would receive all calls.
    let usage = if tiers.strategy == Strategy::UsageBased { usage() } else { 0.0 };
    let first = |candidate: &Candidate| match tiers.strategy {
        Strategy::LeastBusy => f64::from(table.loads[candidate.index].calls),
        Strategy::UsageBased if limited(&candidate) => candidate.score.used,
        Strategy::UsageBased => usage,
        Strategy::CostBased => tiers.shares[candidate.index].price.unwrap_or(f64::INFINITY),
        Strategy::Adaptive | Strategy::SimpleShuffle | Strategy::LatencyBased { .. } => 0.0,
    };
    let mut best: Option<(f64, f64, &Candidate)> = None;
    for candidate in among {
        let (first, second) = (first(candidate), adaptive(tiers, table, candidate, call));
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

/// Returns the load of an endpoint with this call added, relative to its weight.
///
/// Recent work keeps the penalty of the time when it was given: an endpoint that becomes slow receives less from then on,
/// but is not cut off until its past work has decayed, and an endpoint that recovers is not flooded.
fn adaptive(tiers: &Tiers, table: &Table, candidate: &Candidate, call: &Call) -> f64 {
    let load = &table.loads[candidate.index];
    let in_flight = (load.work() + candidate.score.cost) * penalty(table, candidate, call);
    (in_flight + load.recent(&table.decay)) / tiers.weights[candidate.index].max(1e-9)
}

/// Returns the factor by which work counts more at an endpoint: its relative latency and its error factor, divided by the
/// part of its weight that applies.
pub(super) fn penalty(table: &Table, candidate: &Candidate, call: &Call) -> f64 {
    let relative_latency = table.latencies.relative_latency(candidate.index, call.kind, table.decay.now);
    relative_latency * table.loads[candidate.index].error_factor(&table.decay) / candidate.part().max(0.01)
}

/// Draws an endpoint by weight; evenly if all weights are zero.
fn draw(among: &[Candidate], random: u64, weight: impl Fn(&Candidate) -> f64) -> Option<&Candidate> {
    // The upper 53 bits as a number from 0.0 up to 1.0: an f64 has a precision of 53 bits.
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
    // Rounding can leave a positive rest at the end.
    drawn.or_else(|| among.iter().rev().find(|candidate| weight(candidate) > 0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAWS: u32 = 20_000;

    /// Returns the part of all draws that falls on each index.
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
    fn a_weighted_index_draws_each_index_by_its_weight() {
        let parts = parts(&[1000.0, 6.0, 3.0, 1.0, 1000.0], &(1..4));
        assert!(near(parts[1], 0.6) && near(parts[2], 0.3) && near(parts[3], 0.1), "{parts:?}");
        assert_eq!((parts[0], parts[4]), (0.0, 0.0));
    }

    #[test]
    fn a_weighted_index_draws_a_zero_weight_only_if_all_weights_are_zero() {
        let some = parts(&[5.0, 0.0, 5.0, 0.0], &(0..4));
        assert_eq!((some[1], some[3]), (0.0, 0.0));
        let none = parts(&[0.0; 4], &(0..4));
        assert!(none.iter().all(|part| near(*part, 0.25)), "{none:?}");
    }
}
