//! The future of [`Quota`](super::Quota).

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;

use super::reservation::QuotaGuard;
use crate::{IntoServiceError, TrackOutcome, balance::Exhausted};

pin_project! {
    /// The future of [`Quota`](super::Quota), which attaches the [`QuotaGuard`] to the response.
    #[derive(Debug)]
    pub struct ResponseFuture<F, T> {
        #[pin]
        state: State<F, T>,
    }
}

pin_project! {
    #[project = StateProj]
    #[derive(Debug)]
    enum State<F, T> {
        Calling {
            #[pin]
            inner: F,
            // None after it was attached.
            held: Option<QuotaGuard>,
            track: T,

        },
        // A call that no balancer has chosen.
        Refused { error: Option<Exhausted> },
    }
}

impl<F, T> ResponseFuture<F, T> {
    pub(super) const fn calling(inner: F, held: Option<QuotaGuard>, track: T) -> Self {
        Self { state: State::Calling { inner, held, track } }
    }

    pub(super) const fn refused(error: Exhausted) -> Self {
        Self { state: State::Refused { error: Some(error) } }
    }
}

impl<F, T, Res, Err> Future for ResponseFuture<F, T>
where
    F: Future<Output = Result<Res, Err>>,
    Exhausted: IntoServiceError<Err>,
    T: TrackOutcome<QuotaGuard, Res, Err>,
{
    type Output = Result<Res, Err>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Calling { inner, held, track } => {
                let result = ready!(inner.poll(cx));
                Poll::Ready(match held.take() {
                    Some(held) => track.track(held, result),
                    None => result,
                })
            }
            // A future that is polled again after its end stays pending.
            StateProj::Refused { error } => {
                error.take().map_or(Poll::Pending, |error| Poll::Ready(Err(error.into_service_error())))
            }
        }
    }
}
