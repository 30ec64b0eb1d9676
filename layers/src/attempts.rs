//! The record of the attempts of one request: [`Attempts`].
//!
//! Retry keeps one record for each request. The balancer adds the endpoints that it picks. Retry writes one [`Directive`]
//! before each repeat, and the balancer takes it. Without a record, each call is independent of earlier calls.
//!
//! An application whose requests should keep one record over several Retry layers, those of all fallbacks for example,
//! puts an `Arc<Attempts>` into its request type, and sets a function that returns it
//! ([`RetryLayer::with_attempts`](crate::retry::RetryLayer::with_attempts),
//! [`RateLimitBalanceLayer::with_attempts`](crate::balance::RateLimitBalanceLayer::with_attempts)).

use std::{
    cell::Cell,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
    },
};

use tokio::time::Instant;

use crate::Setting;

/// The endpoints that one request has tried, its number of attempts, and the directive for the next attempt.
///
/// Only one request uses the lock of a record, so that it is never contended.
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

/// The endpoints that the next attempt may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Directive {
    /// Any endpoint; untried endpoints are preferred.
    #[default]
    Any,
    /// Only untried endpoints, also those that are cooling down. A balancer without an untried endpoint that has capacity
    /// refuses at once.
    Untried,
    /// Any endpoint, but one that was already tried no earlier than this time.
    NotBefore(Instant),
}

/// The identity of an endpoint among all that exist in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EndpointKey(usize);

impl EndpointKey {
    /// Returns a key that no other endpoint has.
    #[must_use]
    pub fn unique() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// The [`Setting`] for requests without a record of attempts: each call is independent of earlier calls.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoAttempts;

impl<'a, Req> Setting<&'a Req> for NoAttempts {
    type Value = Option<&'a Attempts>;

    fn get(&self, _: &'a Req) -> Option<&'a Attempts> {
        None
    }
}

thread_local! {
    static CURRENT: Cell<Option<Arc<Attempts>>> = const { Cell::new(None) };
}

/// Calls `call` with `attempts` as the record of a request that has none of its own.
pub(crate) fn with_current<R>(attempts: Option<&Arc<Attempts>>, call: impl FnOnce() -> R) -> R {
    let Some(attempts) = attempts else { return call() };
    let _reset = Reset(CURRENT.replace(Some(Arc::clone(attempts))));
    call()
}

/// Takes the record that Retry keeps for the request that is being called.
///
/// Retry makes it the current one for the time of [`Service::call`](tower_service::Service::call). A layer between the two
/// that calls later, as a buffer does, hides it.
pub(crate) fn take_current() -> Option<Arc<Attempts>> {
    CURRENT.take()
}

/// Restores the former record, also when the call panics.
struct Reset(Option<Arc<Attempts>>);

impl Drop for Reset {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}

impl Attempts {
    /// Returns an empty record.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Records an attempt at this endpoint: a call, or a failure to become ready for the call.
    pub fn picked(&self, endpoint: EndpointKey) {
        let mut record = self.record();
        // Only written under the lock.
        self.made.store(self.made() + 1, Ordering::Relaxed);
        if record.contains(endpoint) {
            return;
        }
        match record.first.iter_mut().find(|slot| slot.is_none()) {
            Some(slot) => *slot = Some(endpoint),
            None => record.more.push(endpoint),
        }
    }

    /// Returns true if this request has tried this endpoint before.
    #[must_use]
    pub fn tried(&self, endpoint: EndpointKey) -> bool {
        self.made() > 0 && self.record().contains(endpoint)
    }

    /// Returns the number of attempts of this request, over all groups.
    #[must_use]
    pub fn made(&self) -> u32 {
        self.made.load(Ordering::Relaxed)
    }

    /// Returns true on the first call only. Used to count each request once, even if a fallback sends it to other groups.
    pub(crate) fn begins(&self) -> bool {
        // The layers of one request run one after another, so that a load and a store are enough.
        let begins = !self.begun.load(Ordering::Relaxed);
        self.begun.store(true, Ordering::Relaxed);
        begins
    }

    /// Sets the directive for the next attempt.
    pub fn direct(&self, next: Directive) {
        self.record().next = next;
    }

    /// Takes the directive for the next attempt, and resets it to [`Directive::Any`]. A balancer calls this as soon as it
    /// is called itself.
    pub fn take_directive(&self) -> Directive {
        // A first attempt has no directive. Most attempts are the first one: they need not take the lock.
        if self.made() == 0 { Directive::Any } else { std::mem::take(&mut self.record().next) }
    }

    /// Restricts the next round of attempts to untried endpoints. For a fallback that sends a request back to the group in
    /// which it failed, because other endpoints of the group may succeed. Unlike a [`Directive`], this is set before the
    /// round begins, and applies to all of its attempts.
    pub fn begin_untried(&self) {
        self.record().begin_untried = true;
    }

    /// Returns true once after [`Attempts::begin_untried`] was called.
    pub(crate) fn take_begin_untried(&self) -> bool {
        std::mem::take(&mut self.record().begin_untried)
    }

    /// Returns the number of different endpoints that were tried.
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
