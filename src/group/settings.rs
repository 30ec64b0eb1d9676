//! Settings of a group's layers that a request may override. Each function returns one
//! [`Setting`](tollgate_layers::Setting).
//!
//! A request takes precedence over the deployment, and the deployment over the general settings, as in LiteLLM.

use tollgate_layers::{Outcome, balance::Strategy};

use crate::{
    classify::{counted, kind_of, named},
    config::{self, Group, Settings},
    request::Request,
};

/// Returns the number of retries for a failed call. In order of precedence: `num_retries` of the request, the retry
/// policy of the group (or else the general one) for this error, `num_retries` of the failed deployment, the general
/// `num_retries`.
///
/// An error of the client's request is retried only if a policy names it, and unless the request forbids retries.
pub(crate) fn retries(
    settings: &Settings,
    group: &Group,
) -> impl Fn((&Request, &Outcome)) -> u32 + Clone + use<> {
    let group_policy = settings.model_group_retry_policy.iter().find(|(name, _)| *name == group.name);
    let policy = group_policy.map_or(&settings.retry_policy, |(_, policy)| policy).clone();
    let general = settings.num_retries;
    move |(request, outcome): (&Request, &Outcome)| {
        let requested = request.info.overrides.num_retries;
        if !outcome.class().worth_another() {
            return if requested == Some(0) { 0 } else { named(&policy, kind_of(outcome)).unwrap_or(0) };
        }
        let by_error = || counted(&policy, kind_of(outcome));
        requested.or_else(by_error).or_else(|| request.context.deployment_retries()).unwrap_or(general)
    }
}

/// Returns the kind of a request for latency statistics: 1 for a stream, with the time to its first content as latency; 0
/// for any other request, with the time of the whole response.
pub(crate) fn kind(request: &Request) -> u8 {
    u8::from(request.info.stream)
}

/// Returns the balancing strategy of the settings.
pub(crate) const fn strategy(settings: &Settings) -> Strategy {
    match settings.strategy {
        config::RoutingStrategy::Adaptive => Strategy::Adaptive,
        config::RoutingStrategy::SimpleShuffle => Strategy::SimpleShuffle,
        config::RoutingStrategy::LeastBusy => Strategy::LeastBusy,
        config::RoutingStrategy::UsageBased => Strategy::UsageBased,
        config::RoutingStrategy::LatencyBased => Strategy::LatencyBased { buffer: 0.0 },
        config::RoutingStrategy::CostBased => Strategy::CostBased,
    }
}
