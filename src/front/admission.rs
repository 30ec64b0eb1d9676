//! The only backpressure of the gateway: [`AdmissionControl`].

use std::{
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::future::Either;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::{Layer, Service};

use crate::{
    Error,
    request::{Operation, Response},
};

/// A call of a model.
#[derive(Debug)]
pub(crate) struct Call<B> {
    /// Which endpoint is called.
    pub operation: Operation,
    /// The request as it came.
    pub request: http::Request<B>,
}

/// A call that was let in, and the permit that it holds until its answer has ended.
#[derive(Debug)]
pub(crate) struct Admitted<B> {
    /// The call.
    pub call: Call<B>,
    /// Its place among those that are held.
    pub permit: OwnedSemaphorePermit,
}

/// How many bytes of bodies a permit of the front door stands for: a semaphore counts no further than `u32` at once.
pub(crate) const BUFFER_UNIT: usize = 1024;

/// Holds at most so many calls at once, each until its answer's *body* has ended, and sheds the rest at once. tower's
/// own `ConcurrencyLimit` lets go at the head.
#[derive(Clone, Debug)]
pub(crate) struct AdmissionControlLayer {
    room: Arc<Semaphore>,
}

impl AdmissionControlLayer {
    /// At most this many; more than a semaphore counts is as good as no limit.
    pub(crate) fn new(most: usize) -> Self {
        Self { room: Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))) }
    }
}

impl<S> Layer<S> for AdmissionControlLayer {
    type Service = AdmissionControl<S>;

    fn layer(&self, inner: S) -> AdmissionControl<S> {
        AdmissionControl { inner, room: Arc::clone(&self.room) }
    }
}

/// See [`AdmissionControlLayer`].
#[derive(Clone, Debug)]
pub(crate) struct AdmissionControl<S> {
    inner: S,
    room: Arc<Semaphore>,
}

impl<S, B> Service<Call<B>> for AdmissionControl<S>
where
    S: Service<Admitted<B>, Response = Response, Error = Error>,
{
    type Response = Response;
    type Error = Error;
    type Future = Either<Ready<Result<Response, Error>>, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call<B>) -> Self::Future {
        match Arc::clone(&self.room).try_acquire_owned() {
            Ok(permit) => Either::Right(self.inner.call(Admitted { call, permit })),
            Err(_) => Either::Left(ready(Err(Error::Busy))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_beyond_what_can_be_counted_is_no_limit() {
        let layer = AdmissionControlLayer::new(usize::MAX);
        assert_eq!(layer.room.available_permits(), Semaphore::MAX_PERMITS);
    }
}
