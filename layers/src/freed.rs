//! Who is told of room that comes early: [`Listeners`].

use std::sync::{Arc, PoisonError, Weak};

use crate::{
    endpoint::Freed,
    sync::{Mutex, MutexGuard},
};

/// Those that are told when there is room earlier than was said, and what each calls the endpoint.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    // Behind an `Arc`, so that they are told without the lock: what they wake may end a call of ours.
    all: Mutex<Arc<Vec<Listener>>>,
}

type Listener = (Weak<dyn Freed>, usize);

impl Listeners {
    /// From now on this one is told too.
    pub(crate) fn add(&self, told: &Weak<dyn Freed>, which: usize) {
        let mut all = self.all();
        let all = Arc::make_mut(&mut all);
        // Those of earlier trees are gone.
        all.retain(|(told, _)| told.strong_count() > 0);
        all.push((told.clone(), which));
    }

    /// Tells them.
    pub(crate) fn tell(&self) {
        let all = Arc::clone(&self.all());
        for (told, which) in all.iter() {
            if let Some(told) = told.upgrade() {
                told.freed(*which);
            }
        }
    }

    fn all(&self) -> MutexGuard<'_, Arc<Vec<Listener>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
