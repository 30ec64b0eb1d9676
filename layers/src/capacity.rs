//! The listeners that an endpoint notifies of capacity that returns early: [`CapacityListeners`].

use std::sync::{Arc, PoisonError, Weak};

use crate::{
    endpoint::CapacityListener,
    sync::{Mutex, MutexGuard},
};

/// The subscribers of one endpoint.
#[derive(Debug, Default)]
pub(crate) struct CapacityListeners {
    // Behind an `Arc`, so that the lock is not held while they are notified: a task that a listener wakes may end a call
    // of this endpoint, which notifies the listeners again.
    all: Mutex<Arc<Vec<Weak<dyn CapacityListener>>>>,
}

impl CapacityListeners {
    /// Adds a subscriber.
    pub(crate) fn add(&self, listener: &Weak<dyn CapacityListener>) {
        let mut all = self.all();
        let all = Arc::make_mut(&mut all);
        // The balancers of earlier trees were dropped.
        all.retain(|known| known.strong_count() > 0);
        all.push(listener.clone());
    }

    /// Notifies all subscribers.
    pub(crate) fn notify(&self) {
        let all = Arc::clone(&self.all());
        for listener in all.iter().filter_map(Weak::upgrade) {
            listener.capacity_freed();
        }
    }

    fn all(&self) -> MutexGuard<'_, Arc<Vec<Weak<dyn CapacityListener>>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
