//! `stream: true` in `litellm_params`: a request without `stream` is streamed. See [`StreamDefaults`].

use std::{collections::HashMap, sync::Arc};

use crate::{
    config::{Config, Group, Pattern, Patterns},
    request::{Operation, RequestInfo},
};

/// The names of models, each with true if a request without `stream` is streamed.
#[derive(Debug)]
pub(super) struct StreamDefaults {
    exact: HashMap<Arc<str>, bool>,
    patterns: Patterns<bool>,
}

impl StreamDefaults {
    /// Returns the defaults of a configuration, or none if it streams no group by default.
    pub(super) fn new(config: &Config) -> Option<Self> {
        if !config.groups.iter().any(Group::streams) {
            return None;
        }
        let (mut exact, mut patterns) = (HashMap::new(), Vec::new());
        for group in &config.groups {
            match Pattern::parse(&group.name) {
                Some(pattern) => patterns.push((pattern, group.streams())),
                None => _ = exact.insert(Arc::clone(&group.name), group.streams()),
            }
        }
        for alias in &config.aliases {
            let streams = exact.get(&alias.group).copied().unwrap_or_default();
            exact.insert(Arc::clone(&alias.name), streams);
        }
        for deployment in config.groups.iter().flat_map(|group| &group.deployments) {
            exact.entry(Arc::clone(&deployment.id)).or_insert(deployment.streams);
        }
        Some(Self { exact, patterns: patterns.into_iter().collect() })
    }

    /// Streams a request without `stream` if that is the default of its model.
    pub(super) fn apply(&self, info: &mut RequestInfo) {
        let is_set = info.stream || info.layout.keys.last("stream").is_some();
        let can_stream = match info.operation {
            Operation::Embeddings | Operation::CountTokens => false,
            other => !other.is_passed() && other.on_stored().is_none(),
        };
        let by_default = || self.exact.get(&info.model).or_else(|| self.patterns.find(&info.model));
        if can_stream && !is_set && by_default() == Some(&true) {
            (info.stream, info.streams_by_default) = (true, true);
        }
    }
}
