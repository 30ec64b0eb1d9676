//! What each endpoint carries: [`Loads`], and [`Flight`], which counts one call.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    choose::{Candidate, choose},
    speed::{Sample, Speeds},
    strategy::{Strategy, weights},
};
use crate::{Class, Ending, Hear, endpoint::Share};

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

/// One call under way: counts as load where it went until the answer has ended, and tells how fast it was.
///
/// Dropped unheard it only stops counting: a caller who left says nothing about an endpoint.
#[derive(Debug)]
pub struct Flight {
    loads: Arc<Loads>,
    which: usize,
    work: f64,
    kind: usize,
    began: Instant,
    head: Option<Duration>,
}

impl Loads {
    pub(super) fn new(strategy: Strategy, shares: Vec<Share>) -> Self {
        let now = Instant::now();
        let none = Fading { sum: 0.0, at: now };
        let load = Load { calls: 0, work: 0.0, lately: none, errors: none, picked: 0 };
        let table =
            Table { loads: vec![load; shares.len()], speeds: Speeds::new(shares.len(), now), picks: 0 };
        Self { strategy, weights: weights(&shares), shares, table: Mutex::new(table) }
    }

    /// Chooses one of these and counts the call there.
    pub(super) fn begin(self: &Arc<Self>, among: &[Candidate], call: &Call) -> Option<(Candidate, Flight)> {
        let mut table = self.table();
        let chosen = *choose(self, &table, among, call)?;
        table.picks += 1;
        let picked = table.picks;
        let load = &mut table.loads[chosen.which];
        let work = chosen.score.cost;
        load.picked = picked;
        load.calls += 1;
        load.work += work;
        load.lately.add(work, call.now);
        drop(table);
        let loads = Arc::clone(self);
        let flight =
            Flight { loads, which: chosen.which, work, kind: call.kind, began: call.now, head: None };
        Some((chosen, flight))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Load {
    /// Work in flight and given lately.
    pub(super) fn carries(&self, now: Instant) -> f64 {
        self.work + self.lately(now)
    }

    pub(super) fn lately(&self, now: Instant) -> f64 {
        self.lately.now(now)
    }

    /// One where nothing fails, six where all does.
    pub(super) fn error_factor(&self, now: Instant) -> f64 {
        1.0 + 5.0 * self.errors.now(now)
    }

    fn landed(&mut self, work: f64) {
        self.calls = self.calls.saturating_sub(1);
        // Sums of fractions drift; nothing in flight is nothing.
        self.work = if self.calls == 0 { 0.0 } else { self.work - work };
    }

    fn judged(&mut self, failed: bool, now: Instant) {
        let errors = self.errors.now(now);
        let sum = errors * 0.9 + if failed { 0.1 } else { 0.0 };
        self.errors = Fading { sum, at: now };
    }
}

impl Fading {
    fn now(&self, now: Instant) -> f64 {
        self.sum * (-now.saturating_duration_since(self.at).as_secs_f64() / MEMORY).exp()
    }

    fn add(&mut self, more: f64, now: Instant) {
        *self = Self { sum: self.now(now) + more, at: now.max(self.at) };
    }
}

impl Flight {
    /// The call is made now; what was before is not the endpoint's time.
    pub(super) fn called(&mut self) {
        self.began = Instant::now();
    }

    /// The head of the answer is there.
    pub(super) fn head(&mut self) {
        self.head = Some(self.began.elapsed());
    }

    /// The choice is void: the endpoint had no room after all.
    pub(super) fn undo(self) {
        let mut table = self.loads.table();
        let load = &mut table.loads[self.which];
        load.lately.sum = (load.lately.sum - self.work).max(0.0);
    }
}

impl Hear for Flight {
    fn end(self, ending: &Ending) {
        let now = Instant::now();
        let mut table = self.loads.table();
        let failed = match ending.class() {
            Class::Unauthorized | Class::Timeout | Class::Unavailable => true,
            Class::Success
            | Class::Caller
            | Class::ContextWindow
            | Class::ContentPolicy
            | Class::RateLimited => false,
        };
        if ending.is_evidence() {
            table.loads[self.which].judged(failed, now);
        }
        if let (Some(head), true) = (self.head, ending.is_success()) {
            // A stream's first content comes when it comes; a plain answer takes as long as there is work in it.
            let per = if self.kind == 0 { self.work } else { 1.0 };
            let seconds = head.as_secs_f64() / per;
            table.speeds.sample(&Sample { which: self.which, kind: self.kind, seconds }, now);
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.loads.table().loads[self.which].landed(self.work);
    }
}
