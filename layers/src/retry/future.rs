//! The future of [`Retry`](super::Retry).

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep_until};
use tower_service::Service;

use super::{
    rules::Rules,
    session::{Session, Step},
};
use crate::{Outcome, shared_clone::SharedClone};

pin_project! {
    /// The first good answer, or the last real one.
    pub struct ResponseFuture<S, P, Req>
    where
        S: Service<Req>,
    {
        again: SharedClone<S, P>,
        // None: nobody was called again.
        other: Option<S>,
        req: Req,
        session: Session,
        // The last answer that a backend gave, while the next is awaited.
        held: Option<Held<S::Response, S::Error>>,
        #[pin]
        state: State<S::Future>,
    }
}

type CallResult<S, Req> = Result<<S as Service<Req>>::Response, <S as Service<Req>>::Error>;
type Held<Res, Err> = (Result<Res, Err>, Outcome);

pin_project! {
    #[project = StateProj]
    enum State<F> {
        Calling { #[pin] future: F },
        Sleeping { #[pin] sleep: Sleep },
        Readying,
    }
}

impl<S, P, Req> ResponseFuture<S, P, Req>
where
    S: Service<Req>,
    Req: Clone,
{
    /// `inner` is ready.
    pub(super) fn new(inner: &mut S, again: SharedClone<S, P>, req: Req, session: Session) -> Self {
        let state = State::Calling { future: inner.call(req.clone()) };
        Self { again, other: None, req, session, held: None, state }
    }
}

impl<S, P, Req> Future for ResponseFuture<S, P, Req>
where
    S: Service<Req> + Clone,
    P: Rules<Req, S::Response, S::Error>,
    Req: Clone,
{
    type Output = CallResult<S, Req>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let mut this = self.as_mut().project();
            match this.state.as_mut().project() {
                StateProj::Calling { future } => {
                    let result = ready!(future.poll(cx));
                    if let Some(answer) = self.as_mut().judge(result) {
                        return Poll::Ready(answer);
                    }
                }
                StateProj::Sleeping { sleep } => {
                    ready!(sleep.poll(cx));
                    this.state.set(State::Readying);
                }
                StateProj::Readying => {
                    let other = this.other.get_or_insert_with(|| this.again.service());
                    if let Err(error) = ready!(other.poll_ready(cx)) {
                        // A service that is not ready has not answered.
                        return Poll::Ready(this.held.take().map_or(Err(error), |(answer, _)| answer));
                    }
                    let future = other.call(this.req.clone());
                    this.state.set(State::Calling { future });
                }
            }
        }
    }
}

impl<S, P, Req> ResponseFuture<S, P, Req>
where
    S: Service<Req> + Clone,
    P: Rules<Req, S::Response, S::Error>,
{
    /// The answer to give, if this is the end. Else the outcome is held, and the state says what comes next.
    fn judge(self: Pin<&mut Self>, result: CallResult<S, Req>) -> Option<CallResult<S, Req>> {
        let mut this = self.project();
        // What was called is finished: nothing of it is kept over a wait.
        this.state.set(State::Readying);
        let rules = &**this.again;
        let outcome = rules.classify(result.as_ref());
        let nowhere = this.session.ended(rules, this.req, &outcome);
        // By far the most: nothing is held, and nothing is to be made better.
        let is_last = |outcome: &Outcome| outcome.is_refusal() || !outcome.class().worth_another();
        if is_last(&outcome) && this.held.is_none() {
            return Some(result);
        }
        let (result, outcome) = match this.held.take() {
            Some(held) if nowhere => held,
            Some((answer, _)) if outcome.is_refusal() => return Some(answer),
            Some(_) | None => (result, outcome),
        };
        if is_last(&outcome) {
            return Some(result);
        }
        match this.session.next(rules, this.req, &outcome) {
            Step::Stop => return Some(result),
            Step::Call => {}
            Step::Sleep(at) => this.state.set(State::Sleeping { sleep: sleep_until(at) }),
        }
        *this.held = Some((result, outcome));
        None
    }
}

impl<S, P, Req> fmt::Debug for ResponseFuture<S, P, Req>
where
    S: Service<Req>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").field("session", &self.session).finish_non_exhaustive()
    }
}
