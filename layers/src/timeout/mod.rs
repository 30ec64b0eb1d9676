//! Ends a call that takes too long: [`TimeoutLayer`], which fails with [`Elapsed`].
//!
//! It stands twice in the order: around everything, where its limit is what is left of the deadline
//! ([`Limit::until`]), and around each attempt, inside [`Cooldown`](crate::cooldown::Cooldown) and
//! [`Retry`](crate::retry::Retry), so that an elapsed attempt counts and is repeated.
//!
//! Unlike tower's `Timeout`, the limit may depend on the request; the error is a type of its own, which joins the
//! service's error by `From` instead of replacing it; it knows whether it says anything about the backend
//! ([`Elapsed::is_evidence`]); the timer is made only for a call that does not answer at its first poll; and the call
//! is dropped at the moment the limit is reached, not when the caller gets round to dropping the future.
//!
//! ```text
//! call ──► polled once ──► answered
//!               │
//!               ▼
//!         timer started ──► answered
//!               │
//!               ▼
//!      call dropped, Elapsed
//! ```
//!
//! ```
//! use std::time::Duration;
//! use tollgate_layers::{BoxError, timeout::{Elapsed, TimeoutLayer}};
//! use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
//! let mut slow = ServiceBuilder::new()
//!     .layer(TimeoutLayer::new(Duration::from_secs(1)))
//!     .map_err(BoxError::from)
//!     .service(service_fn(|()| async {
//!         tokio::time::sleep(Duration::from_secs(2)).await;
//!         Ok::<_, std::io::Error>("late")
//!     }));
//! let error = slow.ready().await?.call(()).await.unwrap_err();
//! assert!(error.is::<Elapsed>());
//! # Ok::<(), BoxError>(()) }).map_err(|error| error.to_string())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Hazards: it bounds the response *future*. A body that streams on after the head needs a clock of its own. And a
//! limit of zero means that the time was over before it began: the call is not made at all.

use std::{
    error, fmt,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};
use tower_layer::Layer;
use tower_service::Service;

use crate::Setting;

/// Makes a [`Timeout`].
#[derive(Clone, Copy, Debug)]
pub struct TimeoutLayer<L> {
    limit: L,
}

impl<L> TimeoutLayer<L> {
    /// With this limit: a `Duration`, a [`Limit`], an `Option` of either, or a function of the request to one of
    /// these. `None` is no limit.
    pub const fn new(limit: L) -> Self {
        Self { limit }
    }
}

impl<S, L: Clone> Layer<S> for TimeoutLayer<L> {
    type Service = Timeout<S, L>;

    fn layer(&self, inner: S) -> Self::Service {
        Timeout { inner, limit: self.limit.clone() }
    }
}

/// Ends the calls of `S` that take too long.
#[derive(Clone, Copy, Debug)]
pub struct Timeout<S, L> {
    inner: S,
    limit: L,
}

impl<S, L> Timeout<S, L> {
    inner_accessors!(mut);
}

impl<S, L, V, Req> Service<Req> for Timeout<S, L>
where
    S: Service<Req>,
    S::Error: From<Elapsed>,
    L: for<'a> Setting<&'a Req, Value = V>,
    V: IntoLimit,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, req: Req) -> Self::Future {
        let limit = self.limit.get(&req).into_limit();
        // An end too far away to be written down is no end.
        let ends = limit.and_then(|limit| Some((limit, Instant::now().checked_add(limit.after)?)));
        let over = limit.is_some_and(|limit| limit.after.is_zero());
        ResponseFuture { inner: (!over).then(|| self.inner.call(req)), ends, sleep: None }
    }
}

/// How long a call may take, and what it means when it took longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The time from the call on.
    pub after: Duration,
    /// Whether reaching it says something about the backend. It does not where the caller asked for less time than
    /// the backend is given, or where the deadline cut it.
    pub evidence: bool,
    /// Which clock it is, for the one who reads the error.
    pub clock: Option<&'static str>,
}

impl Limit {
    /// The limit that a backend is given: to reach it is evidence against the backend.
    #[must_use]
    pub const fn of(after: Duration) -> Self {
        Self { after, evidence: true, clock: None }
    }

