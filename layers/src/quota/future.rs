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
        // None if the call was refused.
        #[pin]
        inner: Option<F>,
        refusal: Option<Exhausted>,
        // None after it was attached.
        held: Option<QuotaGuard>,
        track: T,
    }
}

impl<F, T> ResponseFuture<F, T> {
    pub(super) const fn calling(inner: F, held: Option<QuotaGuard>, track: T) -> Self {
        Self { inner: Some(inner), refusal: None, held, track }
    }

    #[cold]
    pub(super) const fn refused(refusal: Exhausted, track: T) -> Self {
        Self { inner: None, refusal: Some(refusal), held: None, track }
    }
}

impl<F, T, Res, Err> Future for ResponseFuture<F, T>
where
    F: Future<Output = Result<Res, Err>>,
    Exhausted: IntoServiceError<Err>,
    T: TrackOutcome<QuotaGuard, Res, Err>,
{
    type Output = Result<Res, Err>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(inner) = this.inner.as_pin_mut() else {
            // A future that is polled again after its end stays pending.
            return this
                .refusal
                .take()
                .map_or(Poll::Pending, |refusal| Poll::Ready(Err(refusal.into_service_error())));
        };
        let result = ready!(inner.poll(cx));
        Poll::Ready(match this.held.take() {
            Some(held) => this.track.track(held, result),
            None => result,
        })
    }
}
