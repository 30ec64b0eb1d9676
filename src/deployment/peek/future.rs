//! The future of [`Peek`](super::Peek).

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::Response;
use pin_project_lite::pin_project;

use super::reading::Reading;
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
        Body { reading: Option<Reading> },
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
                let mut reading = Reading::of(head?, this.config, *this.clocks, *this.stream);
                // The call's future goes here, and with it what it held of the prompt.
                this.state.set(State::Body { reading: None });
                *this.timer = Timer::default();
                // Most answers are there with their heads, and are moved once less.
                if reading.poll_known(cx).is_pending() {
                    this.state.set(State::Body { reading: Some(reading) });
                    return Poll::Pending;
                }
                Poll::Ready(reading.into_answer(this.config).map_err(E::from))
            }
            StateProj::Body { reading } => {
                let Some(under_way) = reading else { return Poll::Pending };
                ready!(under_way.poll_known(cx));
                let Some(known) = reading.take() else { return Poll::Pending };
                Poll::Ready(known.into_answer(this.config).map_err(E::from))
            }
        }
    }
}
