//! Tower layers for one job: many unequal, rate-limited, unreliable backends that must look like one good one.
//!
//! Every layer is generic over request, response and error, and can be used alone in any hyper, axum or tonic
//! application. None of them knows HTTP, JSON, or what a model is. What they need to know about an answer they are
//! told by one [`Classify`], as one [`Ending`] in plain numbers.
//!
//! From the outside in, this is the order they are made for:
//!
//! | layer | what it does |
//! |---|---|
//! | [`FallbackLayer`](fallback::FallbackLayer) | asks another service when this one has done all it could |
//! | [`ContextWindowFallbackLayer`](context_window::ContextWindowFallbackLayer) | asks a larger one when the request did not fit |
//! | [`RetryLayer`](retry::RetryLayer) | calls again, so that the balancer picks again |
//! | [`RateLimitBalanceLayer`](balance::RateLimitBalanceLayer) | makes one service of many endpoints |
//! | [`CooldownLayer`](cooldown::CooldownLayer) | benches an endpoint that is ill |
//! | [`QuotaLayer`](quota::QuotaLayer) | keeps an endpoint's rate limits: the innermost [`Endpoint`] |
//! | [`TimeoutLayer`](timeout::TimeoutLayer) | ends an attempt that takes too long |
//!
//! All time is tokio time, so that a test can pause it.

pub mod attempts;
pub mod balance;
pub mod classify;
pub mod clock;
pub mod context_window;
pub mod cooldown;
pub mod ending;
pub mod endpoint;
pub mod fallback;
mod freed;
pub mod quota;
pub mod retry;
mod rolling;
pub mod setting;
mod sync;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod timeout;
pub mod track;

pub use attempts::Attempts;
pub use classify::{Class, Classify};
pub use ending::Ending;
pub use endpoint::{Endpoint, Score, Until};
pub use setting::Setting;
pub use track::{AtHead, Hear, Track};

/// The error type of tower's own middleware.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
