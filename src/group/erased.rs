//! A type-erased, reference-counted tower `Service`: [`ArcService`].

use std::{
    future::ready,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use tower::{Layer, Service, ServiceExt, layer::layer_fn};

use crate::{
    Error,
    body::{BoxResponseFuture, Response},
    request::Request,
};

/// A type-erased service: the stack of a group, or the tree above the router.
///
/// A clone increments a reference count. tower's `BoxCloneSyncService` allocates on each clone, and Fallback clones.
#[derive(Clone)]
pub(crate) struct ArcService(Arc<dyn CallShared>);

/// An object-safe call by shared reference, which clones the stack.
trait CallShared: Send + Sync {
    fn call_shared(&self, request: Request) -> BoxResponseFuture;
}

impl<S> CallShared for S
where
    S: Service<Request, Response = Response, Error = Error> + Clone + Send + Sync + 'static,
    S::Future: Send,
{
    fn call_shared(&self, request: Request) -> BoxResponseFuture {
        let mut stack = self.clone();
        // Everything below admission control is normally ready. `oneshot` would move the whole stack into its future.
        match stack.poll_ready(&mut Context::from_waker(Waker::noop())) {
            // Written in place: `Box::pin` would copy the future once more.
            Poll::Ready(Ok(())) => {
                let future = Box::write(Box::new_uninit(), stack.call(request));
                Box::into_pin(future)
            }
            Poll::Ready(Err(error)) => Box::pin(ready(Err(error))),
            Poll::Pending => Box::pin(stack.oneshot(request)),
        }
    }
}

impl ArcService {
    /// Returns the layer that turns the service below it into an `ArcService`.
    pub(crate) fn layer<S>() -> impl Layer<S, Service = Self>
    where
        S: Service<Request, Response = Response, Error = Error> + Clone + Send + Sync + 'static,
        S::Future: Send,
    {
        layer_fn(|inner| Self(Arc::new(inner)))
    }

    /// Calls the service, and waits inside the future if it is not ready.
    pub(crate) fn call(&self, request: Request) -> BoxResponseFuture {
        self.0.call_shared(request)
    }
}

impl Service<Request> for ArcService {
    type Response = Response;
    type Error = Error;
    type Future = BoxResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> BoxResponseFuture {
        Self::call(self, request)
    }
}

impl std::fmt::Debug for ArcService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ArcService")
    }
}
