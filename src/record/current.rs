//! The draft of the request that is being called on this thread.
//!
//! The services of the front are called one inside the other, down to the one that reads the body: until then a request
//! has no context that could carry the draft, and an extension of the HTTP request would cost every request an
//! allocation. A layer that calls later, as a buffer does, hides the draft.

use std::{cell::RefCell, sync::Arc};

use super::Draft;

thread_local! {
    static CURRENT: RefCell<Option<Arc<Draft>>> = const { RefCell::new(None) };
}

/// Calls `call` with `draft` as the current one.
pub(crate) fn with<R>(draft: Arc<Draft>, call: impl FnOnce() -> R) -> R {
    let _reset = Reset(CURRENT.replace(Some(draft)));
    call()
}

/// Returns the current draft.
pub(crate) fn draft() -> Option<Arc<Draft>> {
    CURRENT.with_borrow(Clone::clone)
}

/// Restores the former draft, also when the call panics.
struct Reset(Option<Arc<Draft>>);

impl Drop for Reset {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}
