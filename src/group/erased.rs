//! The border where types are erased: [`ArcService`].

use std::{
    future::ready,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use tower::{Layer, Service, ServiceExt};

use crate::{
    Error,
    body::{BoxResponseFuture, Response},
    request::Request,
};

/// A whole stack behind one pointer: a group's, or the tree's above the router.
///
/// tower's `BoxCloneSyncService` allocates whenever it is cloned, and a fallback clones; here a clone is a count.
#[derive(Clone)]
pub(crate) struct ArcService(Arc<dyn Ask>);

trait Ask: Send + Sync {
    fn ask(&self, request: Request) -> BoxResponseFuture;
}

impl<S> Ask for S
where
    S: Service<Request, Response = Response, Error = Error> + Clone + Send + Sync + 'static,
    S::Future: Send,
{
    fn ask(&self, request: Request) -> BoxResponseFuture {
        let mut stack = self.clone();
        // As a rule everything below the front door is ready; a future that asks costs a copy of all this.
        match stack.poll_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => Box::pin(stack.call(request)),
            Poll::Ready(Err(error)) => Box::pin(ready(Err(error))),
            Poll::Pending => Box::pin(stack.oneshot(request)),
        }
    }
}

impl ArcService {
    /// The layer that makes a `ArcService` of whatever is below it.
    pub(crate) const fn layer() -> ArcServiceLayer {
        ArcServiceLayer(())
    }

    /// Asks it. It is always ready, as everything below the front door.
    pub(crate) fn ask(&self, request: Request) -> BoxResponseFuture {
        self.0.ask(request)
    }
}

impl std::fmt::Debug for ArcService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stack")
    }
}

/// See [`ArcService::layer`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct ArcServiceLayer(());

impl<S> Layer<S> for ArcServiceLayer
where
    S: Service<Request, Response = Response, Error = Error> + Clone + Send + Sync + 'static,
    S::Future: Send,
{
    type Service = ArcService;

    fn layer(&self, inner: S) -> ArcService {
        ArcService(Arc::new(inner))
    }
}
