//! What becomes of a stream that breaks after its first content: [`MidstreamFallbackLayer`], opt-in.
//!
//! By default it ends with an error event: nothing is made up. With `midstream_fallback: continue`, in the settings or
//! in the request, another deployment (or, where all of the group have been called or none would do better, the next fallback group) gets the
//! same messages with what was said so far as the last one, the assistant's, and its words go on in the client's
//! stream. With the header `x-tollgate-midstream: restart` it is asked for all of it again, and the comment
//! `: tollgate restart` stands before it: a client that asks for this must forget what it has seen at that mark.
//!
//! It stands outside Fallback, because the break comes long after that has given its answer, and inside the timeout
//! of the whole request, whose deadline its calls obey. It hands the [`Body`](crate::body::Body) the means to ask again and is not
//! there any more; nobody else knows of it. tower has nothing like it.
//!
//! The price of `continue`, which is why it is off by default:
//!
//! * Another model may go on in another voice, and one that does not take an assistant's message as its own beginning
//!   may start a new answer in the middle of the old one. One that refuses such a message costs a call, and the client
//!   gets the error event that it would have had.
//! * The prompt is kept as long as the answer lasts, and so is its text; every event is read once more for it.
//! * The client sees the chunks of both, with two ids and perhaps two names of models. The usage is that of the last.
//! * The limit on the output holds for each part.
//! * While another is asked, and until its first content, the client hears nothing.
//!
//! What is no plain text (tool calls, refusals, several choices, thoughts alone) and text completions are not
//! continued; they end as without it. So does what broke after its finish reason. `disable_fallbacks` switches it off.

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
use tower::{Layer, Service, ServiceExt};

use super::fallbacks::Policy;
use crate::{
    Error,
    body::{BoxResponseFuture, Resume},
    config::{Config, Midstream},
    request::{Operation, Request, Response},
};

/// How often one answer may be gone on with.
const MOST: u8 = 3;

/// Lets streams that break go on. See the [module](self).
#[derive(Clone, Debug)]
pub(crate) struct MidstreamFallbackLayer {
    whither: Arc<Whither>,
}

/// Who may be asked next.
#[derive(Debug)]
struct Whither {
    policy: Policy,
    /// How many deployments each group has.
    sizes: HashMap<Arc<str>, usize>,
}

impl MidstreamFallbackLayer {
    /// Goes to the groups of `config`, and on from one to the next as `policy` says.
    pub(crate) fn new(config: &Config, policy: Policy) -> Self {
        let sizes =
            config.groups.iter().map(|group| (Arc::clone(&group.name), group.deployments.len())).collect();
        Self { whither: Arc::new(Whither { policy, sizes }) }
    }
}

impl<S> Layer<S> for MidstreamFallbackLayer {
    type Service = MidstreamFallback<S>;

    fn layer(&self, inner: S) -> MidstreamFallback<S> {
        MidstreamFallback { inner, whither: Arc::clone(&self.whither) }
    }
}

/// See [`MidstreamFallbackLayer`].
#[derive(Clone, Debug)]
pub(crate) struct MidstreamFallback<S> {
    inner: S,
    whither: Arc<Whither>,
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
        // The request is kept only where it may be needed.
        let again = mode(&request).map(|mode| {
            let (inner, request) = (self.inner.clone(), request.clone());
            (mode, Again { inner, request, whither: Arc::clone(&self.whither), left: MOST })
        });
        ResponseFuture { inner: self.inner.call(request), again }
    }
}

#[derive(Clone, Copy, Debug)]
enum Mode {
    Rest,
    Anew,
}

fn mode(request: &Request) -> Option<Mode> {
    let head = &request.head;
    if !head.stream || head.overrides.disable_fallbacks {
        return None;
    }
    match request.midstream {
        Midstream::Off => None,
        Midstream::Continue => (head.operation == Operation::Chat).then_some(Mode::Rest),
        Midstream::Restart => Some(Mode::Anew),
    }
}

/// All that is needed to ask once more.
struct Again<S> {
    inner: S,
    request: Request,
    whither: Arc<Whither>,
    left: u8,
}

impl<S> Again<S>
where
    S: Service<Request, Response = Response, Error = Error> + Clone + Send + 'static,
    S::Future: Send,
{
    fn ask(&mut self, prefix: Option<Arc<str>>, outcome: &Outcome) -> Option<BoxResponseFuture> {
        self.left = self.left.checked_sub(1)?;
        let mut request = self.request.clone();
        request.change().prefix = prefix;
        let request = self.whither.next(request, outcome)?;
        Some(Box::pin(self.inner.clone().oneshot(request)))
    }
}

impl Whither {
    /// To a deployment of the same group that was not called yet and may do better, else to the next group.
    fn next(&self, mut request: Request, outcome: &Outcome) -> Option<Request> {
        let context = Arc::clone(&request.context);
        if context.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return None;
        }
        if let Some(last) = context.last_group() {
            request.change().instead = Some(last);
        }
        let size = self.sizes.get(&self.policy.serving(request.group())).copied().unwrap_or(1);
        if outcome.class().worth_another() && context.tried_here() < size {
            return Some(request);
        }
        self.policy.next(&request, outcome)
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
        again: Option<(Mode, Again<S>)>,
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
        if let Some((mode, mut again)) = this.again.take()
            && response.body().outcome().is_success()
        {
            let ask = Box::new(move |prefix, outcome: &Outcome| again.ask(prefix, outcome));
            response.body_mut().resume_with(match mode {
                Mode::Rest => Resume::continuing(ask),
                Mode::Anew => Resume::restarting(ask),
            });
        }
        Poll::Ready(Ok(response))
    }
}
