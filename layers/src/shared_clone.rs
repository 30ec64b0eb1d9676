//! The service and configuration shared by all calls of a layer that may repeat a call: [`SharedClone`].

use std::{
    ops::Deref,
    sync::{Arc, Mutex, PoisonError},
};

/// The configuration of a layer, and a clone of its inner service for repeated calls.
///
/// The first call goes to the service that was polled ready. A repeated call needs a service that the future owns, but
/// few requests repeat a call. A clone for each request, as in tower's own layers, would increment and decrement the
/// reference counts of all services below; this clone is made once and shared.
#[derive(Debug)]
pub(crate) struct SharedClone<S, C>(Arc<Shared<S, C>>);

#[derive(Debug)]
struct Shared<S, C> {
    config: C,
    // Behind a lock, so that a service need not be `Sync`.
    spare: Mutex<S>,
}

impl<S: Clone, C> SharedClone<S, C> {
    pub(crate) fn new(inner: &S, config: C) -> Self {
        Self(Arc::new(Shared { config, spare: Mutex::new(inner.clone()) }))
    }

    /// Returns a clone of the service, which has not been polled ready.
    pub(crate) fn service(&self) -> S {
        self.0.spare.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<S, C> Clone for SharedClone<S, C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S, C> Deref for SharedClone<S, C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.0.config
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::{Ready, ready},
        sync::atomic::{AtomicU32, Ordering},
        task::{Context, Poll},
    };

    use tower_layer::Layer;
    use tower_service::Service;

    use crate::{
        Class, Outcome, context_window::ContextWindowFallbackLayer, fallback::FallbackLayer,
        retry::RetryLayer,
    };

    static CLONES: AtomicU32 = AtomicU32::new(0);

    /// Counts its clones.
    struct Counted;

    impl Clone for Counted {
        fn clone(&self) -> Self {
            CLONES.fetch_add(1, Ordering::Relaxed);
            Self
        }
    }

    impl Service<bool> for Counted {
        type Response = ();
        type Error = ();
        type Future = Ready<Result<(), ()>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ()>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, good: bool) -> Self::Future {
            ready(good.then_some(()).ok_or(()))
        }
    }

    fn classify(result: Result<&(), &()>) -> Outcome {
        Outcome::new(result.map_or(Class::ContextWindow, |()| Class::Success))
    }

    #[tokio::test]
    async fn the_service_is_cloned_only_for_a_repeated_request() {
        let next = |_: &bool, _: &Outcome| Some(true);
        let mut service = FallbackLayer::new(next, classify).layer(
            ContextWindowFallbackLayer::new(next, classify)
                .layer(RetryLayer::new(1u32, classify).layer(Counted)),
        );
        CLONES.store(0, Ordering::Relaxed);
        assert_eq!(service.call(true).await, Ok(()));
        assert_eq!(CLONES.load(Ordering::Relaxed), 0);
        assert_eq!(service.call(false).await, Ok(()));
        assert_eq!(CLONES.load(Ordering::Relaxed), 1);
    }
}
