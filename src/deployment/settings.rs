//! The settings of a deployment's layers that a request may override: each function creates one
//! [`Setting`](tollgate_layers::Setting).
//!
//! Precedence everywhere: request, then deployment, then the general settings, as in LiteLLM.

use std::time::Duration;

use tollgate_layers::{endpoint::EndpointWeight, quota::Cost, timeout::Limit};

use crate::{
    body::AttemptTimeouts,
    config::{Deployment, Settings},
    error::TimeoutKind,
    request::{Request, deadline, whole},
    spend::TokenCounts,
};

/// Returns the time limit of one attempt until its response head: for a stream until its first content.
///
/// An attempt that exceeds a shorter limit of the request, or the deadline, does not count against the deployment.
pub(crate) fn attempt(
    settings: &Settings,
    deployment: &Deployment,
) -> impl Fn(&Request) -> Option<Limit> + Clone + use<> {
    let own = AttemptLimits::new(settings, deployment);
    move |request: &Request| Some(own.limit(request).or_shorter(whole(request)))
}

/// Returns the timeouts that apply to the response body.
pub(crate) fn timeouts(
    settings: &Settings,
    deployment: &Deployment,
) -> impl Fn(&Request) -> AttemptTimeouts + Clone + use<> {
    let own = AttemptLimits::new(settings, deployment);
    let idle = deployment.timeouts.idle.unwrap_or(settings.stream_idle_timeout);
    let ignore_pings = !settings.pings_keep_alive;
    move |request: &Request| {
        let limit = own.limit(request);
        AttemptTimeouts {
            attempt: Some(limit),
            first_content: own.watches_content(request).then_some(limit),
            idle: Some(Limit::of(idle)),
            whole: deadline(request),
            ignore_pings,
        }
    }
}

/// The limits that a deployment sets for an attempt.
#[derive(Clone, Copy)]
struct AttemptLimits {
    plain: Duration,
    stream: Option<Duration>,
}

impl AttemptLimits {
    fn new(settings: &Settings, deployment: &Deployment) -> Self {
        Self {
            plain: deployment.timeouts.attempt.unwrap_or(settings.timeout),
            stream: deployment.timeouts.first_content.or(settings.stream_timeout),
        }
    }

    /// Returns the time limit of one attempt. If the request sets a shorter limit than the deployment, an attempt that
    /// exceeds it does not count against the deployment.
    fn limit(&self, request: &Request) -> Limit {
        let deployment_limit = self.deployment_limit(request);
        let limit = match self.request_limit(request) {
            Some(request_limit) if request_limit < deployment_limit => {
                Limit::of(request_limit).without_evidence()
            }
            Some(request_limit) => Limit::of(request_limit),
            None => Limit::of(deployment_limit),
        };
        let kind =
            if self.watches_content(request) { TimeoutKind::FirstContent } else { TimeoutKind::Attempt };
        limit.named(kind.code())
    }

    /// Returns the limit of the deployment, whatever the request allows.
    fn deployment_limit(&self, request: &Request) -> Duration {
        if request.info.stream { self.stream.unwrap_or(self.plain) } else { self.plain }
    }

    /// Returns the limit that the request sets, if any.
    fn request_limit(&self, request: &Request) -> Option<Duration> {
        let info = &request.info;
        match info.overrides.stream_timeout {
            Some(limit) if info.stream => Some(limit),
            // A deployment's own limit for streams is more exact than a request's limit for all.
            _ if info.stream && self.stream.is_some() => None,
            _ => info.overrides.timeout,
        }
    }

    /// Returns true if a timeout for the first content is set. Without one, a stream that sends pings is held for a
    /// limited time only.
    fn watches_content(&self, request: &Request) -> bool {
        let info = &request.info;
        info.stream
            && (self.stream.is_some()
                || info.overrides.stream_timeout.is_some()
                || info.overrides.timeout.is_some())
    }
}

/// Returns the estimated tokens of a request: its text and its output limit.
pub(crate) fn cost(request: &Request) -> Cost {
    let TokenCounts { input, output, .. } = estimated(request);
    Cost { input, output }
}

/// Returns the estimated tokens of a request by kind.
pub(crate) fn estimated(request: &Request) -> TokenCounts {
    let info = &request.info;
    let output = info.output_tokens.unwrap_or(UNKNOWN_OUTPUT);
    TokenCounts { input: info.prompt_tokens, cached: 0, output }
}

/// The estimated output of a request without a limit, in tokens, until the meter has learned from responses.
const UNKNOWN_OUTPUT: u64 = 256;

/// Returns the weight of a deployment among the deployments of its group.
pub(crate) fn endpoint_weight(deployment: &Deployment) -> EndpointWeight {
    let limits = &deployment.limits;
    // Exact below 2^53, which no limit reaches.
    #[expect(clippy::cast_precision_loss, reason = "a weight needs no more than 52 bits")]
    let weight = |limit: u64| limit as f64;
    EndpointWeight {
        weight: limits.weight,
        rpm: limits.rpm.map(weight),
        tpm: limits.tpm.map(weight),
        order: limits.order,
        price: limits.price,
    }
}
