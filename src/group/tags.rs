//! Tag routing: the endpoint of a deployment that only requests with its tags may use, and the check before the group.

use std::{
    future::ready,
    sync::{Arc, Weak},
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::Instant;
use tollgate_layers::{
    Endpoint,
    endpoint::{CapacityListener, EndpointWeight, Horizon, NoCapacity, NoCapacityReason, Score},
};
use tower::{Layer, Service, service_fn};

use super::ArcService;
use crate::{
    Error,
    body::BoxResponseFuture,
    config::{Group, TagRules},
    request::Request,
};

/// The time after which a deployment may have capacity for a request with other tags: never.
const NEVER: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Returns the tags of a request.
pub(crate) fn tags(request: &Request) -> &[Box<str>] {
    request.info.overrides.tags.as_ref().map_or(&[], |tags| tags.all())
}

/// An endpoint without capacity for requests with other tags.
#[derive(Clone, Debug)]
pub(crate) struct Tagged<S> {
    inner: S,
    rules: Arc<TagRules>,
    index: usize,
}

impl<S> Tagged<S> {
    /// Builds a group by `plain`, or by `tagged` and behind a check of the tags if tag filtering is on. A deployment that
    /// is called by its id is not filtered, as in LiteLLM. Each endpoint carries its position in the whole group, so that
    /// `tagged` may make stacks of some of them.
    pub(crate) fn around(
        group: &Group,
        deployments: Vec<S>,
        plain: impl FnOnce(Vec<S>) -> ArcService,
        tagged: impl FnOnce(Vec<Self>) -> ArcService,
    ) -> ArcService {
        let Some(rules) = group.tags.as_ref().filter(|_| deployments.len() == group.deployments.len()) else {
            return plain(deployments);
        };
        let deployments = deployments.into_iter().enumerate();
        let deployments = deployments.map(|(index, inner)| Self { inner, rules: Arc::clone(rules), index });
        let (inner, rules) = (tagged(deployments.collect()), Arc::clone(rules));
        ArcService::layer().layer(service_fn(move |request: Request| -> BoxResponseFuture {
            if rules.admits_any(tags(&request)) {
                return inner.call(request);
            }
            Box::pin(ready(Err(Error::TagsDenied(Arc::clone(request.group())))))
        }))
    }

    fn admits(&self, request: &Request) -> bool {
        self.rules.admits(self.index, tags(request))
    }

    fn check(&self, request: &Request, now: Instant) -> Result<(), NoCapacity> {
        if self.admits(request) {
            return Ok(());
        }
        Err(NoCapacity { until: now + NEVER, reason: NoCapacityReason::RateLimit })
    }
}

impl<S: Service<Request>> Service<Request> for Tagged<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> S::Future {
        self.inner.call(request)
    }
}

impl<S: Endpoint<Request>> Endpoint<Request> for Tagged<S> {
    fn score(&self, request: &Request, now: Instant) -> Result<Score, NoCapacity> {
        self.check(request, now)?;
        self.inner.score(request, now)
    }

    fn reserve(&mut self, request: &Request, seen: &Score, now: Instant) -> Result<(), NoCapacity> {
        self.check(request, now)?;
        self.inner.reserve(request, seen, now)
    }

    fn weight(&self) -> EndpointWeight {
        self.inner.weight()
    }

    fn slots(&self, request: &Request, horizon: Horizon) -> u64 {
        if self.admits(request) { self.inner.slots(request, horizon) } else { 0 }
    }

    fn record_unmet(&self, request: &Request) {
        if self.admits(request) {
            self.inner.record_unmet(request);
        }
    }

    fn subscribe(&self, listener: &Weak<dyn CapacityListener>) {
        self.inner.subscribe(listener);
    }
}
