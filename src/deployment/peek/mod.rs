//! A layer that holds each response until it can be committed or refused: [`PeekLayer`].
//!
//! The layer is applied inside Timeout, directly around the upstream, and converts the upstream's response into the
//! gateway's [`Body`](crate::body::Body). A response head is not enough to judge a response: a 200 may carry an error
//! object, an HTML page or nothing, and a stream may break before its first content. So the head is held:
//!
//! * of an error: until its body was read (at most 1 MB and 5 s; the rest is cut) and classified. Status, headers and bytes
//!   are passed on unchanged, without the gateway's credentials. If the upstream refused those, the message states it. An
//!   error that cannot be decompressed is not passed on;
//! * of a stream: until the first content event, for at most 64 KB, and without a timeout for the first content for at most
//!   30 s after a sign of life. A failure before that is an error that another deployment can retry;
//! * of any other success: until its end, if it ends within 64 KB, so that a truncated response is an error;
//! * of a stream in an unknown compression: until its first bytes, as it cannot be read.
//!
//! Then the response is *committed*: the gateway adds nothing and hides nothing. A stream that breaks ends with one error
//! event, and without `[DONE]`.
//!
//! tower has no equivalent: a tower response is ready with its head. The closest relative is tower-http's
//! `follow_redirect`, which also replaces the response of the inner service.
//!
//! Hazards: the head of a stream arrives with its first content, so a client that shows progress from the head on shows it
//! later. Without any timeout a silent upstream holds the call for ever.

mod future;
mod held;
mod response;
#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, atomic::AtomicU64},
    task::{Context, Poll},
};

use http::Response;
use tollgate_layers::Setting;
use tower::{Layer, Service};

pub(crate) use future::ResponseFuture;

use super::settings::estimated;
use crate::{
    body::{
        held_events::HeldEvents,
        issued_ids::IdIssuer,
        secrets::Secrets,
        timeouts::{AttemptTimeouts, RunningTimeouts},
        upstream_body::UpstreamBody,
        watch_config::{Classifier, Expected, PeekConfig, WatchConfig},
    },
    config::{Deployment, IdKey, Midstream},
    dialect::ClientDialect,
    error::BodyError,
    issued_id::DeploymentKey,
    provider,
    request::{Operation, Request},
    spend::{AttemptCharge, PriceList, Spending},
};

/// A layer that holds each response until its first content. See the [module](self).
#[derive(Clone, Debug)]
pub(crate) struct PeekLayer<C> {
    settings: Arc<Settings<C>>,
}

#[derive(Clone, Debug)]
struct Settings<C> {
    timeouts: C,
    peek: Arc<PeekConfig>,
    injects_usage: bool,
    /// The prices of the deployment, and the counter of its cost in nanodollars. None: it costs nothing.
    prices: Option<(PriceList, Arc<AtomicU64>)>,
}

impl<C> Settings<C> {
    /// Returns the charge of an attempt.
    #[cold]
    fn charge(&self, spending: &Arc<Spending>, request: &Request) -> Option<Arc<AttemptCharge>> {
        let (list, cost) = self.prices.as_ref()?;
        let terms = (list.prices(request.group()), estimated(request));
        Some(Arc::new(AttemptCharge::new(Arc::clone(spending), Arc::clone(cost), terms)))
    }
}

impl<C: Clone> PeekLayer<C> {
    /// Creates a layer with the timeouts that `timeouts` returns for a request and the outcomes that `classifier` returns.
    pub(crate) fn new(timeouts: C, classifier: Classifier) -> Self {
        let peek = Arc::new(PeekConfig::new(classifier));
        Self { settings: Arc::new(Settings { timeouts, peek, injects_usage: false, prices: None }) }
    }

    fn config(&mut self) -> &mut PeekConfig {
        Arc::make_mut(&mut Arc::make_mut(&mut self.settings).peek)
    }

    /// Sets whether every stream is requested with its usage. If so, the usage chunk of a client that did not request it is
    /// removed.
    pub(crate) fn with_injected_usage(mut self, injects: bool) -> Self {
        Arc::make_mut(&mut self.settings).injects_usage = injects;
        self
    }

