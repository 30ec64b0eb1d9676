//! The tower stack of the gateway: one function per tier, layers listed from the outermost to the innermost.
//!
//! A request enters at the top of [`gateway`], passes `tree`, `group` and `deployment`, and is sent to an upstream at
//! the bottom. Building a stack does no I/O and spawns no task. [`State`] holds what outlives a tree.

use std::sync::Arc;

use tollgate_layers::{
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
    body::{BodyOutcome, Classifier, Secrets},
    classify,
    config::{Config, Deployment, Group, Settings},
    deployment::{self, DeploymentStack, peek::PeekLayer, record_attempt::RecordAttempt, upstream::Deployed},
    error::Origin,
    front::{
        admin::Admin,
        admission::AdmissionControl,
        auth::{Auth, Credentials},
        call_id::{CallId, WriteId},
        catch_panic::CatchPanic,
        client_limits::ClientLimits,
        handle_error::{HandleError, ToResponse},
        paths::Paths,
        rejections::Rejections,
        request_body::ReadRequest,
    },
    gateway::Gateway,
    group::{self, ArcService, eligible::Eligible, instrument::Instrument},
    provider::{self, Encoder},
    request,
    spend::PriceList,
    state::State,
    tree::{
        fallbacks::FallbackRules, max_attempts::MaxAttempts, midstream::MidstreamFallback,
        pre_call_checks::PreCallChecks, router::Router, validate_fallbacks::ValidateFallbacks,
    },
};

pub use crate::provider::InvalidTarget;

/// Options of the command line that the configuration file does not have.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// True if each response names its upstream in `x-litellm-model-api-base`.
    pub expose_upstreams: bool,
}

/// Builds the gateway: from the HTTP request to the parsed request, then the `tree` below it.
///
/// # Errors
/// Returns an error if a deployment's URL or credential is not valid in an HTTP request.
pub fn gateway(config: &Config, state: &State, options: Options) -> Result<Gateway, InvalidTarget> {
    state.prune();
    let clients = state.clients(config); // with a key of their own
    let rejections = Rejections::new(state.metrics.rejected()); // of paths and keys: logged and counted
    let budget = state.gateway_budget(config);
    let tree = ClientLimits::around(tree(config, state)?, &clients, budget); // one count over all fallbacks
    let status = (state.status(config, &clients), state.draining.clone()); // for the status page
    let front = ServiceBuilder::new()
        .layer(CallId::layer(WriteId)) // outermost: every response has an id
        .layer(CatchPanic::layer()) // below the id: a panic becomes a 500 with an id
        .layer(Paths::layer(state.draining.clone(), rejections.clone())) // above auth: health needs no key
        .layer(HandleError::layer(ToResponse)) // in the dialect of the path: nothing above can fail
        .layer(Auth::layer(Credentials::new(config, &clients), rejections)) // before a body is read into memory
        .layer(Admin::layer((config, tree.clone()), state.metrics.clone(), status)) // above admission control: responds under overload
        .layer(Instrument::layer(state.metrics.gateway())) // model calls only, including rejected ones
        .layer(CatchPanic::layer()) // again, inside Instrument: a panic is counted too
        .layer(AdmissionControl::layer(config.settings.max_in_flight)) // below auth: only valid keys take slots
        .service(ReadRequest::new(tree, config, options.expose_upstreams, state.has_readers()));
    Ok(Gateway::new(front, state.recorder()))
}

/// Builds the tree: from the parsed request to a group, over all fallbacks.
fn tree(config: &Config, state: &State) -> Result<ArcService, InvalidTarget> {
    let limits = (&config.settings, MaxAttempts::new(config)); // one limit over all groups
    let router = Router::new(
        config,
        |d| deployment(limits.0, d, state),
        |g, all| Eligible::around(g, all, |d| fitting(limits, g, state, d), |d| fitting(limits, g, state, d)),
    )?;
    let rules = FallbackRules::new(config);
    let tree = ServiceBuilder::new()
        .layer(ArcService::layer()) // erases the type: clones share one tree
        .layer(ValidateFallbacks::layer(config, router.clone())) // outside Fallback: a 400 starts no fallback
        .layer(TimeoutLayer::new(request::whole)) // outside Fallback: one deadline for all groups
        .layer(MidstreamFallback::layer(config, rules.clone())) // opt-in; calls Fallback again mid-stream
        // outside Retry, which is in each group: every group has retries of its own
        .layer(FallbackLayer::new(rules.clone(), BodyOutcome).with_deadline(request::deadline))
        // inside Fallback: a larger context window is tried before the general fallbacks
        .layer(ContextWindowFallbackLayer::new(rules.larger(), BodyOutcome).with_preflight(rules.larger()))
        .service(router);
    Ok(tree)
}

