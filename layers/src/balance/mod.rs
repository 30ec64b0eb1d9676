//! A load balancer over rate-limited endpoints: [`RateLimitBalanceLayer`].
//!
//! The balancer uses all configured capacity of its endpoints, and avoids every refusal that can be foreseen. For each
//! request it queries the capacity of its [`Endpoint`](crate::Endpoint)s, all or a sample, chooses among those with
//! capacity, reserves on a clone of the chosen endpoint, and calls that clone. If no endpoint has capacity, the request
//! waits for the earliest free slot if that comes in time. Otherwise it is refused at once, with a time for the next
//! attempt.
//!
//! The layer belongs inside `Retry`, so that every attempt picks again, and outside `Cooldown` and
//! [`quota`](crate::quota), which report health and capacity to it.
//!
//! Plain services, which have no limits of their own, are balanced by [`RateLimitBalanceLayer::services`].
//!
//! # How it differs from tower's `balance`
//! tower's `p2c::Balance` chooses among the ready services in `poll_ready`, before there is a request: it cannot consider
//! the cost of a request or its earlier attempts. This balancer is always ready, and chooses in the future that it returns.
//! A full endpoint reports the time at which it has capacity again, so that waits are bounded, and refusals contain a time.
//!
//! # The choice
//! The lowest [order](crate::endpoint::EndpointWeight::order) with capacity comes first; then endpoints that this request
//! has not [tried](crate::Attempts); then the [`Strategy`]. The default strategy prefers the least work in flight and in the
//! last ten seconds, relative to the weight, with a penalty for slow or failed responses. Up to 64 endpoints of an order
//! are all queried; of more, a random sample of up to 16, and all only if none of the sample can be called. An endpoint that is
//! cooling down is called only if no healthy endpoint has capacity in time, and then at once.
//!
//! # The queue
//! The queue is first in, first out, and bounded in time and length. A new request does not overtake waiting requests that
//! accept any endpoint. A cheap request does not overtake an expensive one, which would otherwise starve. A waiting request
//! is woken by a timer, when a request in front of it leaves the queue, and when an endpoint has capacity early (a call
//! ended, a reservation was released) or is healthy before the end of its cooldown.
//!
//! ```
//! use tollgate_layers::{Class, Outcome, balance::{Exhausted, RateLimitBalanceLayer, Strategy},
//!     endpoint::EndpointWeight, quota::{Limits, Meters, QuotaLayer}};
//! use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};
//!
//! #[derive(Debug)]
//! struct Failed;
//!
//! impl From<Exhausted> for Failed {
//!     fn from(_: Exhausted) -> Self {
//!         Self
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let classify = |result: Result<&u64, &Failed>| match result {
//!     Ok(_) => Outcome::new(Class::Success),
//!     Err(Failed) => Outcome::new(Class::Unavailable),
//! };
//! let deployments = [6, 6, 1_440].map(|rpm| {
//!     let limits = Limits { requests: Some(rpm), ..Limits::default() };
//!     let share = EndpointWeight { rpm: Some(rpm as f64), ..EndpointWeight::default() };
//!     QuotaLayer::new(Meters::new(limits), classify)
//!         .with_weight(share)
//!         .layer(service_fn(move |_: &str| async move { Ok::<_, Failed>(rpm) }))
//! });
//! let group = ServiceBuilder::new()
//!     .layer(RateLimitBalanceLayer::new(Strategy::Adaptive, classify))
//!     .service(Vec::from(deployments));
//!
//! let mut large = 0;
//! for _ in 0..100 {
//!     large += u32::from(group.clone().oneshot("Good morning").await.is_ok_and(|rpm| rpm == 1_440));
//! }
//! assert!(large >= 88);
//! # }
//! ```
//!
//! # Hazards
//! The chosen clone is polled ready, and the request stays with it until then: an endpoint that is not ready for a long
//! time delays its requests, although others could serve them. Readiness should therefore not depend on capacity. Put
//! limits into the [meters](crate::quota), which are checked before the choice.
//!
//! All calls share the endpoints. For the future to be `Send`, an endpoint must be `Sync`: tower's `BoxCloneSyncService`
//! is `Sync`, `BoxCloneService` is not.
//!
//! Waiting requests that are not polled delay the requests behind them until they expire, as with tokio's semaphore. With a
//! [`TrackOutcome`](crate::TrackOutcome) that completes at the response head, a streamed response does not count as load
//! while it streams.

mod acquire;
mod exhausted;
mod forecast;
mod future;
mod group;
mod latency;
mod load;
mod members;
mod picker;
mod queue;
mod service;
mod strategy;
#[cfg(test)]
mod tests;

pub use exhausted::Exhausted;
pub use future::ResponseFuture;
pub use load::InFlight;
pub use members::Members;
pub use queue::QueueListener;
pub use service::{RateLimitBalance, RateLimitBalanceLayer, RequestReader, RequestSettings};
pub use strategy::Strategy;
