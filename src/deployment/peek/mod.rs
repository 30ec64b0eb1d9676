//! Peek, the commit gate: [`PeekLayer`].
//!
//! It stands inside Timeout and outside the provider, and turns what comes off the wire into the gateway's one
//! [`Body`](crate::body::Body). A head alone says little: a 200 may carry an error object, a page of HTML, or nothing, and a
//! stream may be cut before its first word. So the head is held until it is known what it is worth:
//!
//! * no success: the body is read (1 MB, 5 s; what is longer is cut there) and judged; status, headers and bytes go on
//!   as they came, but for our credentials. One that refuses those says so in words of ours, and a compressed one is not
//!   passed on at all;
//! * a stream: held until the first content event, for at most 64 KB; without a clock for first content, for 30 s if
//!   the upstream shows signs of life. Whatever goes wrong before is an error that can be retried elsewhere;
//! * a plain answer: held whole when it ends within 64 KB, so that a cut is no answer at all;
//! * a stream that is compressed, though none was asked for: held until its first bytes, for none of it can be read.
//!
//! After that the answer is *committed*: nothing is made up and nothing is hidden. A stream that breaks ends with one
//! error event, never with `[DONE]`.
//!
//! tower has nothing like it: to tower a response is ready when its head is. The nearest relative is tower-http's
//! `follow_redirect`, which also answers for an inner answer that it swallowed.
//!
//! Hazards: a stream's head is not there before its first content, so a client that waits for the head to show a
//! spinner waits longer. Without any clock a silent upstream holds the call for ever.

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

use crate::{
    body::{
        secrets::Secrets,
        timeouts::{AttemptTimeouts, RunningTimeouts},
        upstream_body::UpstreamBody,
        watch_config::{Classifier, PeekConfig, WatchConfig},
    },
    config::Midstream,
    error::BodyError,
    request::{Operation, Request},
};

/// Holds each response until its first content. See the [module](self).
#[derive(Clone, Debug)]
pub(crate) struct PeekLayer<C> {
    settings: Arc<Settings<C>>,
}

#[derive(Clone, Debug)]
struct Settings<C> {
    clocks: C,
    peek: Arc<PeekConfig>,
    injects_usage: bool,
}

impl<C: Clone> PeekLayer<C> {
    /// Asks `clocks` for each request what limits its answer, and `classifier` what an answer means.
    pub(crate) fn new(clocks: C, classifier: Classifier) -> Self {
        let peek = Arc::new(PeekConfig::new(classifier));
        Self { settings: Arc::new(Settings { clocks, peek, injects_usage: false }) }
    }

    fn config(&mut self) -> &mut PeekConfig {
        Arc::make_mut(&mut Arc::make_mut(&mut self.settings).peek)
    }

    /// The provider asks every stream for its usage: where the client did not, the chunk that carries nothing else is
    /// taken out again.
    pub(crate) fn with_injected_usage(mut self, injects: bool) -> Self {
        Arc::make_mut(&mut self.settings).injects_usage = injects;
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

    /// Sets the secrets to remove from errors: upstreams repeat a key that they refuse.
    pub(crate) fn with_secrets(mut self, secrets: Secrets) -> Self {
        self.config().secrets = secrets;
        self
    }

    /// Ends a stream with an error at an event longer than this, in bytes; 16 MB unless set.
    #[cfg(test)]
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
#[derive(Debug)]
pub(crate) struct Peek<S, C> {
    inner: S,
    settings: Arc<Settings<C>>,
}

impl<S: Clone, C> Clone for Peek<S, C> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), settings: Arc::clone(&self.settings) }
    }
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

    fn call(&mut self, request: Request) -> Self::Future {
        let info = &request.info;
        let (stream, asked) = (info.stream, info.include_usage == Some(true));
        let continues = info.operation == Operation::Chat && request.midstream == Midstream::Continue;
        let config = WatchConfig {
            peek: Arc::clone(&self.settings.peek),
            strip_usage: self.settings.injects_usage && stream && !asked,
            keeps_transcript: stream && continues,
            is_continuation: request.prefix.is_some(),
        };
        let clocks = RunningTimeouts::start(&self.settings.clocks.get(&request), stream);
        ResponseFuture::new(self.inner.call(request), config, clocks, stream)
    }
}
