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
    error::UnknownResponse,
    group::ArcService,
    issued_id::DeploymentKey,
    provider,
    request::{Operation, Request, RequestInfo},
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
    Group(GroupRoute),
    /// All deployments of the group are left out, for this reason.
    Unserved(Arc<str>),
}

/// A group, or a part of it.
#[derive(Clone, Debug)]
struct GroupRoute {
    service: ArcService,
    /// The deployments that store responses, each alone.
    storing: Arc<HashMap<DeploymentKey, ArcService>>,
}

impl GroupRoute {
    /// Returns the route to one deployment, which `service` calls.
    fn alone(service: ArcService, deployment: &Deployment) -> Self {
        let stores = provider::stores_responses(deployment);
        let storing = stores.then(|| (DeploymentKey::of(deployment), service.clone()));
        Self { service, storing: Arc::new(storing.into_iter().collect()) }
    }

    /// Returns the route to a group, which `service` calls, with its deployments `alone`.
    fn whole(service: ArcService, alone: &[(&Deployment, Self)]) -> Self {
        let storing = alone.iter().flat_map(|(_, one)| &*one.storing);
        let storing = storing.map(|(key, service)| (*key, service.clone())).collect();
        Self { service, storing: Arc::new(storing) }
    }

    /// Returns the service of a request: that of the deployment which has the stored response that the request names, or else
    /// the whole group. If no deployment stores responses, they refuse the parameter.
    fn service_for(&self, info: &RequestInfo) -> Result<&ArcService, UnknownResponse> {
        let Some(stored) = &info.stored else { return Ok(&self.service) };
        let unknown = match info.operation {
            Operation::Responses if self.storing.is_empty() => return Ok(&self.service),
            Operation::Responses => UnknownResponse::Previous,
            _ => UnknownResponse::Named,
        };
        let id = stored.id.as_ref().ok_or(unknown)?;
        self.storing.get(&id.deployment).ok_or(unknown)
    }
}

/// Returns the routes to one deployment of a group each. A single deployment shares the stack of its group.
fn alone<'g, D: Clone>(
    g: &'g Group,
    (whole, stacks): (&ArcService, Vec<D>),
    group: impl Fn(&Group, Vec<D>) -> ArcService,
) -> Vec<(&'g Deployment, GroupRoute)> {
    let is_called = |d: &Deployment| Pattern::parse(&g.name).is_none() || provider::stores_responses(d);
    let called = g.deployments.iter().zip(stacks).filter(|(d, _)| is_called(d));
    let service = |stack| if g.deployments.len() == 1 { whole.clone() } else { group(g, vec![stack]) };
    called.map(|(d, stack)| (d, GroupRoute::alone(service(stack), d))).collect()
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
        let (mut named, mut by_id, mut patterns) = (HashMap::new(), Vec::new(), Vec::new());
        for g in &config.groups {
            let deployments = g.deployments.iter().map(&deployment).collect::<Result<Vec<_>, _>>()?;
            let whole = group(g, deployments.clone());
            let alone = alone(g, (&whole, deployments), &group);
            let route = Route::Group(GroupRoute::whole(whole, &alone));
            if let Some(pattern) = Pattern::parse(&g.name) {
                patterns.push((pattern, route)); // not by id: `*` would capture nothing
                continue;
            }
            named.insert(Arc::clone(&g.name), route);
            by_id.extend(alone.into_iter().map(|(d, route)| (Arc::clone(&d.id), route)));
        }
        let aliases = config.aliases.iter(); // one step: an alias of an alias does not resolve
        let aliases =
            aliases.filter_map(|alias| Some((Arc::clone(&alias.name), named.get(&alias.group)?.clone())));
        named.extend(aliases.collect::<Vec<_>>());
        for (id, route) in by_id {
            named.entry(id).or_insert(Route::Group(route));
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
            Some(Route::Group(group)) => match group.service_for(&request.info) {
                Ok(service) => return service.call(request),
                Err(unknown) => Error::UnknownResponse(unknown),
            },
            _ if request.info.operation.on_stored().is_some() => {
                Error::UnknownResponse(UnknownResponse::Named)
            }
            Some(Route::Unserved(reason)) => {
                Error::Unserved { model: Arc::clone(request.group()), reason: Arc::clone(reason) }
            }
            None => Error::UnknownModel(Arc::clone(request.group())),
        };
        Box::pin(ready(Err(error)))
    }
}
