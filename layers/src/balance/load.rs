//! The load of each endpoint, and the calls that make it: [`Loads`], [`InFlight`].

use std::{
    sync::{
        Arc, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::{
    latency::{Latencies, Sample},
    strategy::{Candidate, Strategy, WeightedIndex, choose, penalty, weights},
};
use crate::{
    Class, OnComplete, Outcome,
    endpoint::EndpointWeight,
    sync::{Mutex, MutexGuard},
};

/// With what time constant work given lately, and errors, are forgotten: 10 s.
const MEMORY: f64 = 10.0;
/// The kind of calls that begin to answer before all is done.
const STREAMED: usize = 1;

/// What the endpoints of one group carry. One short lock, taken once for each choice, once for each outcome, and once when a
/// stream begins.
#[derive(Debug)]
pub(super) struct Loads {
    pub(super) strategy: Strategy,
    pub(super) weights: Vec<f64>,
    /// Draws the sample of a large tier: by weight where the strategy goes by weight, else evenly.
    pub(super) sampling: WeightedIndex,
    pub(super) shares: Vec<EndpointWeight>,
    table: Mutex<Table>,
}

#[derive(Debug)]
pub(super) struct Table {
    pub(super) loads: Vec<Load>,
    pub(super) latencies: Latencies,
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
    pub(super) fn new(strategy: Strategy, shares: Vec<EndpointWeight>) -> Self {
        let load = Load { calls: 0, work: 0.0, lately: 0.0, errors: 0.0, picked: 0 };
        let table = Table {
            loads: vec![load; shares.len()],
            latencies: Latencies::new(shares.len()),
            decay: Decay { began: Instant::now(), epoch: 0.0, now: 0.0, factor: 1.0 },
            picks: 0,
        };
        let weights = weights(&shares);
        let even = |weight: &f64| if strategy.weighs() { *weight } else { 1.0 };
        let sampling = WeightedIndex::new(weights.iter().map(even));
        Self { strategy, sampling, weights, shares, table: Mutex::new(table) }
    }

    /// Chooses one of these and counts the call there.
    pub(super) fn begin(self: &Arc<Self>, among: &[Candidate], call: &Call) -> Option<(Candidate, InFlight)> {
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
        drop(table);
        let counted = Counted { index: chosen.index, work, given };
        Some((chosen, InFlight::new(Arc::clone(self), counted, call)))
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

    /// Takes back work that was never called for.
    fn take_back(&mut self, counted: &Counted) {
        let noted = self.decay.noted(counted.given);
        let lately = &mut self.loads[counted.index].lately;
        *lately = (*lately - noted).max(0.0);
    }

    /// Notes that a call has ended there, well or not, at the time that all was brought to.
    fn judge(&mut self, index: usize, failed: bool) {
        let noted = self.decay.noted(if failed { 0.1 } else { 0.0 });
        let errors = &mut self.loads[index].errors;
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

    /// Notes that a call is no longer under way.
    fn finish(&mut self, work: f64) {
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

/// A call under way: it counts as load at its endpoint until the answer has ended, and measures how fast that was.
///
/// Dropped without an outcome it only stops counting: a caller who left says nothing about an endpoint.
#[derive(Debug)]
pub struct InFlight {
    loads: Arc<Loads>,
    counted: Counted,
    kind: usize,
    began: Instant,
    head: Option<Duration>,
    /// Of a stream, from its head on: whether its latency was recorded, or never will be.
    recorded: Option<Arc<AtomicBool>>,
    finished: bool,
}

/// The endpoint at which a call was counted, and the work that it was counted as.
#[derive(Clone, Copy, Debug)]
struct Counted {
    index: usize,
    work: f64,
    given: f64,
}

/// The latency of a stream whose head has come, kept until the handle was attached to the answer.
#[derive(Debug)]
pub(super) struct Begun {
    loads: Arc<Loads>,
    sample: Sample,
    recorded: Arc<AtomicBool>,
}

impl InFlight {
    const fn new(loads: Arc<Loads>, counted: Counted, call: &Call) -> Self {
        Self { loads, counted, kind: call.kind, began: call.now, head: None, recorded: None, finished: false }
    }

    /// Notes that the call is made now: the time before was not the endpoint's.
    pub(super) fn called(&mut self) {
        self.began = Instant::now();
    }

    /// Notes that the head of the answer is there. Of a stream, returns its latency, to be recorded once this handle was
    /// attached to the answer.
    pub(super) fn head(&mut self) -> Option<Begun> {
        let head = Instant::now().saturating_duration_since(self.began);
        self.head = Some(head);
        (self.kind == STREAMED).then(|| Begun {
            loads: Arc::clone(&self.loads),
            sample: self.sample(head),
            recorded: Arc::clone(self.recorded.insert(Arc::default())),
        })
    }

    /// Takes back a choice that is void: the endpoint had no capacity after all.
    pub(super) fn undo(self) {
        self.loads.table().take_back(&self.counted);
    }

    fn sample(&self, head: Duration) -> Sample {
        // A stream's first content comes when it comes; a plain answer takes as long as there is work in it.
        let per = if self.kind == STREAMED { 1.0 } else { self.counted.work };
        Sample { which: self.counted.index, kind: self.kind, seconds: head.as_secs_f64() / per }
    }

    /// Returns whether its latency is still to be recorded, and is not any more.
    fn take_unrecorded(&self) -> bool {
        self.recorded.as_ref().is_none_or(|recorded| !recorded.swap(true, Ordering::Relaxed))
    }
}

impl Begun {
    /// Records the latency, if the call has not ended by now: a stream has begun well. An answer that failed is complete,
    /// and its handle has ended.
    pub(super) fn record(self) {
        if self.recorded.swap(true, Ordering::Relaxed) {
            return;
        }
        let mut table = self.loads.table();
        table.advance_to(Instant::now());
        let now = table.decay.now;
        table.latencies.sample(&self.sample, now);
    }
}

impl OnComplete for InFlight {
    fn complete(mut self, outcome: &Outcome) {
        self.finished = true;
        let unrecorded = self.take_unrecorded();
        let mut table = self.loads.table();
        table.advance_to(Instant::now());
        if outcome.is_evidence() {
            table.judge(self.counted.index, failed(outcome.class()));
        }
        if let (Some(head), true) = (self.head, outcome.is_success() && unrecorded) {
            let now = table.decay.now;
            table.latencies.sample(&self.sample(head), now);
        }
        table.loads[self.counted.index].finish(self.counted.work);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if !self.finished {
            self.take_unrecorded();
            self.loads.table().loads[self.counted.index].finish(self.counted.work);
        }
    }
}

const fn failed(class: Class) -> bool {
    match class {
        Class::Unauthorized | Class::Timeout | Class::Unavailable => true,
        Class::Success | Class::Caller | Class::ContextWindow | Class::ContentPolicy | Class::RateLimited => {
            false
        }
    }
}
