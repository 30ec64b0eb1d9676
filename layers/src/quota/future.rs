//! The future of [`Quota`](super::Quota).

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;

use super::reservation::QuotaGuard;
use crate::TrackOutcome;

pin_project! {
    /// Response future of [`Quota`](super::Quota): attaches the [`QuotaGuard`] to the response.
    #[derive(Debug)]
    pub struct ResponseFuture<F, T> {
        #[pin]
        inner: F,
        held: Option<QuotaGuard>,
        track: T,
    }
}

impl<F, T> ResponseFuture<F, T> {
    pub(super) const fn new(inner: F, held: Option<QuotaGuard>, track: T) -> Self {
        Self { inner, held, track }
    }
}

impl<F, T, Res, Err> Future for ResponseFuture<F, T>
where
    F: Future<Output = Result<Res, Err>>,
    T: TrackOutcome<QuotaGuard, Res, Err>,
{
    type Output = Result<Res, Err>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = ready!(this.inner.poll(cx));
        Poll::Ready(match this.held.take() {
            Some(held) => this.track.track(held, result),
            None => result,
        })
    }
}
