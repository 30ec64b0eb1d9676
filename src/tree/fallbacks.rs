//! The rules for the next group after a failure: policies of the Fallback and ContextWindowFallback layers.
//!
//! The layers contain the loop. The rules here decide one step: they select the fallback list for the group and the
//! error, ask the [`RequestContext`](crate::request::RequestContext) for the next group that the request has not tried,
//! and rewrite the request.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use tollgate_layers::{Class, Outcome, context_window::Preflight, fallback::Next};

use crate::{
    classify::{OutcomeKind, kind_of},
    config::{Config, Deployment, FallbackTarget, Fallbacks, Pattern, Patterns, Settings},
    request::{Operation, Request},
    tree::max_attempts::MaxAttempts,
};

/// The fallback lists of the configuration. A list in a request replaces the configured list of the same kind.
#[derive(Clone, Debug)]
pub(crate) struct FallbackRules {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    general: Fallbacks,
    context_window: Option<Fallbacks>,
    content_policy: Option<Fallbacks>,
    max_fallbacks: u32,
    max_attempts: MaxAttempts,
    fallback_on_context_window: bool,
    /// The group behind each alias.
    aliases: HashMap<Arc<str>, Arc<str>>,
    patterns: Patterns<Arc<str>>,
    /// The names of all groups if any of them is a pattern, else empty.
    exact_names: HashSet<Arc<str>>,
    /// The largest input of each group in tokens, for groups in which every deployment states it.
    max_input_tokens: HashMap<Arc<str>, u64>,
    /// The number of deployments of each group with more than one `order`.
    tiered: HashMap<Arc<str>, usize>,
}

impl FallbackRules {
    /// Creates the rules of a configuration.
    pub(crate) fn new(config: &Config) -> Self {
        let settings: &Settings = &config.settings;
        let names = || config.groups.iter().map(|group| &group.name);
        let patterns: Patterns<_> =
            names().filter_map(|name| Some((Pattern::parse(name)?, Arc::clone(name)))).collect();
        Self {
            inner: Arc::new(Inner {
                general: settings.fallbacks.clone(),
                context_window: settings.context_window_fallbacks.clone(),
                content_policy: settings.content_policy_fallbacks.clone(),
                max_fallbacks: settings.max_fallbacks,
                max_attempts: MaxAttempts::new(config),
                fallback_on_context_window: settings.fallback_on_context_window,
                aliases: aliases(config),
                exact_names: if patterns.is_empty() { HashSet::new() } else { names().cloned().collect() },
                patterns,
                max_input_tokens: max_input_tokens(config),
                tiered: tiered(config),
            }),
        }
    }

    /// Returns the rules that use only the context window fallbacks.
    pub(crate) fn larger(&self) -> LargerGroup {
        LargerGroup(self.clone())
    }

    /// Returns the request for the same group if it has untried deployments of a later `order`. These are called before
    /// any other group, even without retries.
    fn next_tier(&self, request: &Request, outcome: &Outcome) -> Option<Request> {
        let context = &request.context;
        let refused = outcome.is_refusal() || !outcome.class().worth_another();
        if refused || request.info.overrides.disable_fallbacks || self.attempts_used_up(request) {
            return None;
        }
        let deployments = self.inner.tiered.get(&self.serving_group(request.group()))?;
        (context.tried_here() < *deployments).then(|| {
            context.attempts.begin_untried();
            request.clone()
        })
    }

    /// Returns true if the request has made all attempts that [`MaxAttempts`] allows.
    fn attempts_used_up(&self, request: &Request) -> bool {
        request.context.attempts.made() >= self.inner.max_attempts.of(request)
    }

    /// Returns the fallback list for an error that can have separate lists. If separate lists exist but none is for
    /// this group, the client receives the error, unless `fallback_on_context_window` permits the general fallbacks.
    fn targets_for(&self, request: &Request, error: SpecialError) -> Option<Vec<FallbackTarget>> {
        let permitted = error == SpecialError::ContextWindow && self.inner.fallback_on_context_window;
        match self.special(request, error) {
            Some(None) if !permitted => None,
            special => Some(special.flatten().unwrap_or_else(|| self.general(request))),
        }
    }