    /// Sets the prices of the deployment, and the counter of its cost in nanodollars.
    pub(crate) fn with_prices(mut self, prices: PriceList, cost: Arc<AtomicU64>) -> Self {
        Arc::make_mut(&mut self.settings).prices = Some((prices, cost));
        self
    }

    /// Passes on events with invalid JSON instead of dropping them.
    pub(crate) fn with_broken_events(mut self, pass: bool) -> Self {
        self.config().pass_broken = pass;
        self
    }

    /// Sets the counter of events with invalid JSON.
    pub(crate) fn with_broken_count(mut self, count: Arc<AtomicU64>) -> Self {
        self.config().broken = Some(count);
        self
    }

    /// Sets whether errors are written in OpenAI's format, for an upstream with another.
    pub(crate) fn with_reworded_errors(mut self, rewords: bool) -> Self {
        self.config().rewords_errors = rewords;
        self
    }

    /// Sets the secrets to remove from errors: upstreams repeat a key that they refuse.
    pub(crate) fn with_secrets(mut self, secrets: Secrets) -> Self {
        self.config().secrets = secrets;
        self
    }

    /// Sets the unfinished events of all streams, which have a limit together.
    pub(crate) fn with_held_events(mut self, held_events: HeldEvents) -> Self {
        self.config().held_events = held_events;
        self
    }

    /// Sets the issuer of the ids of responses, for a deployment that stores them.
    pub(crate) fn with_issued_ids(mut self, deployment: &Deployment, key: &IdKey) -> Self {
        let issuer = || IdIssuer::new(key.clone(), DeploymentKey::of(deployment));
        self.config().issuer = provider::stores_responses(deployment).then(issuer);
        self
    }

    /// Ends a stream with an error at an event longer than this, in bytes; 16 MB unless set.
    pub(crate) fn with_event_limit(mut self, bytes: usize) -> Self {
        self.config().event_limit = bytes;
        self
    }
}

impl<S, C> Layer<S> for PeekLayer<C> {
    type Service = Peek<S, C>;

    fn layer(&self, inner: S) -> Self::Service {
        Peek { inner, settings: Arc::clone(&self.settings) }
    }
}

/// The service of [`PeekLayer`].
#[derive(Clone, Debug)]
pub(crate) struct Peek<S, C> {
    inner: S,
    settings: Arc<Settings<C>>,
}

impl<S, C> Service<Request> for Peek<S, C>
where
    S: Service<Request, Response = Response<UpstreamBody>>,
    S::Error: From<BodyError>,
    C: for<'a> Setting<&'a Request, Value = AttemptTimeouts>,
{
    type Response = crate::request::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, request: Request) -> Self::Future {
        let info = &request.info;
        let about_stored = info.operation.on_stored().is_some();
        let expected = match info.operation {
            Operation::Embeddings => Expected::Data,
            Operation::CountTokens | Operation::Moderations | Operation::Rerank => Expected::Json,
            Operation::Speech => Expected::Bytes,
            _ if about_stored && !info.stream => Expected::Stored,
            _ if info.stream => Expected::Stream,
            Operation::Images | Operation::ImageEdits => Expected::Data,
            Operation::Transcriptions | Operation::Translations => Expected::Text,
            _ => Expected::Choices,
        };
        let (stream, usage_requested) = (expected == Expected::Stream, info.include_usage == Some(true));
        let continues = request.midstream == Midstream::Continue && info.may_continue();
        let issues =
            self.settings.peek.issuer.is_some() && info.operation.dialect() == ClientDialect::Responses;
        let spending = request.context.spending.as_ref().filter(|_| !about_stored);
        let config = WatchConfig {
            peek: Arc::clone(&self.settings.peek),
            expected,
            may_be_whole: info.operation.is_passed(),
            dialect: info.operation.dialect(),
            choices: info.choices,
            strip_usage: self.settings.injects_usage && stream && !usage_requested,
            keeps_transcript: stream && continues,
            is_continuation: request.prefix.is_some(),
            charge: spending.and_then(|spending| self.settings.charge(spending, &request)),
            issues_for: issues.then(|| Arc::clone(request.group())),
            names_stored: info.stored.is_some(),
            is_replay: about_stored,
        };
        let timeouts = RunningTimeouts::start(&self.settings.timeouts.get(&request), stream);
        ResponseFuture::new(self.inner.call(request), config, timeouts)
    }
}
