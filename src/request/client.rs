//! The client of a request, if it has a key of its own: [`Client`].

use std::{collections::HashMap, sync::Arc, time::SystemTime};

use tollgate_layers::quota::Meters;

use super::Request;
use crate::{
    config::{ClientKey, Config, KeyDigest, Pattern},
    metrics::ScopeMetrics,
    spend::Budget,
};

/// A client with a key of its own. All requests with the key share it.
#[derive(Debug)]
pub(crate) struct Client {
    /// The name of the key, for logs and metrics.
    pub name: Arc<str>,
    /// The hash of the key.
    pub digest: KeyDigest,
    /// The meters of the key's limits, which a reload keeps.
    pub meters: Meters,
    /// The metrics of the requests with the key.
    pub metrics: Arc<ScopeMetrics>,
    /// The budget of the key, which a reload keeps.
    pub budget: Option<Arc<Budget>>,
    expires: Option<SystemTime>,
    models: ModelAccess,
}

impl Client {
    /// Returns the client of a key. `groups` are the groups of the configuration.
    pub(crate) fn new(
        key: &ClientKey,
        groups: &Arc<GroupNames>,
        (meters, metrics): (Meters, Arc<ScopeMetrics>),
        budget: Option<Arc<Budget>>,
    ) -> Self {
        Self {
            name: Arc::clone(&key.name),
            digest: key.digest,
            meters,
            metrics,
            budget,
            expires: key.expires,
            models: ModelAccess::new(&key.models, groups),
        }
    }

    /// Returns true if the key has expired.
    pub(crate) fn has_expired(&self) -> bool {
        self.expires.is_some_and(|expires| SystemTime::now() >= expires)
    }

    /// Returns true if the client may call the model of this name.
    pub(crate) fn may_call(&self, model: &str) -> bool {
        self.models.allows(model)
    }

    /// Returns the first model that a request names and its client may not call: its own model, or one of its fallbacks.
    /// Fallbacks of the configuration are the operator's choice.
    pub(crate) fn first_denied<'a>(&self, request: &'a Request) -> Option<&'a Arc<str>> {
        if self.models.names.is_empty() {
            return None;
        }
        let overrides = &request.info.overrides;
        let special = [&overrides.context_window_fallbacks, &overrides.content_policy_fallbacks];
        let lists = special.into_iter().flatten().chain([&overrides.fallbacks]).flatten();
        let fallbacks = lists.flat_map(|list| list.targets()).map(|target| &target.model);
        std::iter::once(&request.info.model).chain(fallbacks).find(|model| !self.may_call(model))
    }
}

/// The names that stand for a group without being its name.
#[derive(Debug)]
pub(crate) struct GroupNames {
    /// The groups by alias.
    aliases: HashMap<Arc<str>, Arc<str>>,
    /// The groups by the id of a deployment.
    deployments: HashMap<Arc<str>, Arc<str>>,
}

impl GroupNames {
    /// Returns the names of a configuration.
    pub(crate) fn new(config: &Config) -> Self {
        let aliases = config.aliases.iter().map(|alias| (Arc::clone(&alias.name), Arc::clone(&alias.group)));
        let deployments = config.groups.iter().flat_map(|group| &group.deployments);
        let deployments = deployments.map(|d| (Arc::clone(&d.id), Arc::clone(&d.group)));
        let mut names = Self { aliases: aliases.collect(), deployments: deployments.collect() };
        // A group takes precedence over a deployment with this id, as in the router.
        config.groups.iter().for_each(|group| _ = names.deployments.remove(&group.name));
        names
    }
}

/// The models that a key may call.
#[derive(Debug)]
struct ModelAccess {
    /// Empty if the key may call every model.
    names: Vec<Arc<str>>,
    patterns: Vec<Pattern>,
    groups: Arc<GroupNames>,
}

impl ModelAccess {
    /// Returns the access to `models`: names of groups and aliases, and patterns of them. An alias stands for its group.
    fn new(models: &[Arc<str>], groups: &Arc<GroupNames>) -> Self {
        let behind = models.iter().filter_map(|model| groups.aliases.get(model));
        Self {
            names: models.iter().chain(behind).cloned().collect(),
            patterns: models.iter().filter_map(|model| Pattern::parse(model)).collect(),
            groups: Arc::clone(groups),
        }
    }

    fn allows(&self, model: &str) -> bool {
        if self.names.is_empty() {
            return true;
        }
        match (self.groups.aliases.get(model), self.groups.deployments.get(model)) {
            (Some(group), _) => self.contains(model) || self.contains(group),
            // A pattern is about groups: it must not match the id of a deployment in another group.
            (None, Some(group)) => self.contains(group),
            (None, None) => self.contains(model),
        }
    }

    fn contains(&self, name: &str) -> bool {
        self.names.iter().any(|known| **known == *name)
            || self.patterns.iter().any(|pattern| pattern.capture(name).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(models: &[&str]) -> ModelAccess {
        let entry = |group: &str, id: &str| {
            format!(
                "- {{model_name: \"{group}\", litellm_params: {{model: openai/x, mock_response: hi}}, model_info: {{id: {id}}}}}\n"
            )
        };
        let yaml = format!(
            "model_list:\n{}{}{}router_settings: {{model_group_alias: {{quick: small}}}}\n",
            entry("small", "eu-1"),
            entry("large", "large-1"),
            entry("openai/*", "any")
        );
        let (config, _) = Config::from_yaml(&yaml, "", &|_| None).unwrap();
        let models: Vec<_> = models.iter().map(|model| Arc::from(*model)).collect();
        ModelAccess::new(&models, &Arc::new(GroupNames::new(&config)))
    }

    #[test]
    fn a_client_key_without_models_may_call_every_model() {
        let access = access(&[]);
        assert!(["small", "quick", "eu-1", "unknown"].iter().all(|model| access.allows(model)));
    }

    #[test]
    fn a_client_key_may_call_its_models_by_group_alias_and_id() {
        for (models, allowed, denied) in [
            (
                &["small"][..],
                &["small", "quick", "eu-1"][..],
                &["large", "large-1", "openai/x", "unknown"][..],
            ),
            (&["quick"], &["small", "quick", "eu-1"], &["large", "large-1"]),
            (&["openai/*"], &["openai/gpt-4o", "openai/*"], &["small", "openai/", "any-other"]),
            (&["openai/gpt-4o"], &["openai/gpt-4o"], &["openai/gpt-5"]),
            (&["eu-*"], &["eu-x"], &["eu-1", "small"]),
            (&["qu*"], &["quick"], &["small"]),
            (&["*"], &["small", "quick", "eu-1", "unknown"], &[]),
        ] {
            let access = access(models);
            assert!(allowed.iter().all(|model| access.allows(model)), "{models:?}");
            assert!(denied.iter().all(|model| !access.allows(model)), "{models:?}");
        }
    }
}
