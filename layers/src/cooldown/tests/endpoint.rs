//! A test endpoint that is always healthy, with unlimited capacity or none: [`StaticEndpoint`].

use super::*;

/// An [`Endpoint`] that wraps any service and always returns the same result from `reserve`.
#[derive(Clone, Copy, Debug)]
pub(super) struct StaticEndpoint<S> {
    inner: S,
    full: bool,
}

impl<S> StaticEndpoint<S> {
    /// Creates an endpoint with unlimited capacity.
    pub(super) const fn unlimited(inner: S) -> Self {
        Self { inner, full: false }
    }

    /// Creates an endpoint that refuses every reservation.
    pub(super) const fn full(inner: S) -> Self {
        Self { inner, full: true }
    }
}

impl<S, Req> Service<Req> for StaticEndpoint<S>
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

impl<S, Req> Endpoint<Req> for StaticEndpoint<S>
where
    S: Service<Req> + Clone,
{
    fn score(&self, _: &Req, _: Instant) -> Result<Score, NoCapacity> {
        Ok(Score { health: Health::Healthy(1.0), cost: 1.0, used: 0.0 })
    }

    fn reserve(&mut self, _: &Req, _: &Score, now: Instant) -> Result<(), NoCapacity> {
        let refusal = NoCapacity { until: now, reason: NoCapacityReason::RateLimit };
        if self.full { Err(refusal) } else { Ok(()) }
    }

    fn weight(&self) -> EndpointWeight {
        EndpointWeight::default()
    }
}
