//! What each endpoint carries: [`Loads`].

use std::sync::{Arc, PoisonError};

use tokio::time::Instant;

use super::{
    flight::{Counted, Flight, Seat, Seats},
    latency::Latencies,
    strategy::{Candidate, Strategy, WeightedIndex, choose, penalty, weights},
};
use crate::{
    endpoint::Share,
    sync::{Mutex, MutexGuard},
};

/// With what time constant work given lately, and errors, are forgotten: 10 s.
const MEMORY: f64 = 10.0;

/// What the endpoints of one group carry. One short lock, taken once for each choice, once for each ending, and once when a
/// stream begins.
#[derive(Debug)]
pub(super) struct Loads {
    pub(super) strategy: Strategy,
    pub(super) weights: Vec<f64>,
    /// Draws the sample of a large tier: by weight where the strategy goes by weight, else evenly.
    pub(super) sampling: WeightedIndex,
    pub(super) shares: Vec<Share>,
    table: Mutex<Table>,
}

#[derive(Debug)]
pub(super) struct Table {
    pub(super) loads: Vec<Load>,
    pub(super) latencies: Latencies,
    pub(super) seats: Seats,
    pub(super) decay: Decay,
    picks: u64,
}

/// What one endpoint carries.
#[derive(Clone, Debug)]
pub(super) struct Load {
    /// Calls in flight and their work.
    pub(super) calls: u32,
    work: f64,
    // What both come to now is in `Decay`.
    lately: f64,
    errors: f64,
    /// The number of the last choice that fell on it.
    pub(super) picked: u64,
}

/// The part of what was noted at the `epoch` that is left by now.
///
/// All notes decay alike, so a later one is made larger by as much as it has to decay less: to read any number of them
/// takes one exponential, and none within a millisecond. Times are seconds since the group began.
#[derive(Debug)]
pub(super) struct Decay {
    began: Instant,
    epoch: f64,
    pub(super) now: f64,
    factor: f64,
}

/// What there is to know of one call when the choice is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) now: Instant,
    /// 0 or 1: plain, or streamed.
    pub(super) kind: usize,
    pub(super) random: u64,
}

impl Loads {
    pub(super) fn new(strategy: Strategy, shares: Vec<Share>) -> Self {
        let load = Load { calls: 0, work: 0.0, lately: 0.0, errors: 0.0, picked: 0 };
        let table = Table {
            loads: vec![load; shares.len()],
            latencies: Latencies::new(shares.len()),
            seats: Seats::default(),
            decay: Decay { began: Instant::now(), epoch: 0.0, now: 0.0, factor: 1.0 },
            picks: 0,
        };
        let weights = weights(&shares);
        let even = |weight: &f64| if strategy.weighs() { *weight } else { 1.0 };
        let sampling = WeightedIndex::new(weights.iter().map(even));
        Self { strategy, sampling, weights, shares, table: Mutex::new(table) }
    }

    /// Chooses one of these and counts the call there.
    pub(super) fn begin(self: &Arc<Self>, among: &[Candidate], call: &Call) -> Option<(Candidate, Flight)> {
        let mut table = self.table();
        table.advance_to(call.now);
        let now = table.decay.now;
        table.latencies.refresh(call.kind, now);
        let chosen = *choose(self, &table, among, call)?;
        table.picks += 1;
        let picked = table.picks;
        let work = chosen.score.cost;
        let given = work * penalty(&table, &chosen, call);
        let noted = table.decay.noted(given);
        let load = &mut table.loads[chosen.index];
        load.picked = picked;
        load.calls += 1;
        load.work += work;
        load.lately += noted;
        let seat = table.seats.take(picked);
        drop(table);
        let counted = Counted { which: chosen.index, work, given };
        Some((chosen, Flight::new(Arc::clone(self), seat, counted, call)))
    }

    pub(super) fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Brings what fades to this time.
    pub(super) fn advance_to(&mut self, now: Instant) {
        if self.decay.advance_to(now) {
            let factor = std::mem::replace(&mut self.decay.factor, 1.0);
            self.decay.epoch = self.decay.now;
            for load in &mut self.loads {
                load.lately *= factor;
                load.errors *= factor;
            }
        }
    }

    /// The choice is void: what was given was never called for.
    pub(super) fn takes_back(&mut self, counted: &Counted) {
        let noted = self.decay.noted(counted.given);
        let lately = &mut self.loads[counted.which].lately;
        *lately = (*lately - noted).max(0.0);
    }

    /// The call is no longer under way.
    pub(super) fn landed(&mut self, counted: &Counted, seat: Seat) {
        self.loads[counted.which].landed(counted.work);
        self.seats.give_back(seat);
    }

    /// A call has ended there, well or not, at the time that all was brought to.
    pub(super) fn judged(&mut self, which: usize, failed: bool) {
        let noted = self.decay.noted(if failed { 0.1 } else { 0.0 });
        let errors = &mut self.loads[which].errors;
        *errors = *errors * 0.9 + noted;
    }
}

impl Load {
    /// Work in flight.
    pub(super) const fn work(&self) -> f64 {
        self.work
    }

    /// Work given lately, each piece of it as heavy as the endpoint was slow when it was given.
    pub(super) fn lately(&self, decay: &Decay) -> f64 {
        self.lately * decay.factor
    }

    /// One where nothing fails, six where all does.
    pub(super) fn error_factor(&self, decay: &Decay) -> f64 {
        1.0 + 5.0 * self.errors * decay.factor
    }

    fn landed(&mut self, work: f64) {
        self.calls = self.calls.saturating_sub(1);
        // Sums of fractions drift; nothing in flight is nothing.
        self.work = if self.calls == 0 { 0.0 } else { self.work - work };
    }
}

impl Decay {
    /// Whether it is time for a new epoch: before what is noted becomes too large.
    fn advance_to(&mut self, now: Instant) -> bool {
        let now = now.saturating_duration_since(self.began).as_secs_f64();
        if now - self.now >= 0.001 {
            self.now = now;
            self.factor = ((self.epoch - now) / MEMORY).exp();
        }
        self.now - self.epoch > 20.0 * MEMORY
    }

    fn noted(&self, amount: f64) -> f64 {
        amount / self.factor
    }
}
