//! The handle on one endpoint's health, and what hears its calls: [`Bench`], [`Watch`].

use std::{
    fmt,
    sync::{Arc, PoisonError, Weak, atomic::Ordering},
    time::Duration,
};

use tokio::time::Instant;

use super::cell::{Cell, Failure, Verdict};
use crate::{
    Ending, Hear, Until, clock,
    endpoint::{Freed, Full, Health, Score},
    freed::Listeners,
    sync::{AtomicBool, AtomicU32, Mutex},
};

/// When an endpoint is benched, and for how long.
#[derive(Clone)]
pub struct Policy {
    pub(super) cooldown_time: Duration,
    pub(super) allowed_fails: Option<u32>,
    pub(super) allowance: Option<Allowance>,
    pub(super) longest: Duration,
    pub(super) slow_start: Duration,
}

type Allowance = Arc<dyn Fn(&Ending) -> Option<u32> + Send + Sync>;

impl Default for Policy {
    /// Benches for 5 s, as LiteLLM does.
    fn default() -> Self {
        Self::new(Duration::from_secs(5))
    }
}

impl Policy {
    /// Benches for this long at first; zero never benches.
    #[must_use]
    pub const fn new(cooldown_time: Duration) -> Self {
        Self {
            cooldown_time,
            allowed_fails: None,
            allowance: None,
            longest: Duration::from_secs(300),
            slow_start: Duration::from_secs(10),
        }
    }

    /// So many failures in a rolling minute are borne; one more benches. With `None`: more than half of at least five
    /// calls in the rolling minute, or five in a row.
    #[must_use]
    pub const fn with_allowed_fails(mut self, allowed_fails: Option<u32>) -> Self {
        self.allowed_fails = allowed_fails;
        self
    }

    /// Where this gives a number for an ending, that many failures (of any kind) in the rolling minute are borne,
    /// when one more ends like this. It is asked of failures only, and must not
    /// look at the [`Bench`].
    #[must_use]
    pub fn with_allowance<F>(mut self, allowance: F) -> Self
    where
        F: Fn(&Ending) -> Option<u32> + Send + Sync + 'static,
    {
        self.allowance = Some(Arc::new(allowance));
        self
    }

    /// A bench that is repeated doubles up to this; 5 minutes unless told.
    #[must_use]
    pub const fn with_longest(mut self, longest: Duration) -> Self {
        self.longest = longest;
        self
    }

    /// After a bench it takes this long until the endpoint has its whole weight again; 10 s unless told.
    #[must_use]
    pub const fn with_slow_start(mut self, slow_start: Duration) -> Self {
        self.slow_start = slow_start;
        self
    }

    pub(super) const fn is_off(&self) -> bool {
        self.cooldown_time.is_zero()
    }

    pub(super) fn allows(&self, ending: &Ending) -> Option<u32> {
        self.allowance.as_ref().and_then(|allowance| allowance(ending))
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("cooldown_time", &self.cooldown_time)
            .field("allowed_fails", &self.allowed_fails)
            .finish_non_exhaustive()
    }
}

/// A handle on the health of one endpoint. All clones are one; it outlives the services that use it.
#[derive(Clone)]
pub struct Bench {
    shared: Arc<Shared>,
}

/// Nearly always all is well, and that is seen without the lock. Both are written under it.
struct Shared {
    settled: AtomicBool,
    benches: AtomicU32,
    known: Mutex<Known>,
    /// Told when a bench ends before its time.
    listeners: Listeners,
}

struct Known {
    policy: Policy,
    cell: Cell,
}

/// Where an endpoint stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Well, or never heard of.
    Well,
    /// Well again, and not yet at its whole weight.
    SlowStart,
    /// Benched.
    Benched,
    /// Its bench is over; one call may find out whether it is well.
    HalfOpen,
    /// That one call is under way.
    Probing,
}

/// What a [`Bench`] knows at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Where it stands.
    pub state: State,
    /// Until when it is, or was, benched; `None` when it is well.
    pub until: Option<Instant>,
    /// Failures in the rolling minute, or since the last bench began or was lifted.
    pub fails: u32,
    /// How often it was benched in all.
    pub benches: u32,
}

