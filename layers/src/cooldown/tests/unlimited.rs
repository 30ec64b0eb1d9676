//! An endpoint without limits.

use super::*;

/// Makes an [`Endpoint`] of any service: always well, with room for everything.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unlimited<S> {
    inner: S,
}

impl<S> Unlimited<S> {
    /// Gives `inner` endless room.
    pub(super) const fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S, Req> Service<Req> for Unlimited<S>
where
    S: Service<Req>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, req: Req) -> S::Future {
        self.inner.call(req)
    }
}

impl<S, Req> Endpoint<Req> for Unlimited<S>
where
    S: Service<Req> + Clone,
{
    fn score(&self, _: &Req, _: Instant) -> Result<Score, NoCapacity> {
        Ok(Score { health: Health::Healthy(1.0), cost: 1.0, used: 0.0 })
    }

    fn reserve(&mut self, _: &Req, _: &Score, _: Instant) -> Result<(), NoCapacity> {
        Ok(())
    }

    fn weight(&self) -> EndpointWeight {
        EndpointWeight::default()
    }
}
