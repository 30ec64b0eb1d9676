//! A signal from one task to another: [`Signal`].

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    task::Context,
};

use futures_util::task::AtomicWaker;

/// A signal that is raised once, and wakes the task that waits for it.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    raised: AtomicBool,
    waker: AtomicWaker,
}

impl Signal {
    /// Raises the signal.
    pub(crate) fn raise(&self) {
        self.raised.store(true, Relaxed);
        self.waker.wake();
    }

    /// Returns true if the signal is raised; otherwise the task is woken when it is.
    #[must_use]
    pub(crate) fn poll(&self, cx: &Context<'_>) -> bool {
        self.waker.register(cx.waker());
        self.raised.load(Relaxed)
    }
}
