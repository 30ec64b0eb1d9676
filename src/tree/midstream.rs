//! An opt-in fallback for streams that break after their first content: [`MidstreamFallback`].
//!
//! By default such a stream ends with an error event. With `midstream_fallback: continue`, in the settings or in the
//! request, another deployment receives the same messages plus the text so far as a last message of the assistant, and
//! its output is appended to the client's stream. If all deployments of the group have been called, or another would
//! not help, the next fallback group is called. With the request header `x-tollgate-midstream: restart` the other
//! deployment produces the whole response again, after the comment `: tollgate restart`: the client must discard what
//! it received before that comment.
//!
//! The layer is outside Fallback, because a stream breaks long after Fallback has returned its response. It is inside
//! the timeout of the whole request, because the deadline also limits the later calls. It gives the
//! [`Body`](crate::body::Body) a function that makes the next call, and has no other part in the stream.
//!
//! `continue` is off by default because it has costs:
//!
//! * Another model may continue in another style. A model that does not treat a last assistant message as the beginning
//!   of its own output may start a new response in the middle of the old one. A model that rejects such a message costs
//!   a call, and the client receives the error event that it would have received without this layer.
//! * The request and the text of the response stay in memory until the response ends, and each event is parsed for its
//!   text.
//! * The client receives chunks of both responses, with two ids and perhaps two model names. The usage is that of the
//!   last.
//! * The limit on output tokens applies to each part separately.
//! * The client receives nothing from the break until the first content of the next response.
//!
//! Only plain text of a chat or of a text completion can be continued. Tool calls, refusals, several choices, and reasoning
//! without text end with the error event, as text completions with a list of prompts, `echo` or `suffix` do, and a stream that
//! breaks after its finish reason. A text completion is continued behind its prompt, where it becomes a chat by a last message
//! of the assistant. `disable_fallbacks` turns the layer off.

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tokio::time::Instant;
use tollgate_layers::{Outcome, fallback::Next};
use tower::{Layer, Service, ServiceExt, layer::layer_fn};

use super::fallbacks::FallbackRules;
use crate::{
    Error,
    body::{BoxResponseFuture, Resume},
    config::{Config, Midstream},
    request::{Request, Response},
};

/// The most calls that may resume one response.
const MAX_RESUMES: u8 = 3;

/// The rules that select the next deployment or group for a broken stream.
#[derive(Debug)]
struct ResumeTargets {
    rules: FallbackRules,
    /// The number of deployments of each group.
    group_sizes: HashMap<Arc<str>, usize>,
}

/// A service that resumes broken streams with another deployment; see the [module](self).
#[derive(Clone, Debug)]
pub(crate) struct MidstreamFallback<S> {
    inner: S,
    targets: Arc<ResumeTargets>,
}

impl<S> MidstreamFallback<S> {
    /// Returns a layer for the groups of `config`; `rules` selects the fallback groups.
    pub(crate) fn layer(config: &Config, rules: FallbackRules) -> impl Layer<S, Service = Self> + use<S> {
        let group_sizes =
            config.groups.iter().map(|group| (Arc::clone(&group.name), group.deployments.len())).collect();
        let targets = Arc::new(ResumeTargets { rules, group_sizes });
        layer_fn(move |inner| Self { inner, targets: Arc::clone(&targets) })
    }
}

impl<S> Service<Request> for MidstreamFallback<S>
where
    S: Service<Request, Response = Response, Error = Error> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = Error;
    type Future = ResponseFuture<S>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> ResponseFuture<S> {
        // The request is cloned only if its stream may be resumed.
        let resume = mode(&request).map(|mode| {
            let (inner, request) = (self.inner.clone(), request.clone());
            (mode, ResumeCall { inner, request, targets: Arc::clone(&self.targets), remaining: MAX_RESUMES })
        });
        ResponseFuture { inner: self.inner.call(request), resume }
    }
}

/// The output that the next call produces.
#[derive(Clone, Copy, Debug)]
enum Mode {
    /// The text that follows what the client has received.
    Continue,
    /// The whole response again.
    Restart,
}

/// Returns the mode of a request, or `None` if its response is never resumed.
fn mode(request: &Request) -> Option<Mode> {
    let info = &request.info;
    if !info.stream || info.overrides.disable_fallbacks {
        return None;
    }
    match request.midstream {
        Midstream::Off => None,
        Midstream::Continue => info.may_continue().then_some(Mode::Continue),
        Midstream::Restart => Some(Mode::Restart),
    }
}

/// The service and the request for the calls that resume a response.
struct ResumeCall<S> {
    inner: S,
    request: Request,
    targets: Arc<ResumeTargets>,
    remaining: u8,
}

impl<S> ResumeCall<S>
where
    S: Service<Request, Response = Response, Error = Error> + Clone + Send + 'static,
    S::Future: Send,
{
    /// Calls the next deployment or group. Returns `None` if no call is left or nothing may be called.
    fn call(&mut self, prefix: Option<Arc<str>>, outcome: &Outcome) -> Option<BoxResponseFuture> {
        self.remaining = self.remaining.checked_sub(1)?;
        let mut request = self.request.clone();
        request.change().prefix = prefix;
        let request = self.targets.next(request, outcome)?;
        Some(Box::pin(self.inner.clone().oneshot(request)))
    }
}

impl ResumeTargets {
    /// Returns the request for the same group if it has an untried deployment that may succeed, else for the next
    /// fallback group. Returns `None` after the deadline.
    fn next(&self, mut request: Request, outcome: &Outcome) -> Option<Request> {
        let context = Arc::clone(&request.context);
        if context.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return None;
        }
        if let Some(last) = context.last_group() {
            request.change().fallback = Some(last);
        }
        let size = self.group_sizes.get(&self.rules.serving_group(request.group())).copied().unwrap_or(1);
        if outcome.class().worth_another() && context.tried_here() < size {
            return Some(request);
        }
        self.rules.next(&request, outcome)
    }
}

pin_project! {
    /// The future of [`MidstreamFallback`].
    pub(crate) struct ResponseFuture<S>
    where
        S: Service<Request>,
    {
        #[pin]
        inner: S::Future,
        resume: Option<(Mode, ResumeCall<S>)>,
    }
}

impl<S> Future for ResponseFuture<S>
where
    S: Service<Request, Response = Response, Error = Error> + Clone + Send + 'static,
    S::Future: Send,
{
    type Output = Result<Response, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.inner.poll(cx))?;
        if let Some((mode, mut resume)) = this.resume.take()
            && response.body().outcome().is_success()
        {
            let call = Box::new(move |prefix, outcome: &Outcome| resume.call(prefix, outcome));
            response.body_mut().resume_with(match mode {
                Mode::Continue => Resume::continuing(call),
                Mode::Restart => Resume::restarting(call),
            });
        }
        Poll::Ready(Ok(response))
    }
}
