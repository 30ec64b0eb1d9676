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
//! # All six
//! ```
//! use std::time::Duration;
//! use tollgate_layers::{BoxError, Class, Outcome,
//!     balance::{RateLimitBalanceLayer, Strategy}, context_window::ContextWindowFallbackLayer,
//!     cooldown::{CooldownConfig, CooldownLayer, EndpointHealth}, fallback::FallbackLayer,
//!     quota::{Limits, Meters, QuotaLayer}, retry::RetryLayer, timeout::TimeoutLayer};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
//! let classify = |result: Result<&&str, &BoxError>| match result {
//!     Ok(_) => Outcome::new(Class::Success),
//!     Err(error) if error.to_string() == "too long" => Outcome::new(Class::ContextWindow),
//!     Err(_) => Outcome::new(Class::Unavailable),
//! };
//! let backend = |name: &'static str| {
//!     let limits = Limits { requests: Some(600), ..Limits::default() };
//!     ServiceBuilder::new()
//!         .layer(CooldownLayer::new(EndpointHealth::new(CooldownConfig::default()), classify))
//!         .layer(QuotaLayer::new(Meters::new(limits), classify))
//!         .layer(TimeoutLayer::new(Duration::from_secs(10)))
//!         .service(service_fn(move |text: &'static str| async move {
//!             if text.len() > 8 { Err(BoxError::from("too long")) } else { Ok(name) }
//!         }))
//! };
//! let service = ServiceBuilder::new()
//!     .layer(FallbackLayer::to(service_fn(|_| async { Ok("a spare") }), classify))
//!     .layer(ContextWindowFallbackLayer::to(service_fn(|_| async { Ok("a larger one") }), classify))
//!     .layer(RetryLayer::new(2u32, classify))
//!     .layer(RateLimitBalanceLayer::new(Strategy::Adaptive, classify))
//!     .service(vec![backend("one of two"), backend("one of two")]);
//! assert_eq!(service.clone().oneshot("short").await?, "one of two");
//! assert_eq!(service.oneshot("longer than that").await?, "a larger one");
//! # Ok::<(), BoxError>(()) }).map_err(|error| error.to_string())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # One alone
//!
//! | wanted | layer |
//! |---|---|
//! | a client that keeps a server's rate limit, and waits | [`QuotaLayer::waiting`](quota::QuotaLayer::waiting) |
//! | a limit that refuses at once, with the time to return | [`QuotaLayer`](quota::QuotaLayer) |
//! | at most so many calls at a time, until the end of their bodies (bulkhead) | [`QuotaLayer`](quota::QuotaLayer) with [`Limits::in_flight`](quota::Limits::in_flight) |
//! | a circuit breaker | [`CooldownLayer`](cooldown::CooldownLayer) |
//! | a load balancer over plain services | [`RateLimitBalanceLayer::services`](balance::RateLimitBalanceLayer::services) |
//! | members that come and go | [`RateLimitBalance::members`](balance::RateLimitBalance::members) |
//! | retries with a budget, on another endpoint | [`RetryLayer`](retry::RetryLayer) over a balancer |
//! | a second service when the first one fails | [`FallbackLayer::to`](fallback::FallbackLayer::to) |
//! | a timeout by request, per attempt | [`TimeoutLayer`](timeout::TimeoutLayer) |
//!
//! For HTTP and gRPC responses, classifiers and a body that reports its end are in the crate `tollgate-http`.
//!
//! # Other crates
//! tower's own layers are compared on the page of each module: its limits wait in `poll_ready` and free a permit at the
//! head of a response, its balancer chooses before there is a request, its retries cannot select an endpoint. Three of these
//! differences, and that `governor` lets twice a limit through in the first minute, are tests (`tests/differences.rs`).
//!
//! tower-http's `TimeoutLayer` responds with a status in place of an error, for servers; for a client use
//! [`TimeoutLayer`](timeout::TimeoutLayer), whose error a retry and a cooldown understand.
//!
//! tower-resilience (read at version 0.9) has a circuit breaker, a bulkhead, a rate limiter, retries and fallbacks as
//! separate patterns. Each boxes its future and wraps the error type once more; its bulkhead frees the permit when the
//! response future resolves; its rate limiter does not read what a server reports; an open breaker refuses, and nothing picks
//! another endpoint. It also has hedging, caches and coalescing, which are not here: they are tower layers too, and
//! combine with these.
//!
//! # Boxed errors in async blocks
//! A stack whose classifier is a closure or a function over `Result<&Res, &BoxError>` cannot be captured by an async block
//! that must be [`Send`], such as a task or an axum handler: the compiler states that the "implementation of `FnOnce` is
//! not general enough", because it does not know within an async block that the `'static` of `dyn Error` is that of the
//! signature.
//!
//! Hide the type: put the stack into tower's `BoxCloneSyncService::new(stack)`, which costs one allocation a call, or
//! return it from a function as `impl Service<Request, Response = .., Error = BoxError, Future: Send> + Clone`. An error
//! type of the application's own, in place of [`BoxError`], needs neither.
//!
//! # Errors
//! A layer keeps the error type of its inner service. [`Elapsed`](timeout::Elapsed), [`Exhausted`](balance::Exhausted) and
//! [`CoolingDown`](cooldown::CoolingDown) are converted to that type by [`From`]: [`BoxError`] implements it, and an application's own error enum can. Below a
//! layer, add `map_err(BoxError::from)` to a service with an error type that has no such conversion, such as axum's
//! routes or hyper's client.
//!
//! A compiler error that only states that a method such as `oneshot` exists, but its trait bounds were not satisfied, hides
//! the reason. Return the service as `impl Service<Request, Response = .., Error = ..>`, or pass it to tower's
//! `BoxCloneSyncService::new`: then the compiler names the trait that is missing, and a remedy.
//!
//! # Features
//! `util`: `ServiceBuilderExt`, a method of tower's `ServiceBuilder` for each layer.
//!
//! `testing`: `testing::Strict`, a service that checks that a layer follows the contract of `tower::Service`.
//!
//! All time is tokio time, so that a test can pause it. The layers need a runtime with an enabled timer.

#[macro_use]
mod macros;

pub mod attempts;
pub mod balance;
#[cfg(feature = "util")]
mod builder;
mod capacity;
mod class;
pub mod classify;
pub mod context_window;
pub mod cooldown;
pub mod endpoint;
pub mod fallback;
pub mod ledger;
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
#[cfg(feature = "util")]
pub use builder::ServiceBuilderExt;
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
