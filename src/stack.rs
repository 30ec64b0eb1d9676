//! The table of contents: the whole gateway, one function per tier, each read from the outside in.
//!
//! A request comes in at the top of [`gateway`], goes down through [`tree`], [`group`] and [`deployment`], and leaves
//! at the bottom. Building is pure: no I/O, no task, no clock; [`State`] holds what outlives a tree.

use std::sync::Arc;

use http::HeaderValue;
use tollgate_layers::{
    BoxError, balance::RateLimitBalanceLayer, context_window::ContextWindowFallbackLayer,
    cooldown::CooldownLayer, fallback::FallbackLayer, quota::QuotaLayer, retry::RetryLayer,
    timeout::TimeoutLayer,
};
use tower::ServiceBuilder;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};

use crate::{
    admin::AdminLayer,
    body::{Answer, PeekLayer},
    config::{Config, Deployment, Group, Settings},
    fallbacks::Policy,
    front::{AuthLayer, FrontDoorLayer},
    gateway::Gateway,
    headers,
    instrument::{AttributeLayer, InstrumentLayer, Origin},
    intake::{Intake, Rules},
    overrides,
    paths::PathsLayer,
    provider::Encoder,
    respond::RespondLayer,
    router::{Router, Stack},
    state::State,
    upstream::Deployed,
};

/// What is said on the command line, not in the file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Tell clients each answer's upstream.
    pub expose_upstreams: bool,
}

/// From the socket to the prompt.
#[must_use]
pub fn gateway(config: &Config, state: &State, options: Options) -> Gateway {
    let rules = Rules::new(&config.settings, options.expose_upstreams);
    let front = ServiceBuilder::new()
        .layer(SetRequestIdLayer::new(headers::CALL_ID, MakeRequestUuid)) // every answer can be asked about
        .layer(PropagateRequestIdLayer::new(headers::CALL_ID))
        .layer(InstrumentLayer::new(state.metrics.gateway())) // what the client saw, shed requests included
        .layer(RespondLayer) // errors end here: above it nothing can fail
        .layer(PathsLayer::new(state.draining.clone())) // health before auth; auth judges the route found here
        .layer(AuthLayer::new(config.master_key.as_ref())) // before memory is spent on a body
        .layer(FrontDoorLayer::new(Arc::clone(&state.in_flight))) // the only backpressure; strangers cannot fill it
        .layer(AdminLayer::new(config, state.metrics.clone())) // the list of models, the counters
        .service(Intake::new(tree(config, state), Arc::clone(&state.buffered), rules));
    Gateway::new(front)
}

/// From the prompt to a group.
fn tree(config: &Config, state: &State) -> Stack {
    let policy = Policy::new(config);
    ServiceBuilder::new()
        .layer(Stack::layer()) // so that a Gateway has a name
        .layer(TimeoutLayer::new(overrides::whole)) // no walk through groups with no time left
        .layer(FallbackLayer::new(policy.clone(), Answer).with_deadline(overrides::deadline))
        // inside Fallback: a larger sibling is a better answer than another model
        .layer(ContextWindowFallbackLayer::new(policy.larger(), Answer).with_preflight(policy.larger()))
        .service(router(config, state))
}

/// Every name that a client may ask for: groups, then aliases, then single deployments by id.
fn router(config: &Config, state: &State) -> Router {
    let settings = &config.settings;
    let groups: Vec<_> = config.groups.iter().map(|g| (g.name.clone(), group(settings, g, state))).collect();
    let named = |name: &Arc<str>| groups.iter().find(|(group, _)| group == name).map(|(_, stack)| stack.clone());
    let aliases: Vec<_> = config.aliases.iter().filter_map(|a| Some((a.name.clone(), named(&a.group)?))).collect();
    let deployments = config.groups.iter().flat_map(|group| &group.deployments);
    let alone = deployments.map(|d| (d.id.clone(), group(settings, &Group::of_one(d), state)));
    Router::new(groups.iter().cloned().chain(aliases).chain(alone))
}

/// Retries pick again; the balancer decides where; each deployment guards itself.
fn group(settings: &Settings, g: &Group, state: &State) -> Stack {
    let deployments: Vec<_> = g.deployments.iter().map(|d| deployment(settings, d, state)).collect();
    ServiceBuilder::new()
        .layer(Stack::layer()) // the border: types end here
        .layer(InstrumentLayer::new(state.metrics.group(&g.name))) // one count, however many attempts
        .layer(
            RetryLayer::new(overrides::retries(settings), Answer) // outside the balancer: each attempt picks again
                .with_attempts(overrides::attempts)
                .with_budget(state.budget.clone())
                .with_deadline(overrides::deadline)
                .with_max_attempts(overrides::max_attempts(settings)),
        )
        .layer(
            RateLimitBalanceLayer::new(overrides::strategy(settings), Answer) // many become one
                .with_attempts(overrides::attempts)
                .with_queue(settings.queue_timeout, settings.max_queue)
                .with_deadline(overrides::deadline),
        )
        .service(deployments)
}

/// One upstream with its guards. Recorders stand outside whatever can drop them: with Cooldown inside Timeout, a
/// hanging deployment would never be benched.
fn deployment(settings: &Settings, d: &Deployment, state: &State) -> impl Guarded + use<> {
    let upstream = state.upstream(d);
    ServiceBuilder::new()
        .layer(CooldownLayer::new(state.bench(d, settings), Answer)) // health: benches who is ill
        .layer(
            QuotaLayer::new(state.meters(d), Answer) // capacity: rpm, tpm, calls in flight, the server's word
                .with_cost(overrides::cost)
                .with_share(d.limits.share()),
        )
        .layer(InstrumentLayer::new(state.metrics.deployment(&d.group, &d.id))) // one count per attempt
        .layer(AttributeLayer::new(Arc::new(Origin::of(d)))) // whose answer it is
        .layer(TimeoutLayer::new(overrides::attempt(settings, d))) // the attempt, or what is left of the deadline
        .layer(PeekLayer::new(overrides::clocks(settings, d))) // nothing is committed before its first content
        .service(Deployed::new(Encoder::new(d), d.limits.tpm.is_some(), upstream)) // encode, send
}

/// What a deployment's stack is to the balancer.
trait Guarded:
    Endpoint<Request, Response = Response, Error = Error, Future: Send> + Send + Sync + 'static
{
}

impl<S> Guarded for S where
    S: Endpoint<Request, Response = Response, Error = Error, Future: Send> + Send + Sync + 'static
{
}

/// The process's own skin: a panic is an answer, and a span tells of each request without its secrets.
pub fn edge(gateway: Gateway) -> impl Edge {
    ServiceBuilder::new()
        .layer(CatchPanicLayer::custom(respond::panicked)) // a panic in a body is not caught: its connection ends
        .layer(SetSensitiveHeadersLayer::new(headers::SENSITIVE)) // before the trace can see them
        .layer(TraceLayer::new_for_http())
        .service(gateway)
}