    /// Returns the general fallback list for the group of a request.
    fn general(&self, request: &Request) -> Vec<FallbackTarget> {
        let lists = request.info.overrides.fallbacks.as_ref().unwrap_or(&self.inner.general);
        self.entry(lists, request).unwrap_or_default()
    }

    /// Returns the entry for the group in the separate lists for an error, of the request or else of the configuration.
    /// The outer `None` means that there are no separate lists.
    fn special(&self, request: &Request, error: SpecialError) -> Option<Option<Vec<FallbackTarget>>> {
        let overrides = &request.info.overrides;
        // A flat list in a request applies to every error.
        if let Some(flat) = overrides.fallbacks.as_ref().and_then(|lists| lists.flat.clone()) {
            return Some(Some(flat));
        }
        self.separate(request, error).map(|lists| self.entry(lists, request))
    }

    /// Returns the separate lists for an error, of the request or else of the configuration.
    fn separate<'a>(&'a self, request: &'a Request, error: SpecialError) -> Option<&'a Fallbacks> {
        let overrides = &request.info.overrides;
        let (requested, configured) = match error {
            SpecialError::ContextWindow => (&overrides.context_window_fallbacks, &self.inner.context_window),
            SpecialError::ContentPolicy => (&overrides.content_policy_fallbacks, &self.inner.content_policy),
        };
        requested.as_ref().unwrap_or(configured).as_ref()
    }

    /// Returns the flat list, or else the list for the requested name, else for the group that serves it, else the
    /// default list.
    fn entry(&self, lists: &Fallbacks, request: &Request) -> Option<Vec<FallbackTarget>> {
        let requested = request.group();
        let of =
            |name: &Arc<str>| lists.by_group.iter().find(|(group, _)| group == name).map(|(_, list)| list);
        lists
            .flat
            .as_ref()
            .or_else(|| of(requested))
            .or_else(|| of(&self.serving_group(requested)))
            .or_else(|| Some(&lists.default).filter(|default| !default.is_empty()))
            .cloned()
    }

    /// Returns the request for the next group that it has not tried: first from `targets`, then from the lists that led
    /// to the failed group.
    fn next_group_for(&self, request: &Request, targets: Vec<FallbackTarget>) -> Option<Request> {
        let overrides = &request.info.overrides;
        if overrides.disable_fallbacks || self.attempts_used_up(request) {
            return None;
        }
        let max_fallbacks = overrides.max_fallbacks.unwrap_or(self.inner.max_fallbacks);
        // Aliases are resolved, so that no group is called twice under two names.
        let targets = targets
            .into_iter()
            .map(|other| FallbackTarget { model: self.resolve_alias(&other.model), ..other });
        request
            .context
            .next_group(&self.resolve_alias(request.group()), targets.collect(), max_fallbacks)
            .map(|target| redirected(request, target))
    }

    /// Returns the name of the group that serves a model name: itself, the group behind an alias, or a pattern.
    pub(crate) fn serving_group(&self, name: &Arc<str>) -> Arc<str> {
        let group = self.resolve_alias(name);
        if self.inner.patterns.is_empty() || self.inner.exact_names.contains(&group) {
            return group;
        }
        self.inner.patterns.find(&group).cloned().unwrap_or(group)
    }

    /// Returns the name of the group behind an alias; any other name is returned unchanged.
    fn resolve_alias(&self, name: &Arc<str>) -> Arc<str> {
        Arc::clone(self.inner.aliases.get(name).unwrap_or(name))
    }
}

impl Next<Request> for FallbackRules {
    /// Returns true for a response without output because a content filter removed it: another model may respond.
    fn replaces(&self, outcome: &Outcome) -> bool {
        kind_of(outcome) == OutcomeKind::Filtered
    }

