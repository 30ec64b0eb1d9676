//! The deployments of a group that a request may use: those that have its operation, and that its tags choose.
//!
//! [`Eligible`] is the endpoint of a deployment that other requests may not use, and [`Eligibility`] the check before the
//! group. A group whose deployments have all operations and no tag routing has neither.

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
    error::PreCallError,
    operation::{Operation, Operations},
    provider,
    request::Request,
};

/// The time after which a deployment may have capacity for a request that may not use it: never.
const NEVER: Duration = Duration::from_secs(10 * 365 * 86_400);

/// The rules by which a request may use deployments of a group.
#[derive(Debug)]
pub(crate) struct Eligibility {
    tags: Option<Arc<TagRules>>,
    /// The operations of each deployment.
    operations: Vec<Operations>,
}

impl Eligibility {
    /// Returns the rules of a group, or none if every request may use every deployment.
    pub(crate) fn of(group: &Group) -> Option<Self> {
        let operations: Vec<_> = group.deployments.iter().map(provider::operations).collect();
        let rules = Self { tags: group.tags.clone(), operations };
        (rules.tags.is_some() || !rules.operations.iter().all(|each| *each == Operations::ALL))
            .then_some(rules)
    }

    /// Returns true if the rules distinguish the deployments.
    fn differ(&self) -> bool {
        self.tags.is_some() || self.operations.windows(2).any(|two| two[0] != two[1])
    }

    /// Returns true if a request may use the deployment at this index.
    pub(crate) fn admits(&self, index: usize, request: &Request) -> bool {
        self.has(index, request.info.operation) && self.is_tagged(index, request)
    }

    fn has(&self, index: usize, operation: Operation) -> bool {
        self.operations.get(index).is_some_and(|each| each.contains(operation))
    }

    fn is_tagged(&self, index: usize, request: &Request) -> bool {
        let tags = request.info.overrides.tags.as_ref().map_or(&[][..], |tags| tags.all());
        self.tags.as_ref().is_none_or(|rules| rules.admits(index, tags))
    }

    /// Checks that a request may use any deployment.
    ///
    /// # Errors
    /// [`Error::TagsDenied`] if its tags choose none, [`PreCallError::Operation`] if those that they choose do not have the
    /// operation.
    fn check(&self, request: &Request) -> Result<(), Error> {
        let indices = 0..self.operations.len();
        if indices.clone().any(|index| self.admits(index, request)) {
            return Ok(());
        }
        if !indices.clone().any(|index| self.is_tagged(index, request)) {
            return Err(Error::TagsDenied(Arc::clone(request.group())));
        }
        Err(Error::PreCall(PreCallError::Operation(request.info.operation)))
    }
}

/// An endpoint without capacity for requests that may not use it.
#[derive(Clone, Debug)]
pub(crate) struct Eligible<S> {
    inner: S,
    rules: Arc<Eligibility>,
    index: usize,
}

impl<S> Eligible<S> {
    /// Builds a group by `plain`, or by `eligible` if requests may use some of its deployments only. A deployment that is
    /// called by its id is not filtered, as in LiteLLM. Each endpoint carries its position in the whole group, so that
    /// `eligible` may make stacks of some of them.
    pub(crate) fn around(
        group: &Group,
        deployments: Vec<S>,
        plain: impl FnOnce(Vec<S>) -> ArcService,
        eligible: impl FnOnce(Vec<Self>) -> ArcService,
    ) -> ArcService {
        let is_whole = deployments.len() == group.deployments.len();
        let Some(rules) = Eligibility::of(group).filter(|_| is_whole).map(Arc::new) else {
            return plain(deployments);
        };
        let inner = if rules.differ() {
            let deployments = deployments.into_iter().enumerate();
            let each = deployments.map(|(index, inner)| Self { inner, rules: Arc::clone(&rules), index });
            eligible(each.collect())
        } else {
            plain(deployments)
        };
        ArcService::layer().layer(service_fn(move |request: Request| -> BoxResponseFuture {
            match rules.check(&request) {
                Ok(()) => inner.call(request),
                Err(error) => Box::pin(ready(Err(error))),
            }
        }))
    }

    fn admits(&self, request: &Request) -> bool {
        self.rules.admits(self.index, request)
    }

    fn check(&self, request: &Request, now: Instant) -> Result<(), NoCapacity> {
        if self.admits(request) {
            return Ok(());
        }
        Err(NoCapacity { until: now + NEVER, reason: NoCapacityReason::RateLimit })
    }
}

impl<S: Service<Request>> Service<Request> for Eligible<S> {
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

impl<S: Endpoint<Request>> Endpoint<Request> for Eligible<S> {
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
