//! What each endpoint carries: [`Loads`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::{
    choose::{Candidate, choose, drag},
    flight::{Counted, Flight, Seats},
    speed::Speeds,
    strategy::{Strategy, weights},
};
use crate::endpoint::Share;

/// With what time constant work given lately, and errors, are forgotten: 10 s.
const MEMORY: f64 = 10.0;

/// What the endpoints of one group carry. One short lock, taken once for each choice and once for each ending.
#[derive(Debug)]
pub(super) struct Loads {
    pub(super) strategy: Strategy,
    pub(super) weights: Vec<f64>,
    pub(super) shares: Vec<Share>,
    table: Mutex<Table>,
}

#[derive(Debug)]
pub(super) struct Table {
    pub(super) loads: Vec<Load>,
    pub(super) speeds: Speeds,
    pub(super) seats: Seats,
    picks: u64,
}

/// What one endpoint carries.
#[derive(Clone, Debug)]
pub(super) struct Load {
    /// Calls in flight and their work.
    pub(super) calls: u32,
    work: f64,
    lately: Fading,
    errors: Fading,
    /// The number of the last choice that fell on it.
    pub(super) picked: u64,
}

/// A sum that fades.
#[derive(Clone, Copy, Debug)]
struct Fading {
    sum: f64,
    at: Instant,
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
        let now = Instant::now();
        let none = Fading { sum: 0.0, at: now };
        let load = Load { calls: 0, work: 0.0, lately: none, errors: none, picked: 0 };
        let table = Table {
            loads: vec![load; shares.len()],
            speeds: Speeds::new(shares.len(), now),
            seats: Seats::default(),
            picks: 0,
        };
        Self { strategy, weights: weights(&shares), shares, table: Mutex::new(table) }
    }

    /// Chooses one of these and counts the call there.
    pub(super) fn begin(self: &Arc<Self>, among: &[Candidate], call: &Call) -> Option<(Candidate, Flight)> {
        let mut table = self.table();
        let chosen = *choose(self, &table, among, call)?;
        table.picks += 1;
        let picked = table.picks;
        let work = chosen.score.cost;
        let given = work * drag(&table, &chosen, call);
        let load = &mut table.loads[chosen.which];
        load.picked = picked;
        load.calls += 1;
        load.work += work;
        load.lately.add(given, call.now);
        let seat = table.seats.take(picked);
        drop(table);
        let counted = Counted { which: chosen.which, work, given };
        Some((chosen, Flight::new(Arc::clone(self), seat, counted, call)))
    }

    pub(super) fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Load {
    /// Work in flight.
    pub(super) const fn work(&self) -> f64 {
        self.work
    }

    /// Work given lately, each piece of it as heavy as the endpoint was slow when it was given.
    pub(super) fn lately(&self, now: Instant) -> f64 {
        self.lately.now(now)
    }

    /// What was given was never called for.
    pub(super) fn takes_back(&mut self, given: f64) {
        self.lately.sum = (self.lately.sum - given).max(0.0);
    }

    /// One where nothing fails, six where all does.
    pub(super) fn error_factor(&self, now: Instant) -> f64 {
        1.0 + 5.0 * self.errors.now(now)
    }

    pub(super) fn landed(&mut self, work: f64) {
        self.calls = self.calls.saturating_sub(1);
        // Sums of fractions drift; nothing in flight is nothing.
        self.work = if self.calls == 0 { 0.0 } else { self.work - work };
    }

    pub(super) fn judged(&mut self, failed: bool, now: Instant) {
        let errors = self.errors.now(now);
        let sum = errors * 0.9 + if failed { 0.1 } else { 0.0 };
        self.errors = Fading { sum, at: now };
    }
}

impl Fading {
    fn now(&self, now: Instant) -> f64 {
        if self.sum == 0.0 {
            return 0.0;
        }
        self.sum * (-now.saturating_duration_since(self.at).as_secs_f64() / MEMORY).exp()
    }

    fn add(&mut self, more: f64, now: Instant) {
        *self = Self { sum: self.now(now) + more, at: now.max(self.at) };
    }
}
