//! A service that routes a request to the group with its model name: [`Router`].

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
    config::{Config, Deployment, Group, Pattern, Patterns, Unserved},
    group::ArcService,
    request::Request,
};

/// A service that passes a request to the group that its model name stands for.
///
/// The lookup order is: alias (one step), group, id of a deployment, pattern. A request for the id of a deployment goes
/// to that deployment alone.
#[derive(Clone, Debug)]
pub(crate) struct Router {
    routes: Arc<RouteTable>,
}

/// The groups by exact name, and by pattern for names that have no exact entry.
#[derive(Debug)]
struct RouteTable {
    groups: HashMap<Arc<str>, Route>,
    patterns: Patterns<Route>,
}

/// The destination of a name.
#[derive(Clone, Debug)]
enum Route {
    Group(ArcService),
    /// All deployments of the group are left out, for this reason.
    Unserved(Arc<str>),
}

impl Router {
    /// Creates a router for all names of `config`. `deployment` builds each deployment, and `group` builds a group of
    /// them.
    ///
    /// # Errors
    /// Returns the first error of `deployment`.
    pub(crate) fn new<D: Clone, E>(
        config: &Config,
        deployment: impl Fn(&Deployment) -> Result<D, E>,
        group: impl Fn(&Group, Vec<D>) -> ArcService,
    ) -> Result<Self, E> {
        let (mut named, mut single, mut patterns) = (HashMap::new(), Vec::new(), Vec::new());
        for g in &config.groups {
            let deployments = g.deployments.iter().map(&deployment).collect::<Result<Vec<_>, _>>()?;
            if let Some(pattern) = Pattern::parse(&g.name) {
                patterns.push((pattern, Route::Group(group(g, deployments)))); // not by id: `*` would capture nothing
                continue;
            }
            single.extend(g.deployments.iter().map(|d| (g, &d.id)).zip(deployments.iter().cloned()));
            named.insert(Arc::clone(&g.name), Route::Group(group(g, deployments)));
        }
        let aliases = config.aliases.iter(); // one step: an alias of an alias does not resolve
        let aliases =
            aliases.filter_map(|alias| Some((Arc::clone(&alias.name), named.get(&alias.group)?.clone())));
        named.extend(aliases.collect::<Vec<_>>());
        for ((g, id), d) in single {
            // a single deployment shares the stack of its group
            let whole = (g.deployments.len() == 1).then(|| named.get(&g.name).cloned()).flatten();
            named
                .entry(Arc::clone(id))
                .or_insert_with(|| whole.unwrap_or_else(|| Route::Group(group(g, vec![d]))));
        }
        for Unserved { name, reason } in &config.unserved {
            let route = Route::Unserved(Arc::clone(reason));
            match Pattern::parse(name) {
                Some(pattern) => patterns.push((pattern, route)),
                None => _ = named.entry(Arc::clone(name)).or_insert(route),
            }
        }
        let patterns = patterns.into_iter().collect();
        Ok(Self { routes: Arc::new(RouteTable { groups: named, patterns }) })
    }

    /// Returns the route of a name.
    fn find(&self, name: &str) -> Option<&Route> {
        let RouteTable { groups, patterns } = &*self.routes;
        groups.get(name).or_else(|| patterns.find(name))
    }

    /// Returns true if the name stands for a group that is served.
    pub(crate) fn has_route(&self, name: &str) -> bool {
        matches!(self.find(name), Some(Route::Group(_)))
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
        let error = match self.find(request.group()) {
            Some(Route::Group(group)) => return group.call(request),
            Some(Route::Unserved(reason)) => {
                Error::Unserved { model: Arc::clone(request.group()), reason: Arc::clone(reason) }
            }
            None => Error::UnknownModel(Arc::clone(request.group())),
        };
        Box::pin(ready(Err(error)))
    }
}
