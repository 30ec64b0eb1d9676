//! Those that are notified of capacity that comes early: [`CapacityListeners`].

use std::sync::{Arc, PoisonError, Weak};

use crate::{
    endpoint::CapacityListener,
    sync::{Mutex, MutexGuard},
};

/// The subscribers of one endpoint.
#[derive(Debug, Default)]
pub(crate) struct CapacityListeners {
    // Behind an `Arc`, so that they are notified without the lock: what they wake may end a call of ours.
    all: Mutex<Arc<Vec<Weak<dyn CapacityListener>>>>,
}

impl CapacityListeners {
    /// Adds a subscriber.
    pub(crate) fn add(&self, listener: &Weak<dyn CapacityListener>) {
        let mut all = self.all();
        let all = Arc::make_mut(&mut all);
        // Those of earlier trees are gone.
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
