//! The table of contents: the whole gateway, one function per tier, each read from the outside in.
//!
//! A request comes in at the top of [`gateway`], goes down through `tree`, `group` and `deployment`, and leaves
//! at the bottom. Building is pure: no I/O, no task, no clock; [`State`] holds what outlives a tree.

use std::sync::Arc;

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
    body::{BodyOutcome, Classifier, Response, Secrets},
    classify,
    config::{Config, Deployment, Group, Settings},
    deployment::{
        self, instrument::InstrumentLayer, peek::PeekLayer, record_origin::RecordOriginLayer,
        upstream::Deployed,
    },
    error::Origin,
    front::{
        admin::AdminLayer,
        admission::AdmissionControlLayer,
        auth::AuthLayer,
        call_id::CallIdLayer,
        catch_panic::CatchPanicLayer,
        handle_error::HandleErrorLayer,
        paths::PathsLayer,
        request_body::{ReadRequest, Rules},
    },
    gateway::Gateway,
    group::{self, ArcService},
    provider::{self, Encoder},
    request::{self, Request},
    state::State,
    tree::{
        fallbacks::Policy, max_attempts::MaxAttempts, midstream::MidstreamFallbackLayer, router::Router,
        validate_fallbacks::ValidateFallbacksLayer,
    },
};

pub use crate::provider::InvalidTarget;

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
pub fn gateway(config: &Config, state: &State, options: Options) -> Result<Gateway, InvalidTarget> {
    let rules = Rules::new(&config.settings, options.expose_upstreams);
    let front = ServiceBuilder::new()
        .layer(CallIdLayer) // every answer can be asked about
        .layer(CatchPanicLayer) // a panic is an answer too, with an id
        .layer(HandleErrorLayer) // errors end here: above it nothing can fail
        .layer(PathsLayer::new(state.draining.clone())) // health before auth; auth judges the route found here
        .layer(AuthLayer::new(config.master_key.as_ref())) // before memory is spent on a body
        .layer(AdminLayer::new(config, state.metrics.clone())) // the list of models, the counters: also when the door is full
        .layer(InstrumentLayer::new(state.metrics.gateway())) // what callers of models saw, shed requests included
        .layer(CatchPanicLayer) // here a panic is counted too
        .layer(AdmissionControlLayer::new(config.settings.max_in_flight)) // the only backpressure; strangers cannot fill it
        .service(ReadRequest::new(tree(config, state)?, rules));
    Ok(Gateway::new(front))
}

/// From the prompt to a group.
fn tree(config: &Config, state: &State) -> Result<ArcService, InvalidTarget> {
    let (settings, most) = (&config.settings, MaxAttempts::new(config)); // over all groups: read once
    let router = Router::new(
        config,
        |d| deployment(settings, d, state),
        |g, deployments| group((settings, most), g, state, deployments),
    )?;
    let policy = Policy::new(config);
    let tree = ServiceBuilder::new()
        .layer(ArcService::layer()) // so that a Gateway has a name
        .layer(ValidateFallbacksLayer::new(config, &router)) // a request's own fallbacks lead somewhere, or it is refused
        .layer(TimeoutLayer::new(request::whole)) // no walk through groups with no time left
        .layer(MidstreamFallbackLayer::new(config, policy.clone())) // opt-in: outside all that ends with the head of an answer
        .layer(FallbackLayer::new(policy.clone(), BodyOutcome).with_deadline(request::deadline))
        // inside Fallback: a larger sibling is a better answer than another model
        .layer(ContextWindowFallbackLayer::new(policy.larger(), BodyOutcome).with_preflight(policy.larger()))
        .service(router);
    Ok(tree)
}

/// Retries pick again; the balancer decides where; each deployment guards itself.
fn group(
    rules: (&Settings, MaxAttempts),
    g: &Group,
    state: &State,
    deployments: Vec<impl Guarded>,
) -> ArcService {
    let (settings, most) = rules;
    ServiceBuilder::new()
        .layer(ArcService::layer()) // the border: types end here
        .layer(InstrumentLayer::new(state.metrics.group(&g.name))) // one count, however many attempts
        .layer(
            RetryLayer::new(group::settings::retries(settings, g), BodyOutcome) // outside the balancer: each attempt picks again
                .with_attempts(request::attempts)
                .with_budget(state.budget(settings)) // one for all groups: no storm when all is down
                .with_backoff(Backoff::default().with_floor(settings.retry_after))
                .with_max_wait(settings.queue_timeout) // as long as the balancer would keep it waiting
                .with_deadline(request::deadline)
                .with_max_attempts(most), // over retries and fallbacks
        )
        .layer(
            RateLimitBalanceLayer::new(group::settings::strategy(settings), BodyOutcome) // many become one
                .with_attempts(request::attempts)
                .with_queue(settings.queue_timeout, settings.max_queue)
                .with_kind(group::settings::kind) // a stream's first content is no measure for a plain answer
                .with_deadline(request::deadline),
        )
        .service(deployments)
}

/// One upstream with its guards. Recorders stand outside whatever can drop them: with Cooldown inside Timeout, a
/// hanging deployment would never be benched.
fn deployment(
    settings: &Settings,
    d: &Deployment,
    state: &State,
) -> Result<impl Guarded + use<>, InvalidTarget> {
    let upstream = state.upstream(d);
    let asks = d.limits.tpm.is_some() && provider::supports_include_usage(&d.target); // a stream tells its usage when it is asked
    let meter = state.metrics.deployment(&d.group, &d.id);
    let peek = PeekLayer::new(deployment::settings::timeouts(settings, d), JUDGE)
        .with_injected_usage(asks)
        .with_secrets(Secrets::of(&d.target)) // an error that repeats our key must not tell it
        .with_broken_events(settings.pass_broken_events)
        .with_broken_count(meter.broken_events());
    let deployment = ServiceBuilder::new()
        .layer(CooldownLayer::new(state.health(d, settings), BodyOutcome).with_head(BodyOutcome)) // health: lets the unhealthy cool down
        .layer(
            QuotaLayer::new(state.meters(d, settings), BodyOutcome) // capacity: rpm, tpm, calls in flight, the server's word
                .with_cost(deployment::settings::cost)
                .with_weight(deployment::settings::endpoint_weight(d)),
        )
        .layer(InstrumentLayer::new(meter)) // one count per attempt
        .layer(RecordOriginLayer::new(Arc::new(Origin::of(d)))) // whose answer it is
        .layer(TimeoutLayer::new(deployment::settings::attempt(settings, d))) // the attempt, or what is left of the deadline
        .layer(peek) // nothing is committed before its first content
        .service(Deployed::new(Encoder::new(d)?, asks, upstream)); // encode, send
    Ok(deployment)
}

/// Who judges what comes off the wire.
const JUDGE: Classifier =
    Classifier { response: classify::answer, event: classify::event, success: classify::success };

/// What a deployment's stack is to the balancer.
trait Guarded:
    Endpoint<Request, Response = Response, Error = Error, Future: Send> + Send + Sync + 'static
{
}

impl<S> Guarded for S where
    S: Endpoint<Request, Response = Response, Error = Error, Future: Send> + Send + Sync + 'static
{
}
