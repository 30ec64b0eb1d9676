//! The body that reports its end: [`TrackBody`].

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tollgate_layers::{Class, OnComplete, Outcome};

use super::completion::Completion;
use crate::trailers::{ClassifyTrailers, IgnoreTrailers};

pin_project! {
    /// A body that notifies handles of the outcome of its response: at its end, at its error, or by dropping them if it is
    /// dropped itself. See the [module](super).
    ///
    /// Frames, errors, the size hint and the end pass through unchanged. `T` ([`ClassifyTrailers`]) returns the outcome of a
    /// body that has ended.
    #[derive(Debug)]
    pub struct TrackBody<B, T = IgnoreTrailers> {
        #[pin]
        inner: B,
        trailers: T,
        completion: Completion,
    }
}

impl<B: Body> TrackBody<B> {
    /// Wraps the body of a response with the outcome `head` so far, which is its outcome if the body ends.
    pub fn new(inner: B, head: Outcome) -> Self {
        Self::with_trailers(inner, head, IgnoreTrailers)
    }
}

impl<B: Body, T: ClassifyTrailers> TrackBody<B, T> {
    /// Wraps the body of a response with the outcome `head` so far; `trailers` returns the outcome if the body ends.
    ///
    /// The outcome is final at once if `head` is not a success, or if the body is empty.
    pub fn with_trailers(inner: B, head: Outcome, trailers: T) -> Self {
        let mut completion = Completion::new(head);
        if !head.is_success() {
            completion.settle(head);
        } else if inner.is_end_stream() {
            completion.settle(trailers.classify_trailers(&head, None));
        }
        Self { inner, trailers, completion }
    }
}

impl<B, T> TrackBody<B, T> {
    /// Returns the outcome of the response; until [`has_settled`](Self::has_settled) the outcome so far.
    pub const fn outcome(&self) -> &Outcome {
        self.completion.outcome()
    }

    /// Returns true if the outcome is final.
    pub const fn has_settled(&self) -> bool {
        self.completion.is_settled()
    }

    /// Attaches a handle, which is notified of the outcome once: at once if the outcome is final.
    pub fn attach<H: OnComplete + Send + Sync + 'static>(&mut self, handle: H) {
        self.completion.attach(handle);
    }

    /// Returns the inner body.
    pub const fn get_ref(&self) -> &B {
        &self.inner
    }
}

impl<B: Body, T: ClassifyTrailers> Body for TrackBody<B, T> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let polled = ready!(this.inner.as_mut().poll_frame(cx));
        let head = *this.completion.outcome();
        let end = |fields| this.trailers.classify_trailers(&head, fields);
        match &polled {
            None => this.completion.settle(end(None)),
            Some(Err(_)) => this.completion.settle(Outcome::new(Class::Unavailable)),
            Some(Ok(frame)) if frame.is_trailers() => this.completion.settle(end(frame.trailers_ref())),
            Some(Ok(_)) if this.inner.is_end_stream() => this.completion.settle(end(None)),
            Some(Ok(_)) if this.inner.size_hint().exact() == Some(0) => this.completion.received(end(None)),
            Some(Ok(_)) => {}
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<B: Body + Default> Default for TrackBody<B> {
    /// Returns the default body of the inner type, as the body of a success.
    fn default() -> Self {
        Self::new(B::default(), Outcome::new(Class::Success))
    }
}
