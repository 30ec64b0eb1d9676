//! The response future of [`RateLimitBalance`](super::RateLimitBalance).

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
    service::{RequestReader, Shared},
};
use crate::{
    Attempts, Endpoint, IntoServiceError, TrackOutcome,
    attempts::{self, Directive},
};

pin_project! {
    /// A future that picks an endpoint with capacity, waits for one if there is none, and calls it.
    pub struct ResponseFuture<S, Req, T, R>
    where
        S: Service<Req>,
    {
        shared: Arc<Shared<S, T, R>>,
        req: Option<Req>,
        // The record that Retry keeps, if the request has none.
        attempts: Option<Arc<Attempts>>,
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

/// The next state, or the result of the call.
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
        R: RequestReader<Req>,
    {
        // Taken at once: a future that is dropped without a poll must not leave the directive to a later call.
        let own = shared.reader.attempts(&req);
        let attempts = if own.is_none() { attempts::take_current() } else { None };
        let directive = own.or(attempts.as_deref()).map_or(Directive::Any, Attempts::take_directive);
        let state = State::Acquiring { acquire: Acquire::new(directive) };
        Self { shared, req: Some(req), attempts, state }
    }
}

impl<S, Req, T, R> Future for ResponseFuture<S, Req, T, R>
where
    S: Endpoint<Req>,
    Exhausted: IntoServiceError<S::Error>,
    T: TrackOutcome<InFlight, S::Response, S::Error>,
    R: RequestReader<Req>,
{
    type Output = Result<S::Response, S::Error>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.state.as_mut().project() {
                StateProj::Acquiring { acquire } => {
                    let Some(req) = this.req.as_ref() else { return Poll::Pending };
                    let mut picked = None;
                    if let Err(exhausted) =
                        ready!(acquire.poll((this.shared, req, this.attempts.as_deref()), &mut picked, cx))
                    {
                        this.state.set(State::Over);
                        return Poll::Ready(Err(exhausted.into_service_error()));
                    }
                    let Some(acquired) = picked.as_mut() else { return Poll::Pending };
                    // Usually the clone is ready, and is called without a move into the state.
                    let Poll::Ready(ready) = acquired.service.poll_ready(cx) else {
                        this.state.set(State::Readying { picked });
                        return Poll::Pending;
                    };
                    call((this.shared, this.attempts.as_deref()), acquired, ready, this.req.take())
                }
                StateProj::Readying { picked } => {
                    let Some(waiting) = picked.as_mut() else { return Poll::Pending };
                    let ready = ready!(waiting.service.poll_ready(cx));
                    // The wait for readiness is not part of the latency. Only this path reads the clock again, because that is
                    // expensive, and usually there is no such wait.
                    waiting.in_flight.iter_mut().for_each(InFlight::called);
                    call((this.shared, this.attempts.as_deref()), waiting, ready, this.req.take())
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

/// Attaches the handle of a call to its response.
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

/// Calls the picked clone in place, or returns the error with which it failed to become ready.
fn call<S, Req, T, R>(
    (shared, attempts): (&Shared<S, T, R>, Option<&Attempts>),
    picked: &mut Picked<S>,
    ready: Result<(), S::Error>,
    req: Option<Req>,
) -> Next<S, Req>
where
    S: Service<Req>,
    T: TrackOutcome<InFlight, S::Response, S::Error>,
    R: RequestReader<Req>,
{
    let Some(req) = req else { return Ok(State::Over) };
    // An endpoint that fails before the call counts as tried too, so that a retry uses another one.
    if let Some(attempts) = shared.reader.attempts(&req).or(attempts) {
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
