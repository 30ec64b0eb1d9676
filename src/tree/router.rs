//! Group name to group: [`Router`].

use std::{
    collections::HashMap,
    future::ready,
    sync::Arc,
    task::{Context, Poll},
};

use tower::Service;

use crate::{
    Error,
    body::{BoxResponseFuture, Response},
    config::{Config, Deployment, Group, Pattern, Patterns},
    group::ArcService,
    request::Request,
};

/// Finds the group that a request asks for.
///
/// A name is looked up as a group, then as an alias (one step), then as a deployment's id: such a call goes to that
/// deployment alone. What is none of these may fit a pattern.
#[derive(Clone, Debug)]
pub(crate) struct Router {
    names: Arc<Names>,
}

#[derive(Debug)]
struct Names {
    groups: HashMap<Arc<str>, ArcService>,
    patterns: Patterns<ArcService>,
}

impl Router {
    /// Routes every name that a client may ask for, over the groups of `config` as `group` builds them out of their
    /// deployments: aliases before groups before single deployments by id before patterns.
    ///
    /// # Errors
    /// The first of `deployment`.
    pub(crate) fn new<D: Clone, E>(
        config: &Config,
        deployment: impl Fn(&Deployment) -> Result<D, E>,
        group: impl Fn(&Group, Vec<D>) -> ArcService,
    ) -> Result<Self, E> {
        let (mut named, mut single, mut patterns) = (HashMap::new(), Vec::new(), Vec::new());
        for g in &config.groups {
            let deployments = g.deployments.iter().map(&deployment).collect::<Result<Vec<_>, _>>()?;
            if let Some(pattern) = Pattern::parse(&g.name) {
                patterns.push((pattern, group(g, deployments))); // by id nothing would be captured
                continue;
            }
            single.extend(g.deployments.iter().map(|d| (g, &d.id)).zip(deployments.iter().cloned()));
            named.insert(Arc::clone(&g.name), group(g, deployments));
        }
        let aliases = config.aliases.iter(); // one hop: an alias of an alias is no group
        let aliases =
            aliases.filter_map(|alias| Some((Arc::clone(&alias.name), named.get(&alias.group)?.clone())));
        named.extend(aliases.collect::<Vec<_>>());
        for ((g, id), d) in single {
            // the only one of a group is that group by another name
            let whole = (g.deployments.len() == 1).then(|| named.get(&g.name).cloned()).flatten();
            named.entry(Arc::clone(id)).or_insert_with(|| whole.unwrap_or_else(|| group(g, vec![d])));
        }
        let patterns = patterns.into_iter().collect();
        Ok(Self { names: Arc::new(Names { groups: named, patterns }) })
    }

    fn find(&self, name: &str) -> Option<&ArcService> {
        let Names { groups, patterns } = &*self.names;
        groups.get(name).or_else(|| patterns.find(name))
    }

    /// Whether anything can be called by this name.
    pub(crate) fn knows(&self, name: &str) -> bool {
        self.find(name).is_some()
    }
}

impl Service<Request> for Router {
    type Response = Response;
    type Error = Error;
    type Future = BoxResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> BoxResponseFuture {
        match self.find(request.group()) {
            Some(group) => group.ask(request),
            None => {
                let unknown = Error::UnknownModel(Arc::clone(request.group()));
                Box::pin(ready(Err(unknown)))
            }
        }
    }
}