    /// What is left until `deadline`, zero when it is past; to reach it is no evidence.
    #[must_use]
    pub fn until(deadline: Instant) -> Self {
        Self::of(deadline.saturating_duration_since(Instant::now())).no_evidence()
    }

    /// The same length, without being evidence.
    #[must_use]
    pub const fn no_evidence(mut self) -> Self {
        self.evidence = false;
        self
    }

    /// With the name of the clock.
    #[must_use]
    pub const fn named(mut self, clock: &'static str) -> Self {
        self.clock = Some(clock);
        self
    }

    /// The shorter of the two; of equal ones, the one that is evidence.
    #[must_use]
    pub fn or_shorter(self, other: Option<Self>) -> Self {
        match other {
            Some(other) if (other.after, !other.evidence) < (self.after, !self.evidence) => other,
            Some(_) | None => self,
        }
    }
}

impl From<Duration> for Limit {
    fn from(after: Duration) -> Self {
        Self::of(after)
    }
}

/// What can be a limit: a `Duration`, a [`Limit`], or an `Option` of one.
pub trait IntoLimit {
    /// As a limit; `None` is none.
    fn into_limit(self) -> Option<Limit>;
}

impl IntoLimit for Limit {
    fn into_limit(self) -> Option<Limit> {
        Some(self)
    }
}

impl IntoLimit for Duration {
    fn into_limit(self) -> Option<Limit> {
        Some(Limit::of(self))
    }
}

impl<T: IntoLimit> IntoLimit for Option<T> {
    fn into_limit(self) -> Option<Limit> {
        self.and_then(T::into_limit)
    }
}

impl<In> Setting<In> for Limit {
    type Value = Self;

    fn get(&self, _: In) -> Self {
        *self
    }
}

impl<In> Setting<In> for Option<Limit> {
    type Value = Self;

    fn get(&self, _: In) -> Self {
        *self
    }
}

/// The call took longer than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed {
    limit: Limit,
}

impl Elapsed {
    /// The limit that was reached.
    #[must_use]
    pub const fn after(&self) -> Duration {
        self.limit.after
    }

    /// Which clock it was, where [`Limit::named`] said.
    #[must_use]
    pub const fn clock(&self) -> Option<&'static str> {
        self.limit.clock
    }

    /// Whether it says something about the backend, as [`Limit::evidence`] did.
    #[must_use]
    pub const fn is_evidence(&self) -> bool {
        self.limit.evidence
    }
}

impl From<Limit> for Elapsed {
    fn from(limit: Limit) -> Self {
        Self { limit }
    }
}

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.after() {
            Duration::ZERO => f.write_str("no time was left")?,
            after => write!(f, "no answer within {after:?}")?,
        }
        self.clock().map_or(Ok(()), |clock| write!(f, " ({clock})"))
    }
}

impl error::Error for Elapsed {}

pin_project! {
    /// The answer, or [`Elapsed`].
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        // None: dropped because its time is over, or never called because it was over before.
        #[pin]
        inner: Option<F>,
        ends: Option<(Limit, Instant)>,
        // Most answers of a test, and all refusals, are there at the first poll: they need no timer.
        #[pin]
        sleep: Option<Sleep>,
    }
}

impl<F, Res, Err> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Res, Err>>,
    Err: From<Elapsed>,
{
    type Output = Result<Res, Err>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Some(inner) = this.inner.as_mut().as_pin_mut()
            && let Poll::Ready(outcome) = inner.poll(cx)
        {
            return Poll::Ready(outcome);
        }
        let Some((limit, at)) = *this.ends else {
            return Poll::Pending;
        };
        if this.inner.is_some() {
            if this.sleep.is_none() {
                this.sleep.set(Some(sleep_until(at)));
            }
            if let Some(sleep) = this.sleep.as_mut().as_pin_mut() {
                ready!(sleep.poll(cx));
            }
            this.inner.set(None);
        }
        Poll::Ready(Err(Elapsed::from(limit).into()))
    }
}

#[cfg(test)]
mod tests;
