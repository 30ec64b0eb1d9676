//! Where a request goes when a group has done all it could: the policies of Fallback and ContextWindowFallback.
//!
//! The layers loop; what is here only answers "and now?": it finds the list that holds for this group and this
//! error, asks the [`RequestContext`](crate::request::Trail) for the next group on the walk, and rewrites the request.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use tollgate_layers::{Class, Outcome, context_window::Preflight, fallback::Next};

use crate::{
    config::{Config, Deployment, FallbackTarget, Fallbacks, Pattern, Patterns, Settings},
    request::Request,
    tree::max_attempts::MaxAttempts,
};

/// The fallback lists of the configuration. A request may bring its own, which replace them whole.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    general: Fallbacks,
    context_window: Option<Fallbacks>,
    content_policy: Option<Fallbacks>,
    deepest: u32,
    max_attempts: MaxAttempts,
    context_window_goes_on: bool,
    /// The group behind each alias.
    aliases: HashMap<Arc<str>, Arc<str>>,
    patterns: Patterns<Arc<str>>,
    /// The groups that are asked for by their own name, where there is any pattern.
    plain: HashSet<Arc<str>>,
    /// What each group is known to take, where it is known of all its deployments.
    windows: HashMap<Arc<str>, u64>,
    /// The groups whose deployments differ in `order`, and how many deployments they have.
    tiered: HashMap<Arc<str>, usize>,
}

impl Policy {
    /// The policy that this configuration asks for.
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
                deepest: settings.max_fallbacks,
                max_attempts: MaxAttempts::new(config),
                context_window_goes_on: settings.fallback_on_context_window,
                aliases: aliases(config),
                plain: if patterns.is_empty() { HashSet::new() } else { names().cloned().collect() },
                patterns,
                windows: windows(config),
                tiered: tiered(config),
            }),
        }
    }

    /// The same lists, asked only for larger groups.
    pub(crate) fn larger(&self) -> Larger {
        Larger(self.clone())
    }

    /// Another group, whatever has gone wrong with this one; but first what is left of this one.
    fn another(&self, request: &Request, outcome: &Outcome) -> Option<Request> {
        if let Some(same) = self.next_tier(request, outcome) {
            return Some(same);
        }
        let own = match outcome.class() {
            Class::Success => return None,
            Class::ContextWindow => self.special(request, Special::ContextWindow)?,
            Class::ContentPolicy => self.special(request, Special::ContentPolicy)?,
            // There is no such model: a slip is told, and no other answers in its name.
            Class::Caller if outcome.is_refusal() => return None,
            Class::Caller
            | Class::Unauthorized
            | Class::RateLimited
            | Class::Timeout
            | Class::Unavailable => self.general(request),
        };
        self.walk(request, own)
    }

    /// The same group, where deployments of a later `order` are left: whoever orders the deployments of a group means
    /// the later ones to help out before any other group, retries or not.
    fn next_tier(&self, request: &Request, outcome: &Outcome) -> Option<Request> {
        let context = &request.context;
        let refused = outcome.is_refusal() || !outcome.class().worth_another();
        if refused || request.head.overrides.disable_fallbacks || self.spent(request) {
            return None;
        }
        let deployments = self.inner.tiered.get(&self.serving(request.group()))?;
        (context.tried_here() < *deployments).then(|| {
            context.attempts.begin_untried();
            request.clone()
        })
    }

    fn spent(&self, request: &Request) -> bool {
        request.context.attempts.made() >= self.inner.max_attempts.of(request)
    }

    /// The list for an error that has lists of its own. Where there are such lists but none for this group, the
    /// client sees the error, unless the configuration says that the ordinary fallbacks go on.
    fn special(&self, request: &Request, special: Special) -> Option<Vec<FallbackTarget>> {
        match self.lists(request, special) {
            Lists::Flat(list) => Some(list.to_vec()),
            Lists::ByGroup(lists) => match self.entry(lists, request) {
                Some(list) => Some(list),
                None if special == Special::ContextWindow && self.inner.context_window_goes_on => {
                    Some(self.general(request))
                }
                None => None,
            },
            Lists::None => Some(self.general(request)),
        }
    }

    fn general(&self, request: &Request) -> Vec<FallbackTarget> {
        let overrides = &request.head.overrides;
        let lists = overrides.fallbacks.as_ref().unwrap_or(&self.inner.general);
        match &lists.flat {
            Some(flat) => flat.clone(),
            None => self.entry(lists, request).unwrap_or_default(),
        }
    }

    fn lists<'a>(&'a self, request: &'a Request, special: Special) -> Lists<'a> {
        let overrides = &request.head.overrides;
        // A flat list in a request serves every error.
        if let Some(flat) = overrides.fallbacks.as_ref().and_then(|lists| lists.flat.as_ref()) {
            return Lists::Flat(flat);
        }
        let (asked, configured) = match special {
            Special::ContextWindow => (&overrides.context_window_fallbacks, &self.inner.context_window),
            Special::ContentPolicy => (&overrides.content_policy_fallbacks, &self.inner.content_policy),
        };
        match asked.as_ref().unwrap_or(configured) {
            Some(Fallbacks { flat: Some(flat), .. }) => Lists::Flat(flat),
            Some(lists) => Lists::ByGroup(lists),
            None => Lists::None,
        }
    }

    /// The list for the name that was asked for, else for the group behind that alias, else for all.
    fn entry(&self, lists: &Fallbacks, request: &Request) -> Option<Vec<FallbackTarget>> {
        let asked = request.group();
        let of = |name: &Arc<str>| lists.by_group.iter().find(|(group, _)| group == name);
        of(asked)
            .or_else(|| of(&self.serving(asked)))
            .map(|(_, list)| list.clone())
            .or_else(|| (!lists.default.is_empty()).then(|| lists.default.clone()))
    }

    fn walk(&self, request: &Request, own: Vec<FallbackTarget>) -> Option<Request> {
        let overrides = &request.head.overrides;
        if overrides.disable_fallbacks || self.spent(request) {
            return None;
        }
        let deepest = overrides.max_fallbacks.unwrap_or(self.inner.deepest);
        // By the names of the groups, so that none is asked twice under two names.
        let own = own.into_iter().map(|other| FallbackTarget { model: self.group(&other.model), ..other });
        request
            .context
            .next_group(&self.group(request.group()), own.collect(), deepest)
            .map(|alternative| redirected(request, alternative))
    }

    /// The group that serves a name: behind an alias, or by a pattern.
    pub(crate) fn serving(&self, name: &Arc<str>) -> Arc<str> {
        let group = self.group(name);
        if self.inner.patterns.is_empty() || self.inner.plain.contains(&group) {
            return group;
        }
        self.inner.patterns.find(&group).cloned().unwrap_or(group)
    }

    /// The group behind an alias; any other name stands for itself.
    fn group(&self, name: &Arc<str>) -> Arc<str> {
        Arc::clone(self.inner.aliases.get(name).unwrap_or(name))
    }
}

