//! The future of [`RateLimitBalance`](super::RateLimitBalance).

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tower_service::Service;

use super::{
    acquire::Acquire,
    exhausted::Exhausted,
    load::InFlight,
    picker::Picked,
    service::{Reads, Shared},
};
use crate::{Attempts, Endpoint, TrackOutcome, attempts::Directive};

pin_project! {
    /// Finds an endpoint with room, waiting for it where there is none, and calls it.
    pub struct ResponseFuture<S, Req, T, R>
    where
        S: Service<Req>,
    {
        shared: Arc<Shared<S, T, R>>,
        req: Option<Req>,
        #[pin]
        state: State<S, S::Future>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, F> {
        Acquiring { #[pin] acquire: Acquire },
        Readying { picked: Option<Picked<S>> },
        Calling { #[pin] inner: F, in_flight: Option<InFlight> },
        Over,
    }
}

/// The state that follows, or the outcome.
type Next<S, Req> = Result<
    State<S, <S as Service<Req>>::Future>,
    Result<<S as Service<Req>>::Response, <S as Service<Req>>::Error>,
>;

impl<S, Req, T, R> ResponseFuture<S, Req, T, R>
where
    S: Service<Req>,
{
    pub(super) fn new(shared: Arc<Shared<S, T, R>>, req: Req) -> Self
    where
        R: Reads<Req>,
    {
        // Taken at once, so that nothing is left of a call that is dropped.
        let directive = shared.reads.attempts(&req).map_or(Directive::Any, Attempts::take_directive);
        Self { shared, req: Some(req), state: State::Acquiring { acquire: Acquire::new(directive) } }
    }
}

impl<S, Req, T, R> Future for ResponseFuture<S, Req, T, R>
where
    S: Endpoint<Req>,
    S::Error: From<Exhausted>,
    T: TrackOutcome<InFlight, S::Response, S::Error>,
    R: Reads<Req>,
{
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.state.as_mut().project() {
                StateProj::Acquiring { acquire } => {
                    let Some(req) = this.req.as_ref() else { return Poll::Pending };
                    let mut picked = None;
                    if let Err(exhausted) = ready!(acquire.poll((this.shared, req), &mut picked, cx)) {
                        this.state.set(State::Over);
                        return Poll::Ready(Err(exhausted.into()));
                    }
                    let Some(at_once) = picked.as_mut() else { return Poll::Pending };
                    // Mostly it is ready, and is not put away before it is called.
                    let Poll::Ready(ready) = at_once.service.poll_ready(cx) else {
                        this.state.set(State::Readying { picked });
                        return Poll::Pending;
                    };
                    call(this.shared, at_once, ready, this.req.take())
                }
                StateProj::Readying { picked } => {
                    let Some(late) = picked.as_mut() else { return Poll::Pending };
                    let ready = ready!(late.service.poll_ready(cx));
                    // What was before is not the endpoint's time. A clock is dear, and mostly nothing was.
                    late.in_flight.iter_mut().for_each(InFlight::called);
                    call(this.shared, late, ready, this.req.take())
                }
                StateProj::Calling { inner, in_flight } => {
                    let result = ready!(inner.poll(cx));
                    Err(match in_flight.take() {
                        Some(in_flight) => attach(this.shared, in_flight, result),
                        None => result,
                    })
                }
                StateProj::Over => return Poll::Pending,
            };
            match next {
                Ok(state) => this.state.set(state),
                Err(result) => {
                    this.state.set(State::Over);
                    return Poll::Ready(result);
                }
            }
        }
    }
}

/// Attaches the handle to an answer whose head is there.
fn attach<S, T, R, Res, Err>(
    shared: &Shared<S, T, R>,
    mut in_flight: InFlight,
    result: Result<Res, Err>,
) -> Result<Res, Err>
where
    T: TrackOutcome<InFlight, Res, Err>,
{
    let begun = in_flight.head();
    let result = shared.track.track(in_flight, result);
    if let Some(begun) = begun {
        begun.record();
    }
    result
}

/// Calls the picked clone where it lies; or its error is the outcome.
fn call<S, Req, T, R>(
    shared: &Shared<S, T, R>,
    picked: &mut Picked<S>,
    ready: Result<(), S::Error>,
    req: Option<Req>,
) -> Next<S, Req>
where
    S: Service<Req>,
    T: TrackOutcome<InFlight, S::Response, S::Error>,
    R: Reads<Req>,
{
    let Some(req) = req else { return Ok(State::Over) };
    // One that fails before it is called was tried too: a retry is to go elsewhere.
    if let Some(attempts) = shared.reads.attempts(&req) {
        attempts.picked(picked.key);
    }
    match (ready, picked.in_flight.take()) {
        (Ok(()), in_flight) => Ok(State::Calling { inner: picked.service.call(req), in_flight }),
        (Err(error), Some(in_flight)) => Err(shared.track.track(in_flight, Err(error))),
        (Err(error), None) => Err(Err(error)),
    }
}

impl<S, Req, T, R> fmt::Debug for ResponseFuture<S, Req, T, R>
where
    S: Service<Req>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
