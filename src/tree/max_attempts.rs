//! The limit on all attempts of one request: [`MaxAttempts`].

use tollgate_layers::Setting;

use crate::{config::Config, request::Request};

/// The limit on all attempts of one request, over retries and fallbacks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MaxAttempts {
    /// The value of `max_attempts`, if it is set.
    configured: Option<u32>,
    /// The most retries that the configuration allows for any group and any error.
    retries: u32,
    /// The value of `max_fallbacks`.
    fallbacks: u32,
}

impl MaxAttempts {
    /// Creates the limit that the configuration sets, or that follows from its retries and fallbacks.
    pub(crate) fn new(config: &Config) -> Self {
        let settings = &config.settings;
        let policies = settings.model_group_retry_policy.iter().map(|(_, policy)| policy);
        let by_error = policies.chain([&settings.retry_policy]).flat_map(|policy| policy.0.values().copied());
        let deployments = config.groups.iter().flat_map(|group| &group.deployments);
        let retries = deployments.filter_map(|deployment| deployment.num_retries).chain(by_error).max();
        Self {
            configured: settings.max_attempts,
            retries: retries.map_or(settings.num_retries, |max| max.max(settings.num_retries)),
            fallbacks: settings.max_fallbacks,
        }
    }

    /// Returns the number of attempts that a request may make. Without `max_attempts` it is (retries + 1) times
    /// (fallbacks + 1).
    pub(crate) fn of(&self, request: &Request) -> u32 {
        let overrides = &request.info.overrides;
        let retries = overrides.num_retries.unwrap_or(self.retries).saturating_add(1);
        let groups = overrides.max_fallbacks.unwrap_or(self.fallbacks).saturating_add(1);
        let all = retries.saturating_mul(groups);
        self.configured.map_or(all, |max| max.min(all))
    }
}

impl Setting<&Request> for MaxAttempts {
    type Value = Option<u32>;

    fn get(&self, request: &Request) -> Option<u32> {
        Some(self.of(request))
    }
}
