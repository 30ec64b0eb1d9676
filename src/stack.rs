//! The table of contents: the whole gateway, one function per tier, each read from the outside in.
//!
//! A request comes in at the top of [`gateway`], goes down through `tree`, `group` and `deployment`, and leaves
//! at the bottom. Building is pure: no I/O, no task, no clock; [`State`] holds what outlives a tree.

use std::{collections::HashMap, sync::Arc};

use tollgate_layers::{
    Endpoint,
    balance::RateLimitBalanceLayer,
    context_window::ContextWindowFallbackLayer,
    cooldown::CooldownLayer,
    fallback::FallbackLayer,
    quota::QuotaLayer,
    retry::{Backoff, RetryLayer},
    timeout::TimeoutLayer,
};
use tower::ServiceBuilder;

use crate::{
    Error,
    body::{Answer, Judge, Secrets},
    classify,
    config::{Config, Deployment, Group, Pattern, Settings},
    deployment::{
        instrument::{AttributeLayer, InstrumentLayer},
        peek::PeekLayer,
        upstream::Deployed,
    },
    error::Origin,
    front::{
        admin::AdminLayer,
        admission::{AuthLayer, FrontDoorLayer},
        call_id::CallIdLayer,
        intake::{Intake, Rules},
        paths::PathsLayer,
        recover::RecoverLayer,
        respond::RespondLayer,
    },
    gateway::Gateway,
    group::overrides::{self, MaxAttempts},
    provider::{self, Encoder, Invalid},
    request::{Request, Response},
    state::State,
    tree::{
        fallbacks::Policy,
        known::KnownLayer,
        midstream::ContinueLayer,
        router::{Router, Stack},
    },
};

/// What is said on the command line, not in the file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Tell clients each answer's upstream.
    pub expose_upstreams: bool,
}

/// From the socket to the prompt.
///
/// # Errors
/// When a deployment's URL or credential cannot be written into a request.
pub fn gateway(config: &Config, state: &State, options: Options) -> Result<Gateway, Invalid> {
    let rules = Rules::new(&config.settings, options.expose_upstreams);
    let front = ServiceBuilder::new()
        .layer(CallIdLayer) // every answer can be asked about
        .layer(RecoverLayer) // a panic is an answer too, with an id
        .layer(RespondLayer) // errors end here: above it nothing can fail
        .layer(PathsLayer::new(state.draining.clone())) // health before auth; auth judges the route found here
        .layer(AuthLayer::new(config.master_key.as_ref())) // before memory is spent on a body
        .layer(AdminLayer::new(config, state.metrics.clone())) // the list of models, the counters: also when the door is full
        .layer(InstrumentLayer::new(state.metrics.gateway())) // what callers of models saw, shed requests included
        .layer(RecoverLayer) // here a panic is counted too
        .layer(FrontDoorLayer::new(config.settings.max_in_flight)) // the only backpressure; strangers cannot fill it
        .service(Intake::new(tree(config, state)?, rules));
    Ok(Gateway::new(front))
}

/// From the prompt to a group.
fn tree(config: &Config, state: &State) -> Result<Stack, Invalid> {
    let (policy, router) = (Policy::new(config), router(config, state)?);
    let tree = ServiceBuilder::new()
        .layer(Stack::layer()) // so that a Gateway has a name
        .layer(KnownLayer::new(config, &router)) // a request's own fallbacks lead somewhere, or it is refused
        .layer(TimeoutLayer::new(overrides::whole)) // no walk through groups with no time left
        .layer(ContinueLayer::new(config, policy.clone())) // opt-in: outside all that ends with the head of an answer
        .layer(FallbackLayer::new(policy.clone(), Answer).with_deadline(overrides::deadline))
        // inside Fallback: a larger sibling is a better answer than another model
        .layer(ContextWindowFallbackLayer::new(policy.larger(), Answer).with_preflight(policy.larger()))
        .service(router);
    Ok(tree)
}

