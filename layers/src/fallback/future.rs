//! The response future of [`Fallback`](super::Fallback) and
//! [`ContextWindowFallback`](crate::context_window::ContextWindowFallback): the loop that they share.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower_service::Service;

use super::Next;
use crate::{Classify, Outcome, Setting, setting::Constant, shared_clone::SharedClone};

/// The decisions of [`Fallback`](super::Fallback). Implemented by [`FallbackConfig`]; for bounds in generic code.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a `FallbackPolicy<{Req}, {Res}, {Err}>`",
    label = "not the configuration of a fallback",
    note = "make the service by `FallbackLayer` or `ContextWindowFallbackLayer`"
)]
pub trait FallbackPolicy<Req, Res, Err> {
    /// Returns the outcome of a call.
    fn classify(&self, result: Result<&Res, &Err>) -> Outcome;
    /// Returns true if the loop ends with this outcome.
    fn is_final(&self, outcome: &Outcome) -> bool;
    /// Returns the next request after `req` had this outcome. `redirected` is true if `req` is not the caller's
    /// request.
    fn next(&self, req: &Req, outcome: &Outcome, redirected: bool) -> Option<Req>;
}

/// The configuration of a layer: the policy, and the outcomes for which it is called. Shared by the clones of a
/// service.
#[derive(Clone, Debug)]
pub struct FallbackConfig<P, C, D = Constant<Option<Instant>>> {
    pub(crate) policy: P,
    pub(crate) classify: C,
    pub(crate) deadline: D,
    pub(crate) acts: fn(&Outcome, redirected: bool) -> bool,
}

impl<P, C, D> FallbackConfig<P, C, D> {
    pub(crate) fn with_deadline<E>(self, deadline: E) -> FallbackConfig<P, C, E> {
        let Self { policy, classify, acts, .. } = self;
        FallbackConfig { policy, classify, deadline, acts }
    }
}

impl<Req, Res, Err, P, C, D> FallbackPolicy<Req, Res, Err> for FallbackConfig<P, C, D>
where
    P: Next<Req>,
    C: Classify<Res, Err>,
    D: for<'a> Setting<&'a Req, Value = Option<Instant>>,
{
    fn classify(&self, result: Result<&Res, &Err>) -> Outcome {
        self.classify.classify(result)
    }

    fn is_final(&self, outcome: &Outcome) -> bool {
        outcome.is_success() && !self.policy.replaces(outcome)
    }

    fn next(&self, req: &Req, outcome: &Outcome, redirected: bool) -> Option<Req> {
        let in_time = || self.deadline.get(req).is_none_or(|deadline| Instant::now() < deadline);
        if (self.acts)(outcome, redirected) && in_time() { self.policy.next(req, outcome) } else { None }
    }
}

pin_project! {
    /// The future of a fallback: resolves to the first success, or else to the result of the first request.
    pub struct ResponseFuture<S, G, Req>
    where
        S: Service<Req>,
    {
        again: SharedClone<S, G>,
        // None if there was no second call yet.
        other: Option<S>,
        // The request that is called now or next.
        req: Req,
        redirected: bool,
        first: Option<Result<S::Response, S::Error>>,
        #[pin]
        state: State<S::Future>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F> {
        Calling { #[pin] future: F },
        Preparing,
    }
}

impl<S, G, Req> ResponseFuture<S, G, Req>
where
    S: Service<Req>,
    Req: Clone,
{
    /// Calls `inner`, which must be ready. `redirected` is true if `req` is not the caller's request.
    pub(crate) fn new(inner: &mut S, again: SharedClone<S, G>, req: Req, redirected: bool) -> Self {
        let state = State::Calling { future: inner.call(req.clone()) };
        Self { again, other: None, req, redirected, first: None, state }
    }
}

impl<S, G, Req> Future for ResponseFuture<S, G, Req>
where
    S: Service<Req> + Clone,
    G: FallbackPolicy<Req, S::Response, S::Error>,
    Req: Clone,
{
    type Output = Result<S::Response, S::Error>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.state.as_mut().project() {
                StateProj::Calling { future } => {
                    let result = ready!(future.poll(cx));
                    // The finished future is dropped before another call begins.
                    this.state.set(State::Preparing);
                    let outcome = this.again.classify(result.as_ref());
                    if this.again.is_final(&outcome) {
                        return Poll::Ready(result);
                    }
                    let next = this.again.next(this.req, &outcome, *this.redirected);
                    // The caller gets the result of its own request, unless a success could not be replaced.
                    let earlier = this.first.take().filter(|first| {
                        !outcome.is_success() || this.again.classify(first.as_ref()).is_success()
                    });
                    let first = earlier.unwrap_or(result);
                    let Some(next) = next else {
                        return Poll::Ready(first);
                    };
                    *this.first = Some(first);
                    *this.req = next;
                    *this.redirected = true;
                }
                StateProj::Preparing => {
                    let other = this.other.get_or_insert_with(|| this.again.service());
                    if let Err(error) = ready!(other.poll_ready(cx)) {
                        return Poll::Ready(this.first.take().unwrap_or(Err(error)));
                    }
                    let future = other.call(this.req.clone());
                    this.state.set(State::Calling { future });
                }
            }
        }
    }
}

impl<S, G, Req> fmt::Debug for ResponseFuture<S, G, Req>
where
    S: Service<Req>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").field("redirected", &self.redirected).finish_non_exhaustive()
    }
}
