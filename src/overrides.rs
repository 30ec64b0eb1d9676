//! The settings that a request may change, as the layers ask for them: each function here makes one
//! [`Setting`](tollgate_layers::Setting).
//!
//! Precedence everywhere: request, then deployment, then the general settings, as in LiteLLM.

use std::time::Duration;

use tokio::time::Instant;
use tollgate_layers::{Attempts, Ending, timeout::Limit};

use crate::{
    body::Clocks,
    config::{Deployment, Settings},
    request::Request,
};

/// What the request has tried so far.
#[must_use]
pub fn attempts(request: &Request) -> Option<&Attempts> {
    Some(&request.body().trail.attempts)
}

/// When the request must be done.
#[must_use]
pub fn deadline(request: &Request) -> Option<Instant> {
    request.body().trail.deadline
}

/// How long the whole request may take: what is left until its deadline.
#[must_use]
pub fn whole(request: &Request) -> Option<Limit> {
    deadline(request).map(Limit::until)
}

/// How often a failed call is made again: the request's number, else that of the deployment that failed, else the
/// general one.
pub fn retries(settings: &Settings) -> impl Fn((&Request, &Ending)) -> u32 + Clone + use<> {
    let general = settings.num_retries;
    move |(request, _): (&Request, &Ending)| request.body().head.overrides.num_retries.unwrap_or(general)
}

/// The bound on all attempts of one request, over retries and fallbacks.
pub fn max_attempts(settings: &Settings) -> impl Fn(&Request) -> Option<u32> + Clone + use<> {
    let (configured, retries, fallbacks) =
        (settings.max_attempts, settings.num_retries, settings.max_fallbacks);
    move |request: &Request| {
        let overrides = &request.body().head.overrides;
        let retries = overrides.num_retries.unwrap_or(retries).saturating_add(1);
        let groups = overrides.max_fallbacks.unwrap_or(fallbacks).saturating_add(1);
        let all = retries.saturating_mul(groups);
        Some(configured.map_or(all, |most| most.min(all)))
    }
}

/// How long one attempt may take until its head goes up: for a stream until its first content.
///
/// An attempt cut by the request's own shorter limit, or by the deadline, says nothing about the deployment.
pub fn attempt(settings: &Settings, deployment: &Deployment) -> impl Fn(&Request) -> Option<Limit> + Clone + use<> {
    let own = Attempt::new(settings, deployment);
    move |request: &Request| {
        let fair = own.fair(request);
        let asked = own.asked(request);
        let limit = match asked {
            Some(asked) if asked < fair => Limit { after: asked, evidence: false },
            Some(asked) => Limit { after: asked, evidence: true },
            None => Limit { after: fair, evidence: true },
        };
        Some(match deadline(request).map(Limit::until) {
            Some(whole) if whole.after < limit.after => whole,
            _ => limit,
        })
    }
}

/// The clocks that an answer's body carries on.
pub fn clocks(settings: &Settings, deployment: &Deployment) -> impl Fn(&Request) -> Clocks + Clone + use<> {
    let own = Attempt::new(settings, deployment);
    let idle = deployment.clocks.idle.unwrap_or(settings.stream_idle_timeout);
    move |request: &Request| {
        let limit = own.asked(request).unwrap_or_else(|| own.fair(request));
        Clocks { attempt: limit, first_content: own.watches_content(request), idle, whole: deadline(request) }
    }
}

/// One deployment's limits of an attempt.
#[derive(Clone, Copy)]
struct Attempt {
    plain: Duration,
    stream: Option<Duration>,
}

impl Attempt {
    fn new(settings: &Settings, deployment: &Deployment) -> Self {
        Self {
            plain: deployment.clocks.attempt.unwrap_or(settings.timeout),
            stream: deployment.clocks.first_content.or(settings.stream_timeout),
        }
    }

    /// What the deployment may take, whoever asks.
    fn fair(&self, request: &Request) -> Duration {
        if request.body().head.stream { self.stream.unwrap_or(self.plain) } else { self.plain }
    }

    /// What this request allows, where it says so.
    fn asked(&self, request: &Request) -> Option<Duration> {
        let head = &request.body().head;
        match head.overrides.stream_timeout {
            Some(limit) if head.stream => Some(limit),
            // A deployment's own limit for streams is more exact than a request's limit for all.
            _ if head.stream && self.stream.is_some() => None,
            _ => head.overrides.timeout,
        }
    }

    /// Whether anyone has set a clock for the first content: without one, a stream that shows signs of life is
    /// not held back for ever.
    fn watches_content(&self, request: &Request) -> bool {
        let head = &request.body().head;
        head.stream && (self.stream.is_some() || head.overrides.stream_timeout.is_some() || head.overrides.timeout.is_some())
    }
}

/// The cost of a request in tokens, as far as it can be known before.
pub fn cost(output: u64) -> impl Fn(&Request) -> u64 + Clone {
    move |request: &Request| {
        let head = &request.body().head;
        head.prompt_tokens.saturating_add(head.output_tokens.unwrap_or(output))
    }
}

