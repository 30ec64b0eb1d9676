//! The future of [`Peek`](super::Peek).

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
    /// The future of [`Peek`](super::Peek): first the head, then as much of the body as it takes.
    #[derive(Debug)]
    pub(crate) struct ResponseFuture<F> {
        #[pin]
        state: State<F>,
        timer: Timer,
        clocks: RunningTimeouts,
        config: WatchConfig,
        stream: bool,
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
    pub(super) fn new(inner: F, config: WatchConfig, clocks: RunningTimeouts, stream: bool) -> Self {
        Self { state: State::Head { inner }, timer: Timer::default(), clocks, config, stream }
    }
}

impl<F, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<UpstreamBody>, E>>,
    E: From<BodyError>,
{
    type Output = Result<crate::request::Response, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        match this.state.as_mut().project() {
            StateProj::Head { inner } => {
                let Poll::Ready(head) = inner.poll(cx) else {
                    let fault = ready!(this.clocks.poll_for_head(this.timer, cx));
                    return Poll::Ready(Err(fault.into()));
                };
                let mut held = HeldResponse::of(head?, this.config, *this.clocks, *this.stream);
                // The call's future goes here, and with it what it held of the prompt.
                this.state.set(State::Body { held: None });
                *this.timer = Timer::default();
                // Most answers are there with their heads, and are moved once less.
                if held.poll_decided(cx).is_pending() {
                    this.state.set(State::Body { held: Some(held) });
                    return Poll::Pending;
                }
                Poll::Ready(held.into_response(this.config).map_err(E::from))
            }
            StateProj::Body { held } => {
                let Some(under_way) = held else { return Poll::Pending };
                ready!(under_way.poll_decided(cx));
                let Some(known) = held.take() else { return Poll::Pending };
                Poll::Ready(known.into_response(this.config).map_err(E::from))
            }
        }
    }
}
