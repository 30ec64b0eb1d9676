//! The load of each endpoint, and the handle of a call in flight: [`Loads`], [`InFlight`].

use std::{
    sync::{
        Arc, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::{
    group::Tiers,
    latency::{Latencies, Sample},
    strategy::{Candidate, choose, penalty},
};
use crate::{
    Class, OnComplete, Outcome,
    sync::{Mutex, MutexGuard},
};

/// The time constant in seconds with which recent work and errors decay.
const MEMORY: f64 = 10.0;
/// The kind of calls that respond before all of their work is done.
const STREAMED: usize = 1;

/// The loads of the endpoints of one group by slot, behind one lock. It is held briefly: once for each choice, once for
/// each outcome, and once when a stream begins.
#[derive(Debug)]
pub(super) struct Loads {
    table: Mutex<Table>,
}

#[derive(Debug)]
pub(super) struct Table {
    pub(super) loads: Vec<Load>,
    pub(super) latencies: Latencies,
    pub(super) decay: Decay,
    picks: u64,
}

/// The load of one endpoint.
#[derive(Clone, Debug, Default)]
pub(super) struct Load {
    /// The number of calls in flight.
    pub(super) calls: u32,
    work: f64,
    // Both are relative to the epoch of `Decay`, which gives their present values.
    recent: f64,
    errors: f64,
    /// The number of the last choice of this endpoint.
    pub(super) picked: u64,
}

/// An exponential decay: the part of an amount recorded at the `epoch` that is left now.
///
/// All amounts decay alike. An amount recorded later is scaled up by the decay since the epoch, so that one factor applies
/// to all of them: to read any number of amounts takes one exponential, and none within a millisecond. Times are seconds
/// since the group began.
#[derive(Debug)]
pub(super) struct Decay {
    began: Instant,
    epoch: f64,
    pub(super) now: f64,
    factor: f64,
}

/// The properties of a call that the choice depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) now: Instant,
    /// 0 or 1: plain, or streamed.
    pub(super) kind: usize,
    pub(super) random: u64,
}

impl Loads {
    pub(super) fn new(slots: usize) -> Self {
        let table = Table {
            loads: vec![Load::default(); slots],
            latencies: Latencies::new(slots),
            decay: Decay { began: Instant::now(), epoch: 0.0, now: 0.0, factor: 1.0 },
            picks: 0,
        };
        Self { table: Mutex::new(table) }
    }

    /// Chooses one of these endpoints, and adds the call to its load.
    pub(super) fn begin(
        self: &Arc<Self>,
        tiers: &Tiers,
        among: &[Candidate],
        call: &Call,
    ) -> Option<(Candidate, InFlight)> {
        let mut table = self.table();
        table.advance_to(call.now);
        let now = table.decay.now;
        table.latencies.refresh(call.kind, now);
        let chosen = *choose(tiers, &table, among, call)?;
        table.picks += 1;
        let picked = table.picks;
        let work = chosen.score.cost;
        let given = work * penalty(&table, &chosen, call);
        let noted = table.decay.noted(given);
        let load = &mut table.loads[chosen.index];
        load.picked = picked;
        load.calls += 1;
        load.work += work;
        load.recent += noted;
        drop(table);
        let counted = Counted { index: chosen.index, work, given };
        Some((chosen, InFlight::new(Arc::clone(self), counted, call)))
    }

    pub(super) fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Returns true if no call to the endpoint of this slot is in flight.
    pub(super) fn is_idle(&self, slot: usize) -> bool {
        self.loads[slot].calls == 0
    }

    /// Prepares a slot, which may be the next one, for a new endpoint.
    pub(super) fn begin_slot(&mut self, slot: usize) {
        if slot == self.loads.len() {
            self.loads.push(Load::default());
        }
        self.loads[slot] = Load::default();
        self.latencies.begin_slot(slot);
    }

    /// Advances the decay of recent work and errors to this time.
    pub(super) fn advance_to(&mut self, now: Instant) {
        if self.decay.advance_to(now) {
            let factor = std::mem::replace(&mut self.decay.factor, 1.0);
            self.decay.epoch = self.decay.now;
            for load in &mut self.loads {
                load.recent *= factor;
                load.errors *= factor;
            }
        }
    }

    /// Subtracts the recent work of a call that was never made.
    fn take_back(&mut self, counted: &Counted) {
        let noted = self.decay.noted(counted.given);
        let recent = &mut self.loads[counted.index].recent;
        *recent = (*recent - noted).max(0.0);
    }

    /// Records the success or failure of a call, at the time that the decay was advanced to.
    fn record_result(&mut self, index: usize, failed: bool) {
        let noted = self.decay.noted(if failed { 0.1 } else { 0.0 });
        let errors = &mut self.loads[index].errors;
        *errors = *errors * 0.9 + noted;
    }
}

impl Load {
    /// Returns the work in flight.
    pub(super) const fn work(&self) -> f64 {
        self.work
    }

    /// Returns the recent work, each call weighted by the penalty of the endpoint when the call was made.
    pub(super) fn recent(&self, decay: &Decay) -> f64 {
        self.recent * decay.factor
    }

    /// Returns 1 if no call fails, up to 6 if all calls fail.
    pub(super) fn error_factor(&self, decay: &Decay) -> f64 {
        1.0 + 5.0 * self.errors * decay.factor
    }

    /// Removes a call that has ended.
    fn finish(&mut self, work: f64) {
        self.calls = self.calls.saturating_sub(1);
        // Sums of fractions accumulate rounding errors: without calls in flight the work is exactly zero.
        self.work = if self.calls == 0 { 0.0 } else { self.work - work };
    }
}

impl Decay {
    /// Advances to this time. Returns true if a new epoch must begin, before the scaled amounts become too large.
    fn advance_to(&mut self, now: Instant) -> bool {
        let now = now.saturating_duration_since(self.began).as_secs_f64();
        if now - self.now >= 0.001 {
            self.now = now;
            self.factor = ((self.epoch - now) / MEMORY).exp();
        }
        self.now - self.epoch > 20.0 * MEMORY
    }

    /// Returns an amount recorded now, relative to the epoch.
    fn noted(&self, amount: f64) -> f64 {
        amount / self.factor
    }
}

/// The handle of a call in flight. The call counts as load of its endpoint until the handle completes or is dropped, and
/// the handle measures the latency.
///
/// Dropped without an outcome, the handle only removes the load: a client that disconnects is not evidence about an
/// endpoint.
#[derive(Debug)]
pub struct InFlight {
    loads: Arc<Loads>,
    counted: Counted,
    kind: usize,
    began: Instant,
    head: Option<Duration>,
    /// Set for a stream once its head has arrived: true when its latency was recorded, or must not be recorded.
    recorded: Option<Arc<AtomicBool>>,
    finished: bool,
}

/// The endpoint of a call, its work, and the recent work that was added for it.
#[derive(Clone, Copy, Debug)]
struct Counted {
    index: usize,
    work: f64,
    given: f64,
}

/// The latency of a stream, stored from the arrival of its head until the handle is attached to the response.
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

    /// Restarts the latency measurement: the call is made now.
    pub(super) fn called(&mut self) {
        self.began = Instant::now();
    }

    /// Measures the latency, now that the head of the response has arrived. For a stream, returns it, to be recorded once
    /// this handle is attached to the response.
    pub(super) fn head(&mut self) -> Option<Begun> {
        let head = Instant::now().saturating_duration_since(self.began);
        self.head = Some(head);
        (self.kind == STREAMED).then(|| Begun {
            loads: Arc::clone(&self.loads),
            sample: self.sample(head),
            recorded: Arc::clone(self.recorded.insert(Arc::default())),
        })
    }

    /// Reverts the choice of an endpoint that had no capacity after all.
    pub(super) fn undo(self) {
        self.loads.table().take_back(&self.counted);
    }

    fn sample(&self, head: Duration) -> Sample {
        // The time to the first content of a stream does not depend on its work; the time of a plain response does.
        let per = if self.kind == STREAMED { 1.0 } else { self.counted.work };
        Sample { which: self.counted.index, kind: self.kind, seconds: head.as_secs_f64() / per }
    }

    /// Returns true once if the latency was not recorded yet, and marks it as recorded.
    fn take_unrecorded(&self) -> bool {
        self.recorded.as_ref().is_none_or(|recorded| !recorded.swap(true, Ordering::Relaxed))
    }
}

impl Begun {
    /// Records the latency if the call is still in flight: the stream has begun successfully. The handle of a failed
    /// response has completed by now.
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
            table.record_result(self.counted.index, failed(outcome.class()));
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
