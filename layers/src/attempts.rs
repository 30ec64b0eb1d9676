//! What one request has tried so far: [`Attempts`].
//!
//! One such record rides in a request, behind an `Arc`, through all its retries and fallbacks. The balancer writes
//! whom it picked, Retry writes how long to wait before the same one is called again. Layers reach it by a
//! [`Setting`]; without one, each call stands alone.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use tokio::time::Instant;

use crate::Setting;

/// The record of one request: which endpoints were tried, how many attempts were made, and from when on an endpoint
/// may be tried a second time.
///
/// Its lock is touched by one request alone, so it is never waited for.
#[derive(Debug, Default)]
pub struct Attempts {
    made: AtomicU32,
    begun: AtomicBool,
    record: Mutex<Record>,
}

#[derive(Debug, Default)]
struct Record {
    // Most requests try one endpoint: the first few need no allocation.
    first: [Option<EndpointKey>; 4],
    more: Vec<EndpointKey>,
    not_before: Option<Instant>,
    untried_only: bool,
    next_untried: bool,
}

/// An endpoint, as told apart from all others alive in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EndpointKey(usize);

impl EndpointKey {
    /// The key of whatever lives at this place for as long as the request does.
    #[must_use]
    pub fn of<T>(place: &T) -> Self {
        Self(std::ptr::from_ref(place).addr())
    }
}

/// The [`Setting`] of those who keep no record: each call stands alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

impl<'a, Req> Setting<&'a Req> for Alone {
    type Value = Option<&'a Attempts>;

    fn get(&self, _: &'a Req) -> Option<&'a Attempts> {
        None
    }
}

impl Attempts {
    /// An empty record.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes that this endpoint is called now, or failed when it was to be.
    pub fn picked(&self, endpoint: EndpointKey) {
        let mut record = self.record();
        // Written under the lock alone.
        self.made.store(self.made() + 1, Ordering::Relaxed);
        if record.contains(endpoint) {
            return;
        }
        match record.first.iter_mut().find(|slot| slot.is_none()) {
            Some(slot) => *slot = Some(endpoint),
            None => record.more.push(endpoint),
        }
    }

    /// Whether this endpoint was called before by this request.
    #[must_use]
    pub fn tried(&self, endpoint: EndpointKey) -> bool {
        self.made() > 0 && self.record().contains(endpoint)
    }

    /// How many attempts this request has made, over all groups.
    #[must_use]
    pub fn made(&self) -> u32 {
        self.made.load(Ordering::Relaxed)
    }

    /// Whether nobody has asked this before: a caller comes once, whatever groups it is sent on to.
    pub(crate) fn begins(&self) -> bool {
        // The layers of one request run one after another.
        let begins = !self.begun.load(Ordering::Relaxed);
        self.begun.store(true, Ordering::Relaxed);
        begins
    }

    /// From now on an endpoint that was tried is called again no earlier than this. `None` lifts it.
    pub fn set_not_before(&self, at: Option<Instant>) {
        self.record().not_before = at;
    }

    /// When an endpoint that was tried may be called again, if that is later than at once.
    #[must_use]
    pub fn not_before(&self) -> Option<Instant> {
        self.record().not_before
    }

    /// Whether the next attempt may go to an untried endpoint alone. A balancer that has none with room refuses then,
    /// at once.
    pub fn set_untried_only(&self, only: bool) {
        self.record().untried_only = only;
    }

    /// What [`Attempts::set_untried_only`] last said.
    #[must_use]
    pub fn untried_only(&self) -> bool {
        self.record().untried_only
    }

    /// The next round of attempts goes to untried endpoints alone, if there are any with room: for whoever sends a request back
    /// to where it failed because there are others there. Unlike [`Attempts::set_untried_only`] it is
    /// said before the round begins, and holds for all of it.
    pub fn begin_untried(&self) {
        self.record().next_untried = true;
    }

    /// What [`Attempts::begin_untried`] asked for, once.
    pub(crate) fn take_begin_untried(&self) -> bool {
        std::mem::take(&mut self.record().next_untried)
    }

    /// How many different endpoints were called.
    #[must_use]
    pub fn endpoints(&self) -> usize {
        let record = self.record();
        record.first.iter().flatten().count() + record.more.len()
    }

    /// Lifts what was asked of the next attempt: [`Attempts::set_not_before`] and [`Attempts::set_untried_only`].
    pub fn lift(&self) {
        let mut record = self.record();
        record.not_before = None;
        record.untried_only = false;
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record {
    fn contains(&self, endpoint: EndpointKey) -> bool {
        self.first.contains(&Some(endpoint)) || self.more.contains(&endpoint)
    }
}
