//! Tower layers that make one reliable service of many backends with different rate limits and failures.
//!
//! Every layer is generic over request, response and error, and can be used alone in any hyper, axum or tonic
//! application. The layers know nothing of HTTP, JSON or models. They learn about a response from a [`Classify`], which
//! returns an [`Outcome`] of plain numbers.
//!
//! The layers are designed for this order, from the outside in:
//!
//! | layer | purpose |
//! |---|---|
//! | [`FallbackLayer`](fallback::FallbackLayer) | calls another service when this one has failed |
//! | [`ContextWindowFallbackLayer`](context_window::ContextWindowFallbackLayer) | calls a service with a larger context window when the request did not fit |
//! | [`RetryLayer`](retry::RetryLayer) | calls again, so that the balancer picks again |
//! | [`RateLimitBalanceLayer`](balance::RateLimitBalanceLayer) | makes one service of many endpoints |
//! | [`CooldownLayer`](cooldown::CooldownLayer) | lets an unhealthy endpoint cool down |
//! | [`QuotaLayer`](quota::QuotaLayer) | keeps the rate limits of an endpoint: the innermost [`Endpoint`] |
//! | [`TimeoutLayer`](timeout::TimeoutLayer) | ends an attempt that takes too long |
//!
//! # Use of a single layer
//! [`Timeout`](timeout), [`Retry`](retry) and the two fallbacks work without the others. [`Quota`](quota) and
//! [`Cooldown`](cooldown) only keep accounts, and refuse no call: the balancer consults them before it calls. A single
//! backend with a limit is therefore a group with one endpoint.
//!
//! ```
//! use tollgate_layers::{BoxError, Class, Outcome, balance::{Exhausted, RateLimitBalanceLayer, Strategy},
//!     quota::{Limits, Meters, QuotaLayer}};
//! use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
//! let classify = |result: Result<&u16, &BoxError>| match result {
//!     Ok(429) => Outcome::new(Class::RateLimited),
//!     Ok(..500) => Outcome::new(Class::Success),
//!     Ok(_) | Err(_) => Outcome::new(Class::Unavailable),
//! };
//! let limits = Limits { requests: Some(2), ..Limits::default() };
//! let backend = QuotaLayer::new(Meters::new(limits), classify)
//!     .layer(service_fn(|()| async { Ok::<_, BoxError>(200) }));
//! let service = ServiceBuilder::new()
//!     .layer(RateLimitBalanceLayer::new(Strategy::default(), classify))
//!     .service(vec![backend]);
//! for _ in 0..2 {
//!     assert_eq!(service.clone().oneshot(()).await?, 200);
//! }
//! let refused = service.oneshot(()).await.unwrap_err();
//! assert!(refused.is::<Exhausted>(), "{refused}");
//! # Ok::<(), BoxError>(()) }).map_err(|error| error.to_string())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Errors
//! A layer keeps the error type of its inner service. [`Elapsed`](timeout::Elapsed) and [`Exhausted`](balance::Exhausted)
//! are converted to that type by [`From`]: [`BoxError`] implements it, and an application's own error enum can. Below a
//! layer, add `map_err(BoxError::from)` to a service with an error type that has no such conversion, such as axum's
//! routes or hyper's client.
//!
//! A compiler error that only states that a method such as `oneshot` exists, but its trait bounds were not satisfied, hides
//! the reason. Return the service as `impl Service<Request, Response = .., Error = ..>`, or pass it to tower's
//! `BoxCloneSyncService::new`: then the compiler names the trait that is missing, and a remedy.
//!
//! # Features
//! `testing`: `testing::Strict`, a service that checks that a layer follows the contract of `tower::Service`.
//!
//! All time is tokio time, so that a test can pause it. The layers need a runtime with an enabled timer.

#[macro_use]
mod macros;

pub mod attempts;
pub mod balance;
mod capacity;
mod class;
pub mod classify;
pub mod context_window;
pub mod cooldown;
pub mod endpoint;
pub mod fallback;
pub mod outcome;
pub mod quota;
pub mod retry;
mod rolling;
mod service_error;
pub mod setting;
mod shared_clone;
mod sync;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod timeout;
pub mod track;

pub use attempts::Attempts;
pub use classify::{Class, Classify};
pub use endpoint::{Endpoint, NoCapacity, Score};
pub use outcome::Outcome;
pub use service_error::IntoServiceError;
pub use setting::Setting;
pub use track::{AtResponse, OnComplete, TrackOutcome};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// The boxed error type of tower's own middleware.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
