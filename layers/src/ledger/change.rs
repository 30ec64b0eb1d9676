//! Notification of a member of changes that other replicas should receive: [`ChangeNotifier`].

use std::{
    fmt,
    sync::{PoisonError, Weak, atomic::Ordering},
};

use crate::sync::{AtomicBool, Mutex};

/// Receives a notification of a change. Must neither block nor call the source of the notification.
pub(crate) trait ChangeListener: Send + Sync {
    fn changed(&self);
}

/// The source of notifications for one listener. Without one, a notification costs one load.
#[derive(Default)]
pub(crate) struct ChangeNotifier {
    is_set: AtomicBool,
    listener: Mutex<Option<Weak<dyn ChangeListener>>>,
}

impl ChangeNotifier {
    /// Sets the listener, in place of an earlier one.
    pub(crate) fn set(&self, listener: Weak<dyn ChangeListener>) {
        *self.listener.lock().unwrap_or_else(PoisonError::into_inner) = Some(listener);
        self.is_set.store(true, Ordering::Release);
    }

    /// Returns true if there is a listener.
    pub(crate) fn is_set(&self) -> bool {
        self.is_set.load(Ordering::Acquire)
    }

    /// Notifies the listener. No lock that the listener may take must be held.
    pub(crate) fn notify(&self) {
        if !self.is_set() {
            return;
        }
        let listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(listener) = listener.and_then(|listener| listener.upgrade()) {
            listener.changed();
        }
    }
}

impl fmt::Debug for ChangeNotifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChangeNotifier").field("is_set", &self.is_set).finish_non_exhaustive()
    }
}
