//! Tower layers for one job: many unequal, rate-limited, unreliable backends that must look like one good one.
//!
//! Every layer is generic over request, response and error, and can be used alone in any hyper, axum or tonic
//! application. None of them knows HTTP, JSON, or what a model is. What they need to know about an answer they are
//! told by one [`Classify`], as one [`Outcome`] in plain numbers.
//!
//! From the outside in, this is the order they are made for:
//!
//! | layer | what it does |
//! |---|---|
//! | [`FallbackLayer`](fallback::FallbackLayer) | asks another service when this one has done all it could |
//! | [`ContextWindowFallbackLayer`](context_window::ContextWindowFallbackLayer) | asks a larger one when the request did not fit |
//! | [`RetryLayer`](retry::RetryLayer) | calls again, so that the balancer picks again |
//! | [`RateLimitBalanceLayer`](balance::RateLimitBalanceLayer) | makes one service of many endpoints |
//! | [`CooldownLayer`](cooldown::CooldownLayer) | lets an unhealthy endpoint cool down |
//! | [`QuotaLayer`](quota::QuotaLayer) | keeps an endpoint's rate limits: the innermost [`Endpoint`] |
//! | [`TimeoutLayer`](timeout::TimeoutLayer) | ends an attempt that takes too long |
//!
//! # One alone
//! [`Timeout`](timeout), [`Retry`](retry) and the two fallbacks do all of their work alone. [`Quota`](quota) and
//! [`Cooldown`](cooldown) keep an account, and refuse nobody: it is the balancer that asks them before it calls. So one backend
//! with a limit is a group of one.
//!
//! ```
//! use tollgate_layers::{AtResponse, BoxError, Class, Outcome, balance::{Exhausted, RateLimitBalanceLayer, Strategy},
//!     quota::{Limits, Meters, QuotaLayer}};
//! use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
//! let judge = |result: Result<&u16, &BoxError>| match result {
//!     Ok(429) => Outcome::new(Class::RateLimited),
//!     Ok(..500) => Outcome::new(Class::Success),
//!     Ok(_) | Err(_) => Outcome::new(Class::Unavailable),
//! };
//! let limits = Limits { requests: Some(2), ..Limits::default() };
//! let backend = QuotaLayer::new(Meters::new(limits), AtResponse(judge))
//!     .layer(service_fn(|()| async { Ok::<_, BoxError>(200) }));
//! let service = ServiceBuilder::new()
//!     .layer(RateLimitBalanceLayer::new(Strategy::default(), AtResponse(judge)))
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
//! A layer does not change the error type of what it stands round: [`Elapsed`](timeout::Elapsed) and
//! [`Exhausted`](balance::Exhausted) join it by [`From`], which there is for [`BoxError`], and which an enum of your own can have.
//! Round a service whose error has room for nothing else, such as axum's routes or hyper's client, put
//! `map_err(BoxError::from)` below.
//!
//! # Features
//! `testing`: `testing::Strict`, over which a layer of your own should pass too.
//!
//! All time is tokio time, so that a test can pause it; they run where its timer is enabled.

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
pub use setting::Setting;
pub use track::{AtResponse, OnComplete, TrackOutcome};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// The error type of tower's own middleware.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