    /// Returns the request for the next call after a failure: the same group while it has an untried `order` tier, else
    /// the next fallback group.
    fn next(&self, request: &Request, outcome: &Outcome) -> Option<Request> {
        let filtered = self.replaces(outcome);
        request.context.set_cause(if filtered { Class::ContentPolicy } else { outcome.class() });
        if let Some(same_group) = self.next_tier(request, outcome) {
            return Some(same_group);
        }
        let targets = match outcome.class() {
            // The client can use the response: only a list for this very case replaces it.
            Class::Success => self.entry(self.separate(request, SpecialError::ContentPolicy)?, request)?,
            Class::ContextWindow => self.targets_for(request, SpecialError::ContextWindow)?,
            Class::ContentPolicy => self.targets_for(request, SpecialError::ContentPolicy)?,
            // The model does not exist: the client must see the error, so no other model responds.
            Class::Caller if outcome.is_refusal() => return None,
            Class::Caller
            | Class::Unauthorized
            | Class::RateLimited
            | Class::Timeout
            | Class::Unavailable => self.general(request),
        };
        self.next_group_for(request, targets)
    }
}

/// The rules that use only the context window fallbacks: see [`FallbackRules::larger`].
#[derive(Clone, Debug)]
pub(crate) struct LargerGroup(FallbackRules);

impl LargerGroup {
    /// Returns the request for the next group of the context window fallbacks.
    fn next_larger(&self, request: &Request) -> Option<Request> {
        let targets = self.0.special(request, SpecialError::ContextWindow)??;
        self.0.next_group_for(request, targets)
    }
}

impl Next<Request> for LargerGroup {
    /// Returns the request for a larger group, after this group rejected it as too long.
    fn next(&self, request: &Request, _: &Outcome) -> Option<Request> {
        request.context.set_cause(Class::ContextWindow);
        self.next_larger(request)
    }
}

impl Preflight<Request> for LargerGroup {
    /// Returns the request for a larger group if its estimated tokens exceed the known limit of this group.
    fn larger(&self, request: &Request) -> Option<Request> {
        // The inputs of a batch are independent: none of them need be too long. Vectors of another model are of no use.
        if request.info.batch || request.info.operation == Operation::Embeddings {
            return None;
        }
        // Most configurations state no limits: then no name is resolved.
        let limits = Some(&self.0.inner.max_input_tokens).filter(|limits| !limits.is_empty())?;
        let limit = limits.get(&self.0.serving_group(request.group()))?;
        if request.info.prompt_tokens <= *limit {
            return None;
        }
        let larger = self.next_larger(request)?;
        request.context.set_cause(Class::ContextWindow);
        Some(larger)
    }
}

/// The errors that can have fallback lists of their own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SpecialError {
    ContextWindow,
    ContentPolicy,
}

/// Returns a copy of the request for another group.
fn redirected(request: &Request, target: Arc<FallbackTarget>) -> Request {
    let mut request = request.clone();
    request.change().fallback = Some(target);
    request
}

/// Returns the group behind each alias. Only one step is followed; an alias of an alias is left out.
fn aliases(config: &Config) -> HashMap<Arc<str>, Arc<str>> {
    let names: HashSet<_> = config.aliases.iter().map(|alias| &alias.name).collect();
    let last = config.aliases.iter().filter(|alias| !names.contains(&alias.group));
    last.map(|alias| (Arc::clone(&alias.name), Arc::clone(&alias.group))).collect()
}

/// Returns the number of deployments of each group with more than one `order`.
fn tiered(config: &Config) -> HashMap<Arc<str>, usize> {
    let differ = |deployments: &[Deployment]| {
        deployments.windows(2).any(|two| two[0].limits.order != two[1].limits.order)
    };
    let groups = config.groups.iter().filter(|group| differ(&group.deployments));
    groups.map(|group| (Arc::clone(&group.name), group.deployments.len())).collect()
}

/// Returns the largest input of each group in tokens, for groups in which every deployment states it.
fn max_input_tokens(config: &Config) -> HashMap<Arc<str>, u64> {
    let limit = |group: &crate::config::Group| {
        let each = group.deployments.iter().map(|deployment| deployment.info.max_input_tokens);
        each.collect::<Option<Vec<u64>>>()?.into_iter().max()
    };
    config.groups.iter().filter_map(|group| Some((Arc::clone(&group.name), limit(group)?))).collect()
}
