//! The response future of [`Retry`](super::Retry).

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep_until};
use tower_service::Service;

use super::{
    policy::RetryPolicy,
    session::{Decision, Session},
};
use crate::{Outcome, shared_clone::SharedClone};

pin_project! {
    /// The future of [`Retry`](super::Retry): resolves to the first success, or to the last response of a backend.
    pub struct ResponseFuture<S, P, Req>
    where
        S: Service<Req>,
    {
        shared: SharedClone<S, P>,
        // None until a call is repeated.
        next: Option<S>,
        req: Req,
        session: Session,
        // The last response of a backend, while the next is awaited.
        previous: Option<Previous<S::Response, S::Error>>,
        #[pin]
        state: ResponseState<S::Future>,
    }
}

type CallResult<S, Req> = Result<<S as Service<Req>>::Response, <S as Service<Req>>::Error>;
type Previous<Res, Err> = (Result<Res, Err>, Outcome);

pin_project! {
    #[project = ResponseStateProj]
    enum ResponseState<F> {
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
    /// Calls `inner`, which must be ready.
    pub(super) fn new(inner: &mut S, shared: SharedClone<S, P>, req: Req, session: Session) -> Self {
        let state = ResponseState::Calling { future: inner.call(req.clone()) };
        Self { shared, next: None, req, session, previous: None, state }
    }
}

impl<S, P, Req> Future for ResponseFuture<S, P, Req>
where
    S: Service<Req> + Clone,
    P: RetryPolicy<Req, S::Response, S::Error>,
    Req: Clone,
{
    type Output = CallResult<S, Req>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let mut this = self.as_mut().project();
            match this.state.as_mut().project() {
                ResponseStateProj::Calling { future } => {
                    let result = ready!(future.poll(cx));
                    if let Some(response) = self.as_mut().on_result(result) {
                        return Poll::Ready(response);
                    }
                }
                ResponseStateProj::Sleeping { sleep } => {
                    ready!(sleep.poll(cx));
                    this.state.set(ResponseState::Readying);
                }
                ResponseStateProj::Readying => {
                    let next = this.next.get_or_insert_with(|| this.shared.service());
                    if let Err(error) = ready!(next.poll_ready(cx)) {
                        // A failure of `poll_ready` is not a response.
                        return Poll::Ready(
                            this.previous.take().map_or(Err(error), |(response, _)| response),
                        );
                    }
                    let future = next.call(this.req.clone());
                    this.state.set(ResponseState::Calling { future });
                }
            }
        }
    }
}

impl<S, P, Req> ResponseFuture<S, P, Req>
where
    S: Service<Req> + Clone,
    P: RetryPolicy<Req, S::Response, S::Error>,
{
    /// Returns the final response. Otherwise keeps the response and sets the next state.
    fn on_result(self: Pin<&mut Self>, result: CallResult<S, Req>) -> Option<CallResult<S, Req>> {
        let mut this = self.project();
        // The call has ended: its future is dropped before a wait.
        this.state.set(ResponseState::Readying);
        let policy = &**this.shared;
        let outcome = policy.classify(result.as_ref());
        let found_no_endpoint = this.session.completed(policy, this.req, &outcome);
        // The usual case: no earlier response is kept, and a repeat would not help.
        if this.previous.is_none() && policy.is_final(this.req, &outcome) {
            return Some(result);
        }
        let (result, outcome) = match this.previous.take() {
            Some(previous) if found_no_endpoint => previous,
            Some((response, _)) if outcome.is_refusal() => return Some(response),
            Some(_) | None => (result, outcome),
        };
        if policy.is_final(this.req, &outcome) {
            return Some(result);
        }
        match this.session.next(policy, this.req, &outcome) {
            Decision::Stop => return Some(result),
            Decision::Call => {}
            Decision::Sleep(at) => this.state.set(ResponseState::Sleeping { sleep: sleep_until(at) }),
        }
        *this.previous = Some((result, outcome));
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
