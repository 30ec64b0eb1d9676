//! A deployment's limits, kept before they are refused: [`QuotaLayer`], [`Meters`].
//!
//! Each deployment has meters for requests and tokens per minute and for calls in flight. A call reserves what it
//! needs *before* it is sent, so that no refusal comes which could have been foreseen, and what it took is settled
//! when its answer has really ended.
//!
//! It is the innermost [`Endpoint`](crate::Endpoint): below it any plain service will do, above it stand `Cooldown` and
//! the balancer.
//!
//! # How it differs from tower's `RateLimit` and `ConcurrencyLimit`
//! Those make the caller wait in `poll_ready`, before there is a request: a balancer cannot ask *when* there will be
//! room, nor for what. Their window is fixed and starts when they like, so that twice the limit may pass within one
//! minute. And tower's `ConcurrencyLimit` lets go at the head of an answer, not at its end.
//!
//! # The rules
//! *Minute*: never more than the limit in any 60 s. *Bucket*, until a refusal has taught more: ten seconds' worth at
//! once, refilled evenly. *RateWindow*: from the first refusal that was not foreseen, never more than a window's share in
//! any one or ten seconds; ten clean minutes make it one step longer. Some backends judge a limit per minute over
//! one second and count refused calls too, others refill evenly, others let the whole minute come at once: none of
//! them says which it is, and every lesson costs a refusal.
//!
//! *Account*: deployments that are paid from one [`Account`] are closed together when it is used up.
//!
//! ```
//! use tollgate_layers::{AtResponse, BoxError, Class, Outcome, quota::{Limits, Meters, QuotaLayer}};
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
//!     .layer(QuotaLayer::new(meters.clone(), AtResponse(classify)).with_cost(|prompt: &&str| prompt.len() as u64 / 4))
//!     .service(service_fn(|_: &str| async { Ok::<_, BoxError>(200) }));
//!
//! assert_eq!(deployment.oneshot("Good morning").await.ok(), Some(200));
//! assert_eq!((meters.snapshot().requests, meters.snapshot().in_flight), (1, 0));
//! # }
//! ```
//!
//! # Hazards
//! Called without having reserved, as in this example, it counts the call and holds nothing back: only a balancer
//! asks first, and one deployment alone is a [group of one](crate#one-alone). A wrong cost makes a limit of tokens leak or starve, until answers have taught better.

mod account;
mod future;
mod limits;
mod meters;
mod remaining;
mod requests;
mod reservation;
mod server_hold;
mod service;
mod sliding_window;
mod state;
#[cfg(test)]
mod tests;
mod tokens;

pub use account::Account;
pub use future::ResponseFuture;
pub use limits::{Accounting, Limits, RateWindow};
pub use meters::{MeterSnapshot, Meters};
pub use reservation::QuotaGuard;
pub use service::{Quota, QuotaLayer};