impl Bench {
    /// The health of an endpoint that nothing is known about.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        let known = Mutex::new(Known { policy, cell: Cell::new() });
        let (settled, benches) = (AtomicBool::new(true), AtomicU32::new(0));
        Self { shared: Arc::new(Shared { settled, benches, known, listeners: Listeners::default() }) }
    }

    /// From now on judged like this; what is known stays.
    pub fn set_policy(&self, policy: Policy) {
        self.with(Instant::now(), |known| known.policy = policy);
    }

    /// How well it is.
    #[must_use]
    pub fn health(&self) -> Health {
        self.health_at(clock::now())
    }

    #[inline]
    pub(super) fn health_at(&self, now: Instant) -> Health {
        if self.is_settled() {
            return Health::Well(1.0);
        }
        self.with(now, |known| known.cell.health(&known.policy, now))
    }

    /// For a status page or metrics.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let now = Instant::now();
        self.with(now, |Known { policy, cell }| {
            let state = match cell.health(policy, now) {
                Health::Well(part) if part < 1.0 => State::SlowStart,
                Health::Well(_) => State::Well,
                Health::Probe => State::HalfOpen,
                Health::Benched(until) if until <= now => State::Probing,
                Health::Benched(_) => State::Benched,
            };
            let until = cell.until().filter(|_| !policy.is_off());
            Snapshot { state, until, fails: cell.minute(now).0, benches: cell.benches() }
        })
    }

    /// Takes the probe, if the bench is over and it is there to take.
    ///
    /// # Errors
    /// [`Until`], when `seen` had it and another call has taken it since.
    pub(super) fn take_probe(&self, seen: &Score, now: Instant) -> Result<Option<Probe>, Until> {
        if self.is_settled() {
            return Ok(None);
        }
        let taken = self.with(now, |known| known.cell.take_probe(&known.policy, now));
        if let Some(of) = taken {
            return Ok(Some(Probe { bench: self.clone(), of }));
        }
        // Chosen as the least bad it may be called all the same. Chosen as the probe it was chosen for nothing; asked
        // again, it says that it is benched.
        let lost = seen.health == Health::Probe && matches!(self.health_at(now), Health::Benched(_));
        if lost { Err(Until { at: now, why: Full::Probing }) } else { Ok(None) }
    }

    pub(super) fn watch(&self, probe: Option<Probe>) -> Watch {
        Watch { bench: self.clone(), begun: self.shared.benches.load(Ordering::Acquire), probe }
    }

    pub(super) fn on_freed(&self, told: &Weak<dyn Freed>, which: usize) {
        self.shared.listeners.add(told, which);
    }

    fn is_settled(&self) -> bool {
        self.shared.settled.load(Ordering::Acquire)
    }

    fn with<T>(&self, now: Instant, f: impl FnOnce(&mut Known) -> T) -> T {
        let mut known = self.shared.known.lock().unwrap_or_else(PoisonError::into_inner);
        let was_benched = known.is_benched(now);
        let result = f(&mut known);
        self.shared.settled.store(known.cell.is_settled(&known.policy, now), Ordering::Release);
        self.shared.benches.store(known.cell.benches(), Ordering::Release);
        let freed = was_benched && !known.is_benched(now);
        drop(known);
        if freed {
            self.shared.listeners.tell();
        }
        result
    }
}

impl Known {
    fn is_benched(&self, now: Instant) -> bool {
        matches!(self.cell.health(&self.policy, now), Health::Benched(_))
    }
}

impl fmt::Debug for Bench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bench").field(&self.snapshot()).finish()
    }
}

/// The one probe after a bench, given back when dropped.
#[derive(Debug)]
pub(super) struct Probe {
    bench: Bench,
    /// The number of the bench that it is the probe of.
    of: u32,
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.bench.with(clock::now(), |known| known.cell.give_back_probe(self.of));
    }
}

/// Hears how one call ended. Dropped unheard it says nothing, and gives back the probe if it held it.
#[derive(Debug)]
pub struct Watch {
    bench: Bench,
    // How many benches there had been when the call began.
    begun: u32,
    probe: Option<Probe>,
}

impl Watch {
    /// The head of the answer is there. When that is good news the bench is over now, not at the end of a long body.
    pub(super) fn head(&mut self, ending: &Ending) {
        if Verdict::of(ending) == Verdict::Good {
            // Mostly there is no bench to be over, and one that begins now is none of this call's.
            if !self.bench.is_settled() {
                let now = clock::now();
                self.bench.with(now, |known| known.cell.answers(self.begun, now));
            }
            self.probe = None;
        }
    }
}

#[cfg(test)]
impl Watch {
    /// Whether it is the probe of the present bench.
    pub(super) fn is_probe(&self) -> bool {
        self.probe.is_some() && self.begun == self.bench.snapshot().benches
    }
}

impl Hear for Watch {
    fn end(self, ending: &Ending) {
        let now = clock::now();
        self.bench.with(now, |Known { policy, cell }| match Verdict::of(ending) {
            _ if policy.is_off() => {}
            Verdict::Good => cell.succeeded(self.begun, now),
            Verdict::Bad => {
                let failure = Failure { ending, begun: self.begun, probe: self.probe.is_some() };
                cell.failed(policy, failure, now);
            }
            Verdict::Silent => {}
        });
    }
}
