//! The quota layer and its service: [`QuotaLayer`], [`Quota`].

use std::{
    sync::{Arc, Weak},
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

use super::{
    cost::Cost,
    future::ResponseFuture,
    meters::Meters,
    reservation::{QuotaGuard, Reservation},
};
use crate::{
    AtResponse, Endpoint, IntoServiceError, Setting, TrackOutcome,
    balance::{Exhausted, RateLimitBalance, RateLimitBalanceLayer, Strategy},
    endpoint::{CapacityListener, EndpointWeight, Health, Horizon, NoCapacity, Score},
    setting::Constant,
};

/// A layer that keeps a service within its limits, and makes an [`Endpoint`] of it. See the [module](super).
///
/// `T` ([`TrackOutcome`]) attaches the [`QuotaGuard`] of a call to its response. `C` returns the cost of a request, in
/// the unit of the token limits: a number, or a [`Cost`] of input and output. The default cost is 1.
#[derive(Clone, Debug)]
pub struct QuotaLayer<T, C = Constant<u64>> {
    meters: Meters,
    share: EndpointWeight,
    track: T,
    cost: C,
}

impl<C> QuotaLayer<AtResponse<C>> {
    /// Returns a layer that counts on `meters` the calls and the outcomes that `classify` returns.
    pub const fn new(meters: Meters, classify: C) -> Self {
        Self { meters, share: NO_WEIGHT, track: AtResponse(classify), cost: Constant(1) }
    }
}

const NO_WEIGHT: EndpointWeight =
    EndpointWeight { weight: None, rpm: None, tpm: None, order: None, price: None };

impl<T, C> QuotaLayer<T, C> {
    /// Sets a [`TrackOutcome`] in place of the classifier: for responses that end after their head.
    pub fn with_tracking<U>(self, track: U) -> QuotaLayer<U, C> {
        QuotaLayer { meters: self.meters, share: self.share, track, cost: self.cost }
    }

    /// Returns a layer whose service lets a request wait for capacity for up to `max_wait`, in order of arrival, in place of
    /// refusing it at once. It is a [balancer](crate::balance) over one endpoint.
    pub const fn waiting(self, max_wait: Duration) -> WaitingQuotaLayer<T, C> {
        WaitingQuotaLayer { quota: self, max_wait }
    }

    /// Sets the function that returns the cost of a request. It is called more than once per call, so it must be cheap
    /// and free of side effects.
    pub fn with_cost<D>(self, cost: D) -> QuotaLayer<T, D> {
        QuotaLayer { meters: self.meters, share: self.share, track: self.track, cost }
    }

    /// Sets the weight of this deployment in its group.
    #[must_use]
    pub const fn with_weight(mut self, share: EndpointWeight) -> Self {
        self.share = share;
        self
    }
}

impl<S, T: Clone, C: Clone> Layer<S> for QuotaLayer<T, C> {
    type Service = Quota<S, T, C>;

    fn layer(&self, inner: S) -> Self::Service {
        Quota {
            inner,
            kept: Arc::new(Config { meters: self.meters.clone(), share: self.share }),
            track: self.track.clone(),
            cost: self.cost.clone(),
            reserved: None,
        }
    }
}

/// The layer that [`QuotaLayer::waiting`] returns.
#[derive(Clone, Debug)]
pub struct WaitingQuotaLayer<T, C = Constant<u64>> {
    quota: QuotaLayer<T, C>,
    max_wait: Duration,
}

impl<S, T: Clone, C: Clone> Layer<S> for WaitingQuotaLayer<T, C> {
    type Service = RateLimitBalance<Quota<S, T, C>, T>;

    fn layer(&self, inner: S) -> Self::Service {
        RateLimitBalanceLayer::tracking(Strategy::default(), self.quota.track.clone())
            .with_queue(self.max_wait, usize::MAX)
            .layer(vec![self.quota.layer(inner)])
    }
}

/// The service of [`QuotaLayer`].
#[derive(Debug)]
pub struct Quota<S, T, C = Constant<u64>> {
    inner: S,
    kept: Arc<Config>,
    track: T,
    cost: C,
    reserved: Option<Reservation>,
}

/// The part that all clones share, so that the clone for each call is cheap.
#[derive(Debug)]
struct Config {
    meters: Meters,
    share: EndpointWeight,
}

/// A clone shares the meters, but not the reservation.
impl<S: Clone, T: Clone, C: Clone> Clone for Quota<S, T, C> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            kept: Arc::clone(&self.kept),
            track: self.track.clone(),
            cost: self.cost.clone(),
            reserved: None,
        }
    }
}

impl<S, C> Quota<S, AtResponse<C>> {
    /// Creates the service of [`QuotaLayer::new`].
    pub fn new(inner: S, meters: Meters, classify: C) -> Self {
        let kept = Arc::new(Config { meters, share: NO_WEIGHT });
        Self { inner, kept, track: AtResponse(classify), cost: Constant(1), reserved: None }
    }
}

impl<S, T, C> Quota<S, T, C> {
    inner_accessors!(mut);
}

impl<S, T, C, Req> Service<Req> for Quota<S, T, C>
where
    S: Service<Req>,
    Exhausted: IntoServiceError<S::Error>,
    T: TrackOutcome<QuotaGuard, S::Response, S::Error> + Clone,
    C: for<'a> Setting<&'a Req, Value: Into<Cost>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, T>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, req: Req) -> Self::Future {
        let reserved = match self.reserved.take() {
            Some(reserved) => reserved,
            None => match self.kept.meters.reserve(self.cost.get(&req), Instant::now()) {
                Ok(reserved) => reserved,
                Err(full) => {
                    self.kept.meters.record_unmet(|| self.cost.get(&req));
                    return ResponseFuture::refused(Exhausted::at(full.until), self.track.clone());
                }
            },
        };
        // Before the inner call: if that panics, the guard still frees the slot in flight.
        let held = reserved.spend();
        ResponseFuture::calling(self.inner.call(req), held, self.track.clone())
    }
}

impl<S, T, C, Req> Endpoint<Req> for Quota<S, T, C>
where
    S: Service<Req> + Clone,
    Exhausted: IntoServiceError<S::Error>,
    T: TrackOutcome<QuotaGuard, S::Response, S::Error> + Clone,
    C: for<'a> Setting<&'a Req, Value: Into<Cost>> + Clone,
{
    fn score(&self, req: &Req, now: Instant) -> Result<Score, NoCapacity> {
        let cost: Cost = self.cost.get(req).into();
        let check = self.kept.meters.check(cost, now)?;
        // The balancer calls it only if it can call no other.
        let health = check.held_until.map_or(Health::Healthy(1.0), Health::CoolingDown);
        Ok(Score { health, cost: cost.total().max(1) as f64, used: check.used.min(1.0) })
    }

    fn reserve(&mut self, req: &Req, _: &Score, now: Instant) -> Result<(), NoCapacity> {
        self.reserved = Some(self.kept.meters.reserve(self.cost.get(req), now)?);
        Ok(())
    }

    fn weight(&self) -> EndpointWeight {
        self.kept.share
    }

    fn slots(&self, req: &Req, horizon: Horizon) -> u64 {
        self.kept.meters.slots(self.cost.get(req), horizon)
    }

    fn record_unmet(&self, req: &Req) {
        self.kept.meters.record_unmet(|| self.cost.get(req));
    }

    fn subscribe(&self, listener: &Weak<dyn CapacityListener>) {
        self.kept.meters.subscribe(listener);
    }
}
