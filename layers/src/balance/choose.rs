//! The choice among those with room: [`choose`].

use super::{
    loads::{Call, Loads, Table},
    strategy::Strategy,
};
use crate::endpoint::{Health, Score};

/// An endpoint that has room.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) which: usize,
    pub(super) score: Score,
}

impl Candidate {
    /// What part of its weight it may carry.
    fn part(&self) -> f64 {
        match self.score.health {
            Health::Well(part) => part,
            Health::Probe | Health::Benched(_) => 1.0,
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
            draw(among, call.random, |candidate| loads.weights[candidate.which] * candidate.part())
        }
        Strategy::LatencyBased { buffer } => {
            // Nothing known is as good as the best: it is tried, without being swamped before it has answered.
            let time = |candidate: &Candidate| {
                let seconds = table.speeds.seconds(candidate.which, call.kind, table.fade.now)?;
                Some(seconds * table.loads[candidate.which].error_factor(&table.fade))
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
        let share = &loads.shares[candidate.which];
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
        Strategy::LeastBusy => f64::from(table.loads[candidate.which].calls),
        Strategy::UsageBased if limited(&candidate) => candidate.score.used,
        Strategy::UsageBased => usage,
        Strategy::CostBased => loads.shares[candidate.which].price.unwrap_or(f64::INFINITY),
        Strategy::Adaptive | Strategy::SimpleShuffle | Strategy::LatencyBased { .. } => 0.0,
    };
    let mut best: Option<(f64, f64, &Candidate)> = None;
    for candidate in among {
        let (first, second) = (first(candidate), adaptive(loads, table, candidate, call));
        let better = best.as_ref().is_none_or(|(best_first, best_second, other)| {
            let longest_ago = || table.loads[candidate.which].picked.cmp(&table.loads[other.which].picked);
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
    let load = &table.loads[candidate.which];
    let in_flight = (load.work() + candidate.score.cost) * drag(table, candidate, call);
    (in_flight + load.lately(&table.fade)) / loads.weights[candidate.which].max(1e-9)
}

/// How much heavier than usual work is there: how slow it is against the group, how often it fails, and what part of
/// its weight it may carry.
pub(super) fn drag(table: &Table, candidate: &Candidate, call: &Call) -> f64 {
    let slowness = table.speeds.slowness(candidate.which, call.kind, table.fade.now);
    slowness * table.loads[candidate.which].error_factor(&table.fade) / candidate.part().max(0.01)
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
