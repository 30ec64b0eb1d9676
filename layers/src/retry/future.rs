//! The response future of [`Retry`](super::Retry).

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep_until};
use tower_service::Service;

use super::{
    policy::RetryPolicy,
    session::{Decision, Session},
};
use crate::{Attempts, Outcome, attempts::with_current, shared_clone::SharedClone};

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
        // The record of a request that has none of its own: a balancer below takes it with each call.
        own: Option<Arc<Attempts>>,
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
    pub(super) fn new(inner: &mut S, shared: SharedClone<S, P>, req: Req) -> Self
    where
        P: RetryPolicy<Req, S::Response, S::Error>,
    {
        let session = Session::begin(&*shared, &req);
        let own = if shared.attempts(&req).is_none() { Some(Arc::default()) } else { None };
        let future = with_current(own.as_ref(), || inner.call(req.clone()));
        Self {
            shared,
            next: None,
            req,
            own,
            session,
            previous: None,
            state: ResponseState::Calling { future },
        }
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
                    let future = with_current(this.own.as_ref(), || next.call(this.req.clone()));
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
        // Without a pick in the record there is no balancer below.
        let own = this.own.as_deref().filter(|attempts| attempts.made() > 0);
        let attempts = policy.attempts(this.req).or(own);
        let found_no_endpoint = this.session.completed(policy, attempts, &outcome);
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
        match this.session.next(policy, (this.req, attempts), &outcome) {
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
