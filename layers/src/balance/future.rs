//! The future of [`RateLimitBalance`](super::RateLimitBalance).

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tower_service::Service;

use super::{exhausted::Exhausted, flight::Flight, group::Taken, reads::Reads, seek::Seek, service::Shared};
use crate::{Endpoint, Track};

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
        Seeking { #[pin] seek: Seek },
        Readying { taken: Option<Taken<S>> },
        Calling { #[pin] inner: F, flight: Option<Flight> },
        Over,
    }
}

impl<S, Req, T, R> ResponseFuture<S, Req, T, R>
where
    S: Service<Req>,
{
    pub(super) fn new(shared: Arc<Shared<S, T, R>>, req: Req) -> Self {
        Self { shared, req: Some(req), state: State::Seeking { seek: Seek::default() } }
    }
}

impl<S, Req, T, R> Future for ResponseFuture<S, Req, T, R>
where
    S: Endpoint<Req>,
    S::Error: From<Exhausted>,
    T: Track<Flight, S::Response, S::Error>,
    R: Reads<Req>,
{
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let mut late = true;
        loop {
            let next = match this.state.as_mut().project() {
                StateProj::Seeking { seek } => {
                    let Some(req) = this.req.as_ref() else { return Poll::Pending };
                    match ready!(seek.poll(this.shared, req, cx)) {
                        Ok(taken) => {
                            late = false;
                            State::Readying { taken: Some(taken) }
                        }
                        Err(exhausted) => {
                            this.state.set(State::Over);
                            return Poll::Ready(Err(exhausted.into()));
                        }
                    }
                }
                StateProj::Readying { taken } => {
                    let Some(endpoint) = taken.as_mut() else { return Poll::Pending };
                    let ready = ready!(endpoint.service.poll_ready(cx));
                    match (ready, taken.take(), this.req.take()) {
                        (Ok(()), Some(mut taken), Some(req)) => {
                            // What was before is not the endpoint's time. A clock is dear, and mostly nothing was.
                            if late {
                                taken.flight.called();
                            }
                            call(this.shared, taken, req)
                        }
                        (Err(error), Some(taken), _) => {
                            this.state.set(State::Over);
                            return Poll::Ready(this.shared.track.track(taken.flight, Err(error)));
                        }
                        (_, _, _) => return Poll::Pending,
                    }
                }
                StateProj::Calling { inner, flight } => {
                    let outcome = ready!(inner.poll(cx));
                    let flight = flight.take();
                    this.state.set(State::Over);
                    return Poll::Ready(match flight {
                        Some(flight) => landed(this.shared, flight, outcome),
                        None => outcome,
                    });
                }
                StateProj::Over => return Poll::Pending,
            };
            this.state.set(next);
        }
    }
}

/// The head is there: what was as slow as it is known now, and the rest is heard at the end.
fn landed<S, T, R, Res, Err>(
    shared: &Shared<S, T, R>,
    mut flight: Flight,
    outcome: Result<Res, Err>,
) -> Result<Res, Err>
where
    T: Track<Flight, Res, Err>,
{
    let begun = flight.head();
    let outcome = shared.track.track(flight, outcome);
    if let Some(begun) = begun {
        begun.told();
    }
    outcome
}

fn call<S, Req, T, R>(shared: &Shared<S, T, R>, mut taken: Taken<S>, req: Req) -> State<S, S::Future>
where
    S: Service<Req>,
    R: Reads<Req>,
{
    if let Some(attempts) = shared.reads.attempts(&req) {
        attempts.picked(taken.key);
    }
    State::Calling { inner: taken.service.call(req), flight: Some(taken.flight) }
}

impl<S, Req, T, R> fmt::Debug for ResponseFuture<S, Req, T, R>
where
    S: Service<Req>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
