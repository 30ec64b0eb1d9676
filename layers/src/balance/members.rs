//! The handle that changes the endpoints of a balancer: [`Members`].

use std::{
    borrow::Borrow,
    collections::HashMap,
    fmt,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{picker::Picker, queue::WaitQueue};
use crate::endpoint::CapacityListener;

/// A handle that inserts and removes endpoints of a [`RateLimitBalance`](super::RateLimitBalance) while it serves.
///
/// A removed endpoint receives no further request; calls in flight continue. Clones share the endpoints. The endpoints with
/// which the balancer was made have no key, and stay.
///
/// Any source of changes can drive it, such as tower's `Discover`:
///
/// ```
/// use std::{convert::Infallible, future::poll_fn, pin::pin};
/// use tollgate_layers::balance::Members;
/// use tower::discover::{Change, Discover};
///
/// async fn follow<D>(discover: D, members: Members<D::Key, D::Service>)
/// where
///     D: Discover<Error = Infallible>,
///     D::Key: std::hash::Hash,
/// {
///     let mut discover = pin!(discover);
///     while let Some(Ok(change)) = poll_fn(|cx| discover.as_mut().poll_discover(cx)).await {
///         match change {
///             Change::Insert(key, endpoint) => drop(members.insert(key, endpoint)),
///             Change::Remove(key) => drop(members.remove(&key)),
///         }
///     }
/// }
/// ```
pub struct Members<K, S> {
    picker: Arc<Picker<S>>,
    queue: Arc<WaitQueue>,
    /// The slot of each endpoint.
    slots: Arc<Mutex<HashMap<K, usize>>>,
}

impl<K, S> Members<K, S> {
    pub(super) fn new(picker: Arc<Picker<S>>, queue: Arc<WaitQueue>) -> Self {
        Self { picker, queue, slots: Arc::default() }
    }

    /// Returns the number of endpoints that were inserted and not removed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots().len()
    }

    /// Returns true if no endpoint was inserted that was not removed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<K, usize>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash, S> Members<K, S> {
    /// Inserts an endpoint. Returns the endpoint that it replaces, if there is one with this key. Requests that wait for
    /// capacity try the new endpoint at once.
    pub fn insert(&self, key: K, endpoint: S) -> Option<S> {
        let mut slots = self.slots();
        let former = slots.remove(&key).and_then(|slot| self.picker.remove(slot));
        slots.insert(key, self.picker.insert(endpoint));
        drop(slots);
        self.queue.capacity_freed();
        former
    }

    /// Removes and returns the endpoint with this key.
    pub fn remove<Q>(&self, key: &Q) -> Option<S>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let mut slots = self.slots();
        let slot = slots.remove(key)?;
        self.picker.remove(slot)
    }
}

impl<K, S> Clone for Members<K, S> {
    fn clone(&self) -> Self {
        let Self { picker, queue, slots } = self;
        Self { picker: Arc::clone(picker), queue: Arc::clone(queue), slots: Arc::clone(slots) }
    }
}

impl<K, S> fmt::Debug for Members<K, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Members").field("len", &self.len()).finish_non_exhaustive()
    }
}
