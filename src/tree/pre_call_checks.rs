//! The setting `enable_pre_call_checks`: a request goes only to deployments of its group that its input fits and that are
//! in its region.
//!
//! The check is made above the retries and the balancer of a group. For each context window and each region among its
//! deployments there is a stack with those that remain; all of them share the meters, the health and the metrics of their
//! deployments. A group without the setting has one stack and no check.
//!
//! A stack counts for a request only if the request [may use](crate::group::eligible) one of its deployments, so that a
//! request that those do not fit is refused for that reason.
//!
//! Hazard: the input is estimated (bytes / 4). Near a limit the estimate may be wrong in either direction.

use std::{future::ready, sync::Arc};

use tower::{Layer, service_fn};

use crate::{
    Error,
    body::BoxResponseFuture,
    config::{Deployment, Group, Settings},
    error::PreCallError,
    group::{ArcService, eligible::Eligibility},
    request::{Operation, Request},
};

/// Calls the stack of the deployments that fit a request. See the [module](self).
#[derive(Clone, Debug)]
pub(crate) struct PreCallChecks {
    variants: Arc<[Variant]>,
    rules: Option<Arc<Eligibility>>,
}

/// The deployments of a group in one region, or in any, with at least this context window.
#[derive(Debug)]
struct Variant {
    region: Option<Arc<str>>,
    window: u64,
    /// The positions of the deployments in the group.
    deployments: Vec<usize>,
    service: ArcService,
}

impl PreCallChecks {
    /// Returns the checks above the stacks that `build` returns for the remaining `deployments` of the group; without the
    /// setting, and for a single deployment that is called by its id, the stack of all of them.
    pub(crate) fn around<D: Clone>(
        (settings, group): (&Settings, &Group),
        deployments: Vec<D>,
        build: impl Fn(Vec<D>) -> ArcService,
    ) -> ArcService {
        if !settings.pre_call_checks || deployments.len() != group.deployments.len() {
            return build(deployments);
        }
        let variants = variants(&group.deployments).into_iter().map(|(region, window)| {
            let fits = |deployment: &Deployment| {
                is_in(deployment, region.as_deref()) && window_of(deployment) >= window
            };
            let remaining: Vec<_> = (0..deployments.len()).filter(|n| fits(&group.deployments[*n])).collect();
            let service = build(remaining.iter().map(|n| deployments[*n].clone()).collect());
            Variant { region, window, deployments: remaining, service }
        });
        let checks = Self { variants: variants.collect(), rules: Eligibility::of(group).map(Arc::new) };
        ArcService::layer().layer(service_fn(move |request| checks.call(request)))
    }

    fn call(&self, request: Request) -> BoxResponseFuture {
        match self.find(&request) {
            Ok(service) => service.call(request),
            Err(error) => Box::pin(ready(Err(Error::PreCall(error)))),
        }
    }

    /// Returns the stack for a request: of those in its region the one with the smallest window that is large enough.
    fn find(&self, request: &Request) -> Result<&ArcService, PreCallError> {
        let region = request.info.overrides.allowed_model_region.as_ref();
        let in_region = || {
            let there = self.variants.iter().filter(|variant| variant.region.as_ref() == region);
            there.filter(|variant| self.may_use(variant, request))
        };
        let tokens = input(request);
        if let Some(variant) = in_region().find(|variant| variant.window >= tokens) {
            return Ok(&variant.service);
        }
        match (in_region().next_back(), region) {
            (None, Some(region)) => Err(PreCallError::Region(Arc::clone(region))),
            (largest, _) => {
                let max = largest.map(|variant| variant.window).unwrap_or_default();
                Err(PreCallError::ContextWindow { tokens, max })
            }
        }
    }

    /// Returns true if the request may use a deployment of the stack.
    fn may_use(&self, variant: &Variant, request: &Request) -> bool {
        self.rules.as_ref().is_none_or(|rules| variant.deployments.iter().any(|n| rules.admits(*n, request)))
    }
}

/// Returns the regions and windows for which there is a stack, with ascending windows in each region.
fn variants(deployments: &[Deployment]) -> Vec<(Option<Arc<str>>, u64)> {
    let mut regions: Vec<_> = deployments.iter().map(|deployment| deployment.info.region.clone()).collect();
    regions.push(None);
    regions.sort();
    regions.dedup();
    let mut variants = Vec::new();
    for region in regions {
        let there = deployments.iter().filter(|deployment| is_in(deployment, region.as_deref()));
        let mut windows: Vec<_> = there.map(window_of).collect();
        windows.sort_unstable();
        windows.dedup();
        variants.extend(windows.into_iter().map(|window| (region.clone(), window)));
    }
    variants
}

fn is_in(deployment: &Deployment, region: Option<&str>) -> bool {
    region.is_none_or(|region| deployment.info.region.as_deref() == Some(region))
}

/// Returns the context window of a deployment; one that is not known fits every input.
fn window_of(deployment: &Deployment) -> u64 {
    deployment.info.facts.max_input_tokens.unwrap_or(u64::MAX)
}

/// Returns the estimated input of a request. The inputs of a batch are independent: none of them need be too long.
fn input(request: &Request) -> u64 {
    let is_batch = request.info.batch || request.info.operation == Operation::Embeddings;
    if is_batch { 0 } else { request.info.prompt_tokens }
}