impl Next<Request> for Policy {
    fn next(&self, request: &Request, outcome: &Outcome) -> Option<Request> {
        self.another(request, outcome)
    }
}

/// The way to a larger group alone: see [`Policy::larger`].
#[derive(Clone, Debug)]
pub(crate) struct Larger(Policy);

impl Larger {
    fn after(&self, request: &Request) -> Option<Request> {
        let Self(policy) = self;
        let own = match policy.lists(request, Special::ContextWindow) {
            Lists::Flat(list) => list.to_vec(),
            Lists::ByGroup(lists) => policy.entry(lists, request)?,
            Lists::None => return None,
        };
        policy.walk(request, own)
    }
}

impl Next<Request> for Larger {
    /// A larger group, for a request that did not fit this one.
    fn next(&self, request: &Request, _: &Outcome) -> Option<Request> {
        self.after(request)
    }
}

impl Preflight<Request> for Larger {
    /// A larger group at once, when it is known beforehand that the request does not fit this one.
    fn larger(&self, request: &Request) -> Option<Request> {
        // As a rule none is known, and nobody need ask who serves.
        let windows = Some(&self.0.inner.windows).filter(|windows| !windows.is_empty())?;
        let window = windows.get(&self.0.serving(request.group()))?;
        if request.head.prompt_tokens <= *window {
            return None;
        }
        self.after(request)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Special {
    ContextWindow,
    ContentPolicy,
}

enum Lists<'a> {
    Flat(&'a [FallbackTarget]),
    ByGroup(&'a Fallbacks),
    None,
}

fn redirected(request: &Request, alternative: Arc<FallbackTarget>) -> Request {
    let mut request = request.clone();
    request.change().instead = Some(alternative);
    request
}

/// One hop: a group that hides behind an alias of its own name is reached by this name alone.
fn aliases(config: &Config) -> HashMap<Arc<str>, Arc<str>> {
    let names: HashSet<_> = config.aliases.iter().map(|alias| &alias.name).collect();
    let last = config.aliases.iter().filter(|alias| !names.contains(&alias.group));
    last.map(|alias| (Arc::clone(&alias.name), Arc::clone(&alias.group))).collect()
}

fn tiered(config: &Config) -> HashMap<Arc<str>, usize> {
    let differ = |deployments: &[Deployment]| {
        deployments.windows(2).any(|two| two[0].limits.order != two[1].limits.order)
    };
    let groups = config.groups.iter().filter(|group| differ(&group.deployments));
    groups.map(|group| (Arc::clone(&group.name), group.deployments.len())).collect()
}

/// The largest input that each group takes, for the groups whose deployments all say so.
fn windows(config: &Config) -> HashMap<Arc<str>, u64> {
    let window = |group: &crate::config::Group| {
        let each = group.deployments.iter().map(|deployment| deployment.info.max_input_tokens);
        each.collect::<Option<Vec<u64>>>()?.into_iter().max()
    };
    config.groups.iter().filter_map(|group| Some((Arc::clone(&group.name), window(group)?))).collect()
}
