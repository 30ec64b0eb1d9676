//! The settings that a request may change, as the layers ask for them: each function here makes one
//! [`Setting`].
//!
//! Precedence everywhere: request, then deployment, then the general settings, as in LiteLLM.

use std::time::Duration;

use tokio::time::Instant;
use tollgate_layers::{Attempts, Ending, Setting, balance::Strategy, endpoint::Share, timeout::Limit};

use crate::{
    body::Clocks,
    classify::{counted, kind_of},
    config::{self, Config, Deployment, Group, Settings},
    error::{Clock, Fault},
    request::Request,
};

/// What the request has tried so far.
#[must_use]
pub fn attempts(request: &Request) -> Option<&Attempts> {
    Some(&request.trail.attempts)
}

/// When the request must be done.
#[must_use]
pub fn deadline(request: &Request) -> Option<Instant> {
    request.trail.deadline
}

/// How long the whole request may take: what is left until its deadline.
#[must_use]
pub fn whole(request: &Request) -> Option<Limit> {
    deadline(request).map(|at| Limit::until(at).named(Fault::Deadline.code()))
}

/// How often a failed call is made again: the request's number, else what the group's retry policy or the general one
/// says of this error, else the deployment's that failed, else the general one.
pub fn retries(settings: &Settings, group: &Group) -> impl Fn((&Request, &Ending)) -> u32 + Clone + use<> {
    let of_group = settings.model_group_retry_policy.iter().find(|(name, _)| *name == group.name);
    let policy = of_group.map_or(&settings.retry_policy, |(_, policy)| policy).clone();
    let general = settings.num_retries;
    move |(request, ending): (&Request, &Ending)| {
        let asked = request.head.overrides.num_retries;
        let of_error = || counted(&policy, kind_of(ending));
        asked.or_else(of_error).or_else(|| request.trail.deployment_retries()).unwrap_or(general)
    }
}

/// The bound on all attempts of one request, over retries and fallbacks.
#[derive(Clone, Copy, Debug)]
pub struct MaxAttempts {
    configured: Option<u32>,
    /// The most retries that any group makes, whatever fails.
    retries: u32,
    fallbacks: u32,
}

impl MaxAttempts {
    /// The bound that this configuration sets, or that follows from it.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let settings = &config.settings;
        let policies = settings.model_group_retry_policy.iter().map(|(_, policy)| policy);
        let by_error = policies.chain([&settings.retry_policy]).flat_map(|policy| policy.0.values().copied());
        let deployments = config.groups.iter().flat_map(|group| &group.deployments);
        let retries = deployments.filter_map(|deployment| deployment.num_retries).chain(by_error).max();
        Self {
            configured: settings.max_attempts,
            retries: retries.map_or(settings.num_retries, |most| most.max(settings.num_retries)),
            fallbacks: settings.max_fallbacks,
        }
    }

    /// How many attempts this request may make.
    #[must_use]
    pub fn of(&self, request: &Request) -> u32 {
        let overrides = &request.head.overrides;
        let retries = overrides.num_retries.unwrap_or(self.retries).saturating_add(1);
        let groups = overrides.max_fallbacks.unwrap_or(self.fallbacks).saturating_add(1);
        let all = retries.saturating_mul(groups);
        self.configured.map_or(all, |most| most.min(all))
    }
}

impl Setting<&Request> for MaxAttempts {
    type Value = Option<u32>;

    fn get(&self, request: &Request) -> Option<u32> {
        Some(self.of(request))
    }
}

/// How long one attempt may take until its head goes up: for a stream until its first content.
///
/// An attempt cut by the request's own shorter limit, or by the deadline, says nothing about the deployment.
pub fn attempt(
    settings: &Settings,
    deployment: &Deployment,
) -> impl Fn(&Request) -> Option<Limit> + Clone + use<> {
    let own = Attempt::new(settings, deployment);
    move |request: &Request| Some(own.limit(request).or_shorter(whole(request)))
}

/// The clocks that an answer's body carries on.
pub fn clocks(settings: &Settings, deployment: &Deployment) -> impl Fn(&Request) -> Clocks + Clone + use<> {
    let own = Attempt::new(settings, deployment);
    let idle = deployment.timeouts.idle.unwrap_or(settings.stream_idle_timeout);
    let pings_are_nothing = !settings.pings_keep_alive;
    move |request: &Request| {
        let limit = own.limit(request);
        Clocks {
            attempt: Some(limit),
            first_content: own.watches_content(request).then_some(limit),
            idle: Some(Limit::of(idle)),
            whole: deadline(request),
            pings_are_nothing,
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
            Some(asked) if asked < fair => Limit::of(asked).no_evidence(),
            Some(asked) => Limit::of(asked),
            None => Limit::of(fair),
        };
        let clock = if self.watches_content(request) { Clock::FirstContent } else { Clock::Attempt };
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
#[must_use]
pub fn cost(request: &Request) -> u64 {
    let head = &request.head;
    head.prompt_tokens.saturating_add(head.output_tokens.unwrap_or(UNKNOWN_OUTPUT))
}

/// The output of a request that names no limit, until the deployment's own answers have taught its meter better.
const UNKNOWN_OUTPUT: u64 = 256;

/// Streams and plain answers are compared with their own kind: the one by its first content, the other by its whole.
#[must_use]
pub fn kind(request: &Request) -> u8 {
    u8::from(request.head.stream)
}

/// How a deployment is weighed against the others of its group.
#[must_use]
pub fn share(deployment: &Deployment) -> Share {
    let limits = &deployment.limits;
    // Exact below 2^53, which no limit reaches.
    #[expect(clippy::cast_precision_loss, reason = "a weight needs no more than 52 bits")]
    let weight = |limit: u64| limit as f64;
    Share {
        weight: limits.weight,
        rpm: limits.rpm.map(weight),
        tpm: limits.tpm.map(weight),
        order: limits.order,
        price: limits.price,
    }
}

/// The strategy by its name in the file.
#[must_use]
pub const fn strategy(settings: &Settings) -> Strategy {
    match settings.strategy {
        config::RoutingStrategy::Adaptive => Strategy::Adaptive,
        config::RoutingStrategy::SimpleShuffle => Strategy::SimpleShuffle,
        config::RoutingStrategy::LeastBusy => Strategy::LeastBusy,
        config::RoutingStrategy::UsageBased => Strategy::UsageBased,
        config::RoutingStrategy::LatencyBased => Strategy::LatencyBased { buffer: 0.0 },
        config::RoutingStrategy::CostBased => Strategy::CostBased,
    }
}
