//! A limit of concurrent calls that sheds what exceeds it: [`AdmissionControl`], the only load shedding of the gateway.

use std::{
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::future::Either;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use tower::{Layer, Service, layer::layer_fn};

use crate::{
    Error,
    group::instrument::Measured,
    request::{Client, Operation, Response},
};

/// A request for a model, before admission.
#[derive(Debug)]
pub(crate) struct ModelCall<B> {
    /// The operation that is called.
    pub operation: Operation,
    /// The model that the path names, which replaces that of the body; or the stored response.
    pub model: Option<Arc<str>>,
    /// The client, if it has a key of its own.
    pub client: Option<Arc<Client>>,
    /// The time of the arrival.
    pub arrival: Instant,
    /// The request as the client sent it.
    pub request: http::Request<B>,
}

impl<B> Measured for ModelCall<B> {
    fn operation(&self) -> Operation {
        self.operation
    }

    fn start(&self) -> Instant {
        self.arrival
    }
}

/// A call that was admitted, and the permit that it holds until the body of its response has ended.
#[derive(Debug)]
pub(crate) struct AdmittedCall<B> {
    /// The call.
    pub call: ModelCall<B>,
    /// The permit of the call. Dropping it frees capacity for another call.
    pub permit: OwnedSemaphorePermit,
}

/// Limits the number of concurrent calls. A call counts until the *body* of its response has ended, and a call beyond
/// the limit fails at once with [`Error::Busy`]. tower's `ConcurrencyLimit` releases its permit with the response head.
#[derive(Clone, Debug)]
pub(crate) struct AdmissionControl<S> {
    inner: S,
    permits: Arc<Semaphore>,
}

impl<S> AdmissionControl<S> {
    /// Returns a layer that limits the gateway to `most` calls. A number beyond [`Semaphore::MAX_PERMITS`] means that
    /// many.
    pub(crate) fn layer(max_in_flight: usize) -> impl Layer<S, Service = Self> {
        let permits = Arc::new(Semaphore::new(max_in_flight.min(Semaphore::MAX_PERMITS)));
        layer_fn(move |inner| Self { inner, permits: Arc::clone(&permits) })
    }
}

impl<S, B> Service<ModelCall<B>> for AdmissionControl<S>
where
    S: Service<AdmittedCall<B>, Response = Response, Error = Error>,
{
    type Response = Response;
    type Error = Error;
    type Future = Either<Ready<Result<Response, Error>>, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: ModelCall<B>) -> Self::Future {
        match Arc::clone(&self.permits).try_acquire_owned() {
            Ok(permit) => Either::Right(self.inner.call(AdmittedCall { call, permit })),
            Err(_) => Either::Left(ready(Err(Error::Busy))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_admission_limit_beyond_the_maximum_of_a_semaphore_is_capped() {
        let service = AdmissionControl::layer(usize::MAX).layer(());
        assert_eq!(service.permits.available_permits(), Semaphore::MAX_PERMITS);
    }
}