/// Every name that a client may ask for: aliases before groups before single deployments by id before patterns.
fn router(config: &Config, state: &State) -> Result<Router, Invalid> {
    let rules = (&config.settings, MaxAttempts::new(config)); // over all groups: read once
    let (mut named, mut single, mut patterns) = (HashMap::new(), Vec::new(), Vec::new());
    for g in &config.groups {
        let deployments = g.deployments.iter().map(|d| deployment(&config.settings, d, state));
        let deployments = deployments.collect::<Result<Vec<_>, _>>()?;
        if let Some(pattern) = Pattern::parse(&g.name) {
            patterns.push((pattern, group(rules, g, state, deployments))); // by id nothing would be captured
            continue;
        }
        single.extend(g.deployments.iter().map(|d| (g, &d.id)).zip(deployments.iter().cloned()));
        named.insert(Arc::clone(&g.name), group(rules, g, state, deployments));
    }
    let aliases = config.aliases.iter(); // one hop: an alias of an alias is no group
    let aliases =
        aliases.filter_map(|alias| Some((Arc::clone(&alias.name), named.get(&alias.group)?.clone())));
    named.extend(aliases.collect::<Vec<_>>());
    for ((g, id), d) in single {
        // the only one of a group is that group by another name
        let whole = (g.deployments.len() == 1).then(|| named.get(&g.name).cloned()).flatten();
        let alone = || whole.unwrap_or_else(|| group(rules, g, state, vec![d]));
        named.entry(Arc::clone(id)).or_insert_with(alone);
    }
    Ok(Router::new(named, patterns.into_iter().collect()))
}

/// Retries pick again; the balancer decides where; each deployment guards itself.
fn group(rules: (&Settings, MaxAttempts), g: &Group, state: &State, deployments: Vec<impl Guarded>) -> Stack {
    let (settings, most) = rules;
    ServiceBuilder::new()
        .layer(Stack::layer()) // the border: types end here
        .layer(InstrumentLayer::new(state.metrics.group(&g.name))) // one count, however many attempts
        .layer(
            RetryLayer::new(overrides::retries(settings, g), Answer) // outside the balancer: each attempt picks again
                .with_attempts(overrides::attempts)
                .with_budget(state.budget(settings)) // one for all groups: no storm when all is down
                .with_backoff(Backoff::default().with_floor(settings.retry_after))
                .with_patience(settings.queue_timeout) // as long as the balancer would keep it waiting
                .with_deadline(overrides::deadline)
                .with_max_attempts(most), // over retries and fallbacks
        )
        .layer(
            RateLimitBalanceLayer::new(overrides::strategy(settings), Answer) // many become one
                .with_attempts(overrides::attempts)
                .with_queue(settings.queue_timeout, settings.max_queue)
                .with_kind(overrides::kind) // a stream's first content is no measure for a plain answer
                .with_deadline(overrides::deadline),
        )
        .service(deployments)
}

/// One upstream with its guards. Recorders stand outside whatever can drop them: with Cooldown inside Timeout, a
/// hanging deployment would never be benched.
fn deployment(settings: &Settings, d: &Deployment, state: &State) -> Result<impl Guarded + use<>, Invalid> {
    let upstream = state.upstream(d);
    let asks = d.limits.tpm.is_some() && provider::supports_include_usage(&d.target); // a stream tells its usage when it is asked
    let meter = state.metrics.deployment(&d.group, &d.id);
    let peek = PeekLayer::new(overrides::clocks(settings, d), JUDGE)
        .with_injected_usage(asks)
        .with_secrets(Secrets::of(&d.target)) // an error that repeats our key must not tell it
        .with_broken_events(settings.pass_broken_events)
        .with_broken_count(meter.broken_events());
    let deployment = ServiceBuilder::new()
        .layer(CooldownLayer::new(state.health(d, settings), Answer).with_head(Answer)) // health: lets the unhealthy cool down
        .layer(
            QuotaLayer::new(state.meters(d, settings), Answer) // capacity: rpm, tpm, calls in flight, the server's word
                .with_cost(overrides::cost)
                .with_share(overrides::share(d)),
        )
        .layer(InstrumentLayer::new(meter)) // one count per attempt
        .layer(AttributeLayer::new(Arc::new(Origin::of(d)))) // whose answer it is
        .layer(TimeoutLayer::new(overrides::attempt(settings, d))) // the attempt, or what is left of the deadline
        .layer(peek) // nothing is committed before its first content
        .service(Deployed::new(Encoder::new(d)?, asks, upstream)); // encode, send
    Ok(deployment)
}

/// Who judges what comes off the wire.
const JUDGE: Judge = Judge { answer: classify::answer, event: classify::event, success: classify::success };

/// What a deployment's stack is to the balancer.
trait Guarded:
    Endpoint<Request, Response = Response, Error = Error, Future: Send> + Send + Sync + 'static
{
}

impl<S> Guarded for S where
    S: Endpoint<Request, Response = Response, Error = Error, Future: Send> + Send + Sync + 'static
{
}
