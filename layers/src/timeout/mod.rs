//! A layer that applies a timeout to requests, with a limit that may depend on the request: [`TimeoutLayer`].
//!
//! The layer has two positions in a stack: around everything, with the time until the deadline as its limit
//! ([`Limit::until`]), and around each attempt, inside of [`Cooldown`](crate::cooldown::Cooldown) and
//! [`Retry`](crate::retry::Retry), so that an elapsed attempt is counted and retried.
//!
//! # How it differs from tower's and tower-http's
//! tower-http's `TimeoutLayer` responds with a status, for servers. Unlike tower's `Timeout`, the limit may depend on the request; the error is a concrete type, which converts into
//! the error of the service by `From` instead of replacing it; the error states whether it is evidence against the
//! backend ([`Elapsed::is_evidence`]); a timer is created only if the call is pending at its first poll; and the call
//! is dropped as soon as the limit is reached, not when the caller drops the future.
//!
//! ```text
//! call ──► polled once ──► response
//!               │
//!               ▼
//!         timer started ──► response
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
//! Hazards: the limit applies to the response *future*. A body that streams on after the head needs a timeout of its
//! own. With a limit of zero the inner service is not called at all.

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

use crate::{IntoServiceError, Setting};

/// A layer that fails a call with [`Elapsed`] when it exceeds its limit. See the [module](self).
#[derive(Clone, Copy, Debug)]
pub struct TimeoutLayer<L> {
    limit: L,
}

impl<L> TimeoutLayer<L> {
    /// Creates a layer with this limit: a `Duration`, a [`Limit`], an `Option` of either, or a function of the
    /// request to one of these. `None` is no limit.
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

/// The service of [`TimeoutLayer`].
#[derive(Clone, Copy, Debug)]
pub struct Timeout<S, L> {
    inner: S,
    limit: L,
}

impl<S, L> Timeout<S, L> {
    /// Creates the service of [`TimeoutLayer::new`].
    pub const fn new(inner: S, limit: L) -> Self {
        Self { inner, limit }
    }

    inner_accessors!(mut);
}

impl<S, L, V, Req> Service<Req> for Timeout<S, L>
where
    S: Service<Req>,
    Elapsed: IntoServiceError<S::Error>,
    L: for<'a> Setting<&'a Req, Value = V>,
    V: IntoLimit,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, req: Req) -> Self::Future {
        let limit = self.limit.get(&req).into_limit();
        // An end beyond the range of `Instant` is no limit.
        let ends = limit.and_then(|limit| Some((limit, Instant::now().checked_add(limit.after)?)));
        let over = limit.is_some_and(|limit| limit.after.is_zero());
        ResponseFuture { inner: (!over).then(|| self.inner.call(req)), ends, sleep: None }
    }
}

/// The limit of a call, and the meaning of reaching it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The time from the call on.
    pub after: Duration,
    /// True if reaching the limit is evidence against the backend. False if the caller requested less time than the
    /// backend is normally given, or if the deadline shortened the limit.
    pub evidence: bool,
    /// The name of the timeout, for error messages.
    pub name: Option<&'static str>,
}

impl Limit {
    /// Returns a limit for a backend: reaching it is evidence against the backend.
    #[must_use]
    pub const fn of(after: Duration) -> Self {
        Self { after, evidence: true, name: None }
    }

    /// Returns the time until `deadline`, zero if it has passed. Reaching it is not evidence.
    #[must_use]
    pub fn until(deadline: Instant) -> Self {
        Self::of(deadline.saturating_duration_since(Instant::now())).without_evidence()
    }

    /// Returns the limit without evidence.
    #[must_use]
    pub const fn without_evidence(mut self) -> Self {
        self.evidence = false;
        self
    }

    /// Returns the limit with the name of the timeout.
    #[must_use]
    pub const fn named(mut self, name: &'static str) -> Self {
        self.name = Some(name);
        self
    }

    /// Returns the shorter of the two; of equal ones, the one that is evidence.
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

/// Conversion into an optional limit: from a `Duration`, a [`Limit`], or an `Option` of either.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a limit of time: it does not implement `IntoLimit`",
    label = "not a limit",
    note = "use a `Duration`, a `Limit`, or an `Option` of either"
)]
pub trait IntoLimit {
    /// Converts into a limit. `None` is no limit.
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

/// The error of a call that exceeded its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed {
    limit: Limit,
}

impl Elapsed {
    /// Returns the limit that was reached.
    #[must_use]
    pub const fn after(&self) -> Duration {
        self.limit.after
    }

    /// Returns the name of the timeout, if [`Limit::named`] set one.
    #[must_use]
    pub const fn name(&self) -> Option<&'static str> {
        self.limit.name
    }

    /// Returns true if the error is evidence against the backend, as in [`Limit::evidence`].
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
            Duration::ZERO => f.write_str("deadline already passed")?,
            after => write!(f, "no response within {after:?}")?,
        }
        self.name().map_or(Ok(()), |name| write!(f, " ({name})"))
    }
}

impl error::Error for Elapsed {}

pin_project! {
    /// Response future of [`Timeout`]: the response, or [`Elapsed`].
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        // None: dropped because its time has elapsed, or never called because the limit was zero.
        #[pin]
        inner: Option<F>,
        ends: Option<(Limit, Instant)>,
        // Created at the first pending poll: refusals are ready at once and need no timer.
        #[pin]
        sleep: Option<Sleep>,
    }
}

impl<F, Res, Err> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Res, Err>>,
    Elapsed: IntoServiceError<Err>,
{
    type Output = Result<Res, Err>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Some(Poll::Ready(result)) = this.inner.as_mut().as_pin_mut().map(|inner| inner.poll(cx)) {
            return Poll::Ready(result);
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
        Poll::Ready(Err(Elapsed::from(limit).into_service_error()))
    }
}

#[cfg(test)]
mod tests;
