//! What all calls of a layer share that may call again: [`SharedClone`].

use std::{
    ops::Deref,
    sync::{Arc, Mutex, PoisonError},
};

/// A layer's rules, and a service to call again.
///
/// The first call goes to the service that was polled ready. Another needs one that the future may keep, and nearly no
/// request needs that: cloned for each, as tower's own layers do, it is counted up and down with all that is below it.
#[derive(Debug)]
pub(crate) struct SharedClone<S, R>(Arc<Shared<S, R>>);

#[derive(Debug)]
struct Shared<S, R> {
    rules: R,
    // Behind a lock, so that a service that is not `Sync` will do.
    spare: Mutex<S>,
}

impl<S: Clone, R> SharedClone<S, R> {
    pub(crate) fn new(inner: &S, rules: R) -> Self {
        Self(Arc::new(Shared { rules, spare: Mutex::new(inner.clone()) }))
    }

    /// Another service, which nobody has polled.
    pub(crate) fn service(&self) -> S {
        self.0.spare.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<S, R> Clone for SharedClone<S, R> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S, R> Deref for SharedClone<S, R> {
    type Target = R;

    fn deref(&self) -> &R {
        &self.0.rules
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
    async fn only_a_request_that_is_made_again_has_the_service_cloned() {
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