/// Builds a group, behind a check of each request's input and region if the settings have one.
fn fitting(
    limits: (&Settings, MaxAttempts),
    g: &Group,
    state: &State,
    deployments: Vec<impl DeploymentStack>,
) -> ArcService {
    PreCallChecks::around((limits.0, g), deployments, |fit| group(limits, g, state, fit))
}

/// Builds a group: retries above a balancer above the deployments.
fn group(
    limits: (&Settings, MaxAttempts),
    g: &Group,
    state: &State,
    deployments: Vec<impl DeploymentStack>,
) -> ArcService {
    let (settings, max_attempts) = limits;
    ServiceBuilder::new()
        .layer(ArcService::layer()) // erases the type: the router stores all groups in one map
        .layer(Instrument::layer(state.metrics.group(&g.name))) // outside Retry: one count per call of the group
        .layer(
            // outside the balancer: each attempt picks a deployment again
            RetryLayer::new(group::settings::retries(settings, g), BodyOutcome)
                .with_attempts(request::attempts)
                .with_client_errors()
                .with_budget(state.budget(settings)) // one for all groups: an outage causes no retry storm
                .with_backoff(Backoff::default().with_floor(settings.retry_after))
                .with_max_wait(settings.queue_timeout) // no longer than the balancer queues a request
                .with_deadline(request::deadline)
                .with_max_attempts(max_attempts), // over retries and fallbacks together
        )
        .layer(
            RateLimitBalanceLayer::new(group::settings::strategy(settings), BodyOutcome) // picks one deployment
                .with_tracking(BodyOutcome)
                .with_attempts(request::attempts)
                .with_queue(settings.queue_timeout, settings.max_queue)
                .with_queue_listener(state.metrics.group(&g.name))
                .with_kind(group::settings::kind) // latency: streams and plain responses are compared apart
                .with_deadline(request::deadline),
        )
        .service(deployments)
}

/// Builds a deployment: one upstream below the layers that protect and measure it.
///
/// Layers that record an outcome are outside the layer that can drop the call: inside Timeout, Cooldown would never see
/// that a deployment hangs.
fn deployment(
    settings: &Settings,
    d: &Deployment,
    state: &State,
) -> Result<impl DeploymentStack + use<>, InvalidTarget> {
    let upstreams = deployment::upstream::DialectUpstreams::new(state.upstream(d, settings), d, settings);
    let encoder = Encoder::new(d)?.beside_gemini(d, settings.has_gemini);
    // The token meters need the usage of a stream, which an upstream sends only on request.
    let include_usage = provider::requests_usage(d, settings.needs_usage);
    let origin = Arc::new(Origin::of(d, &state.metrics));
    let peek = PeekLayer::new(deployment::settings::timeouts(settings, d), CLASSIFIER)
        .with_injected_usage(include_usage)
        .with_prices(PriceList::of(d), origin.metrics.nanodollars())
        .with_reworded_errors(provider::is_translated(d)) // after they are classified
        .with_issued_ids(d, &settings.id_key) // ids of responses lead back to the deployment
        .with_secrets(Secrets::of(&d.target)) // keys are removed from error messages
        .with_event_limit(settings.max_event_bytes)
        .with_held_events(state.held_events(settings))
        .with_broken_events(settings.pass_broken_events)
        .with_broken_count(origin.metrics.broken_events());
    let deployment = ServiceBuilder::new()
        // health: a failing deployment cools down
        .layer(
            CooldownLayer::new(state.health(d, settings), BodyOutcome)
                .with_tracking(BodyOutcome)
                .with_head(BodyOutcome),
        )
        .layer(
            QuotaLayer::new(state.meters(d, settings), BodyOutcome) // capacity: rpm, tpm, calls in flight, Retry-After
                .with_tracking(BodyOutcome)
                .with_cost(deployment::settings::cost)
                .with_weight(deployment::settings::endpoint_weight(d)),
        )
        .layer(RecordAttempt::layer(origin)) // outside Timeout: a timeout is counted, and names its deployment
        .layer(TimeoutLayer::new(deployment::settings::attempt(settings, d))) // attempt limit or deadline, the shorter
        .layer(peek) // holds a stream until its first content: an error before it can be retried
        .service(Deployed::new(encoder, include_usage, upstreams)); // encodes and sends
    Ok(deployment)
}

/// The functions that classify an upstream's responses and events.
const CLASSIFIER: Classifier = Classifier {
    response: classify::response,
    event: classify::event,
    failure: classify::failure,
    success: classify::success,
};
