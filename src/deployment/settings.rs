//! The settings of a deployment's layers that a request may change: each function makes one
//! [`Setting`](tollgate_layers::Setting).
//!
//! Precedence everywhere: request, then deployment, then the general settings, as in LiteLLM.

use std::time::Duration;

use tollgate_layers::{endpoint::EndpointWeight, timeout::Limit};

use crate::{
    body::AttemptTimeouts,
    config::{Deployment, Settings},
    error::TimeoutKind,
    request::{Request, deadline, whole},
};

/// How long one attempt may take until its head goes up: for a stream until its first content.
///
/// An attempt cut by the request's own shorter limit, or by the deadline, says nothing about the deployment.
pub(crate) fn attempt(
    settings: &Settings,
    deployment: &Deployment,
) -> impl Fn(&Request) -> Option<Limit> + Clone + use<> {
    let own = Attempt::new(settings, deployment);
    move |request: &Request| Some(own.limit(request).or_shorter(whole(request)))
}

/// The clocks that an answer's body carries on.
pub(crate) fn clocks(
    settings: &Settings,
    deployment: &Deployment,
) -> impl Fn(&Request) -> AttemptTimeouts + Clone + use<> {
    let own = Attempt::new(settings, deployment);
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

/// One deployment's limits of an attempt.
#[derive(Clone, Copy)]
struct Attempt {
    plain: Duration,
    stream: Option<Duration>,
}

impl Attempt {
    fn new(settings: &Settings, deployment: &Deployment) -> Self {
        Self {
            plain: deployment.timeouts.attempt.unwrap_or(settings.timeout),
            stream: deployment.timeouts.first_content.or(settings.stream_timeout),
        }
    }

    /// What one attempt may take. Where the request asks for less than the deployment is given, it is cut by the
    /// client's own wish, and says nothing about the deployment.
    fn limit(&self, request: &Request) -> Limit {
        let fair = self.fair(request);
        let limit = match self.asked(request) {
            Some(asked) if asked < fair => Limit::of(asked).without_evidence(),
            Some(asked) => Limit::of(asked),
            None => Limit::of(fair),
        };
        let clock =
            if self.watches_content(request) { TimeoutKind::FirstContent } else { TimeoutKind::Attempt };
        limit.named(clock.code())
    }

    /// What the deployment may take, whoever asks.
    fn fair(&self, request: &Request) -> Duration {
        if request.head.stream { self.stream.unwrap_or(self.plain) } else { self.plain }
    }

    /// What this request allows, where it says so.
    fn asked(&self, request: &Request) -> Option<Duration> {
        let head = &request.head;
        match head.overrides.stream_timeout {
            Some(limit) if head.stream => Some(limit),
            // A deployment's own limit for streams is more exact than a request's limit for all.
            _ if head.stream && self.stream.is_some() => None,
            _ => head.overrides.timeout,
        }
    }

    /// Whether anyone has set a clock for the first content: without one, a stream that shows signs of life is
    /// not held back for ever.
    fn watches_content(&self, request: &Request) -> bool {
        let head = &request.head;
        head.stream
            && (self.stream.is_some()
                || head.overrides.stream_timeout.is_some()
                || head.overrides.timeout.is_some())
    }
}

/// What a request costs in tokens, as far as it can be known before: its text, and the output that it may ask for.
pub(crate) fn cost(request: &Request) -> u64 {
    let head = &request.head;
    head.prompt_tokens.saturating_add(head.output_tokens.unwrap_or(UNKNOWN_OUTPUT))
}

/// The output of a request that names no limit, until the deployment's own answers have taught its meter better.
const UNKNOWN_OUTPUT: u64 = 256;

/// How a deployment is weighed against the others of its group.
pub(crate) fn share(deployment: &Deployment) -> EndpointWeight {
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
