//! The settings of a group's layers that a request may change: each function makes one
//! [`Setting`](tollgate_layers::Setting).
//!
//! Precedence everywhere: request, then deployment, then the general settings, as in LiteLLM.

use tollgate_layers::{Outcome, balance::Strategy};

use crate::{
    classify::{counted, kind_of},
    config::{self, Group, Settings},
    request::Request,
};

/// How often a failed call is made again: the request's number, else what the group's retry policy or the general one
/// says of this error, else the deployment's that failed, else the general one.
pub(crate) fn retries(
    settings: &Settings,
    group: &Group,
) -> impl Fn((&Request, &Outcome)) -> u32 + Clone + use<> {
    let of_group = settings.model_group_retry_policy.iter().find(|(name, _)| *name == group.name);
    let policy = of_group.map_or(&settings.retry_policy, |(_, policy)| policy).clone();
    let general = settings.num_retries;
    move |(request, outcome): (&Request, &Outcome)| {
        let asked = request.head.overrides.num_retries;
        let of_error = || counted(&policy, kind_of(outcome));
        asked.or_else(of_error).or_else(|| request.context.deployment_retries()).unwrap_or(general)
    }
}

/// Streams and plain answers are compared with their own kind: the one by its first content, the other by its whole.
pub(crate) fn kind(request: &Request) -> u8 {
    u8::from(request.head.stream)
}

/// The strategy by its name in the file.
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
