//! The response future of [`Peek`](super::Peek).

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::Response;
use pin_project_lite::pin_project;

use super::held::HeldResponse;
use crate::{
    body::{
        timeouts::{RunningTimeouts, Timer},
        upstream_body::UpstreamBody,
        watch_config::WatchConfig,
    },
    error::BodyError,
};

pin_project! {
    /// The future of [`Peek`](super::Peek): waits for the head, then for enough of the body.
    #[derive(Debug)]
    pub(crate) struct ResponseFuture<F> {
        #[pin]
        state: State<F>,
        timer: Timer,
        timeouts: RunningTimeouts,
        config: WatchConfig,
    }
}

pin_project! {
    #[project = StateProj]
    #[derive(Debug)]
    enum State<F> {
        Head { #[pin] inner: F },
        Body { held: Option<HeldResponse> },
    }
}

impl<F> ResponseFuture<F> {
    pub(super) fn new(inner: F, config: WatchConfig, timeouts: RunningTimeouts) -> Self {
        Self { state: State::Head { inner }, timer: Timer::default(), timeouts, config }
    }
}

impl<F, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<UpstreamBody>, E>>,
    E: From<BodyError>,
{
    type Output = Result<crate::request::Response, E>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        match this.state.as_mut().project() {
            StateProj::Head { inner } => {
                let Poll::Ready(head) = inner.poll(cx) else {
                    let error = ready!(this.timeouts.poll_for_head(this.timer, cx));
                    return Poll::Ready(Err(error.into()));
                };
                let mut held = HeldResponse::of(head?, this.config, *this.timeouts);
                // Drops the call's future, which may hold the prompt.
                this.state.set(State::Body { held: None });
                *this.timer = Timer::default();
                // Most responses are decided with their head; this saves moving them once.
                if held.poll_decided(this.config, cx).is_pending() {
                    this.state.set(State::Body { held: Some(held) });
                    return Poll::Pending;
                }
                Poll::Ready(held.into_response(this.config).map_err(E::from))
            }
            StateProj::Body { held } => {
                let Some(pending) = held else { return Poll::Pending };
                ready!(pending.poll_decided(this.config, cx));
                let Some(decided) = held.take() else { return Poll::Pending };
                Poll::Ready(decided.into_response(this.config).map_err(E::from))
            }
        }
    }
}
