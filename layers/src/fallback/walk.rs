//! The loop that [`Fallback`](super::Fallback) and
//! [`ContextWindowFallback`](crate::context_window::ContextWindowFallback) share.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower_service::Service;

use super::Next;
use crate::{Classify, Ending, Setting, again::Again};

/// What the loop must know.
pub trait Guide<Req, Res, Err> {
    /// How this ended.
    fn classify(&self, outcome: Result<&Res, &Err>) -> Ending;
    /// The next request, after `req` ended like this. `under_way`: it was not the caller's own any more.
    fn next(&self, req: &Req, ending: &Ending, under_way: bool) -> Option<Req>;
}

/// All that a layer was told: the policy, and which endings it is asked about. Shared by the clones of a service.
#[derive(Clone, Debug)]
pub struct Route<P, C, D> {
    pub(crate) policy: P,
    pub(crate) classify: C,
    pub(crate) deadline: D,
    pub(crate) acts: fn(&Ending, under_way: bool) -> bool,
}

impl<P, C, D> Route<P, C, D> {
    pub(crate) fn with_deadline<E>(self, deadline: E) -> Route<P, C, E> {
        let Self { policy, classify, acts, .. } = self;
        Route { policy, classify, deadline, acts }
    }
}

impl<Req, Res, Err, P, C, D> Guide<Req, Res, Err> for Route<P, C, D>
where
    P: Next<Req>,
    C: Classify<Res, Err>,
    D: for<'a> Setting<&'a Req, Value = Option<Instant>>,
{
    fn classify(&self, outcome: Result<&Res, &Err>) -> Ending {
        self.classify.classify(outcome)
    }

    fn next(&self, req: &Req, ending: &Ending, under_way: bool) -> Option<Req> {
        let in_time = || self.deadline.get(req).is_none_or(|deadline| Instant::now() < deadline);
        if (self.acts)(ending, under_way) && in_time() { self.policy.next(req, ending) } else { None }
    }
}

pin_project! {
    /// The first good answer, or the answer to the first request.
    pub struct ResponseFuture<S, G, Req>
    where
        S: Service<Req>,
    {
        again: Again<S, G>,
        // None: nobody was asked again.
        other: Option<S>,
        // The one that is called now, or next.
        req: Req,
        under_way: bool,
        first: Option<Result<S::Response, S::Error>>,
        #[pin]
        state: State<S::Future>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F> {
        Calling { #[pin] future: F },
        Readying,
    }
}

impl<S, G, Req> ResponseFuture<S, G, Req>
where
    S: Service<Req>,
    Req: Clone,
{
    /// `inner` is ready. `under_way`: `req` is not what the caller sent.
    pub(crate) fn new(inner: &mut S, again: Again<S, G>, req: Req, under_way: bool) -> Self {
        let state = State::Calling { future: inner.call(req.clone()) };
        Self { again, other: None, req, under_way, first: None, state }
    }
}

impl<S, G, Req> Future for ResponseFuture<S, G, Req>
where
    S: Service<Req> + Clone,
    G: Guide<Req, S::Response, S::Error>,
    Req: Clone,
{
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.state.as_mut().project() {
                StateProj::Calling { future } => {
                    let outcome = ready!(future.poll(cx));
                    // What was called is finished: nothing of it is kept while others are asked.
                    this.state.set(State::Readying);
                    let ending = this.again.classify(outcome.as_ref());
                    if ending.is_success() {
                        return Poll::Ready(outcome);
                    }
                    let next = this.again.next(this.req, &ending, *this.under_way);
                    // Every later one that failed is forgotten: the caller asked for the first.
                    let first = this.first.take().unwrap_or(outcome);
                    let Some(next) = next else {
                        return Poll::Ready(first);
                    };
                    *this.first = Some(first);
                    *this.req = next;
                    *this.under_way = true;
                }
                StateProj::Readying => {
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
        f.debug_struct("ResponseFuture").field("under_way", &self.under_way).finish_non_exhaustive()
    }
}
