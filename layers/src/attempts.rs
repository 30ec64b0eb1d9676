//! What one request has tried so far: [`Attempts`].
//!
//! One such record rides in a request, behind an `Arc`, through all its retries and fallbacks. The balancer writes the
//! endpoints that it picked. Retry gives one [`Directive`] with each repeat, which the balancer takes. Layers reach the
//! record by a [`Setting`]; without one, each call stands alone.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use tokio::time::Instant;

use crate::Setting;

/// The record of one request: which endpoints were tried, how many attempts were made, and where the next may go.
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
    next: Directive,
    begin_untried: bool,
}

/// Which endpoint the next attempt may go to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Directive {
    /// Any, untried ones first.
    #[default]
    Any,
    /// An untried one. A balancer that has none with room refuses at once.
    Untried,
    /// Any, but one that was tried no earlier than this.
    NotBefore(Instant),
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

    /// Says where the next attempt may go.
    pub fn direct(&self, next: Directive) {
        self.record().next = next;
    }

    /// Takes what was said of the next attempt, once. Called by a balancer as soon as it is called.
    pub fn take_directive(&self) -> Directive {
        // Nothing is said of a first attempt, which most are: its record need not be opened.
        if self.made() == 0 { Directive::Any } else { std::mem::take(&mut self.record().next) }
    }

    /// Has the next round of attempts go to untried endpoints alone: for a fallback that sends a request back to where it
    /// failed, because there are others there. Unlike a [`Directive`] it is said before the round begins, and holds for
    /// all of it.
    pub fn begin_untried(&self) {
        self.record().begin_untried = true;
    }

    /// What [`Attempts::begin_untried`] asked for, once.
    pub(crate) fn take_begin_untried(&self) -> bool {
        std::mem::take(&mut self.record().begin_untried)
    }

    /// How many different endpoints were called.
    #[must_use]
    pub fn endpoints(&self) -> usize {
        let record = self.record();
        record.first.iter().flatten().count() + record.more.len()
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
