//! Rate limits of one deployment, kept before the backend refuses a call: [`QuotaLayer`], [`Meters`].
//!
//! The layer is an outbound rate limit that learns from the server, and a bulkhead ([`Limits::in_flight`]). Its position is
//! inside of [`Cooldown`](crate::cooldown::Cooldown), and outside of [`Timeout`](crate::timeout::Timeout).
//!
//! Each deployment has meters for requests and tokens per minute and for calls in flight. A call reserves its cost
//! *before* it is sent, so that foreseeable refusals do not happen. The charge is settled when the response completes.
//!
//! Alone the layer refuses a call without capacity with [`Exhausted`](crate::balance::Exhausted), which contains the time to
//! return, or lets it wait ([`QuotaLayer::waiting`]). Below a balancer it is the innermost [`Endpoint`](crate::Endpoint): it
//! wraps any service, `Cooldown` and the balancer wrap it, and the balancer reserves before it calls.
//!
//! # How it differs from tower's `RateLimit` and `ConcurrencyLimit`
//! tower's limits make the caller wait in `poll_ready`, before there is a request: a balancer cannot find out *when*
//! there will be capacity, nor for which request. Their window is fixed, so that twice the limit may pass within one
//! minute. `ConcurrencyLimit` frees its permit when the inner future resolves, not when the body ends.
//!
//! # The rules
//! *Minute*: never more than the limit in any 60 s. *Bucket*, until a refusal has shown a window: the requests of ten
//! seconds at once, refilled evenly. *Window*: from the first refusal that was not foreseen, never more than a window's share in
//! any one or ten seconds; ten minutes without a refusal make it one step longer. Some backends enforce a limit per
//! minute over one second and count refused calls, too; others refill evenly; others admit the whole minute at once. None
//! of them reports which, and each refusal that teaches it costs a call.
//!
//! *Day*: never more than a limit per day between two times of reset, 24 hours apart.
//!
//! *Account*: deployments that share an [`Account`] are closed together when it is used up.
//!
//! ```
//! use tollgate_layers::{BoxError, Class, Outcome, quota::{Limits, Meters, QuotaLayer}};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let classify = |result: Result<&u16, &BoxError>| match result {
//!     Ok(200) => Outcome::new(Class::Success),
//!     Ok(429) => Outcome::new(Class::RateLimited),
//!     Ok(_) | Err(_) => Outcome::new(Class::Unavailable),
//! };
//! let meters = Meters::new(Limits { requests: Some(600), in_flight: Some(8), ..Limits::default() });
//! let deployment = ServiceBuilder::new()
//!     .layer(QuotaLayer::new(meters.clone(), classify).with_cost(|text: &&str| text.len() as u64 / 4))
//!     .service(service_fn(|_: &str| async { Ok::<_, BoxError>(200) }));
//!
//! assert_eq!(deployment.oneshot("Good morning").await.ok(), Some(200));
//! assert_eq!((meters.snapshot().requests, meters.snapshot().in_flight), (1, 0));
//! # }
//! ```
//!
//! # Hazards
//! A wrong cost makes the token limit too loose or too strict, until reported usage has corrected it. For a streamed response
//! set [`QuotaLayer::with_tracking`]: else the slot in flight is free at its head.

mod account;
mod cost;
mod daily;
mod future;
mod lease;
mod limits;
mod meters;
mod minute;
mod optional;
mod remaining;
mod requests;
mod reservation;
mod server_hold;
mod service;
mod shared;
mod sliding_window;
mod state;
#[cfg(test)]
mod tests;
mod tokens;

pub use account::Account;
pub(crate) use account::WeakAccount;
pub use cost::Cost;
pub use future::ResponseFuture;
pub(crate) use lease::{Applied, LimitKind};
pub use limits::{Accounting, DailyLimits, Limits, RateWindow};
pub use meters::{MeterSnapshot, Meters};
pub use reservation::QuotaGuard;
pub use service::{Quota, QuotaLayer, WaitingQuotaLayer};
pub(crate) use shared::WeakMeters;
