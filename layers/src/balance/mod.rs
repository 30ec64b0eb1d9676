//! Many unequal endpoints as one service: [`RateLimitBalanceLayer`].
//!
//! It promises all of the capacity that the endpoints were given, and no refusal that could have been foreseen. For
//! each request it asks its [`Endpoint`](crate::Endpoint)s, all or a few, whether they have room, chooses among those that
//! have, takes what the call needs on a clone of the chosen one, and calls that clone. When none has room the request waits for the
//! earliest free slot, if that comes in time; else it is refused at once, and told when to come back.
//!
//! It stands inside `Retry`, so that every attempt picks again, and outside `Cooldown` and [`quota`](crate::quota),
//! whose answers it goes by: it is the line where many become one.
//!
//! # How it differs from tower's `balance`
//! tower's `p2c::Balance` chooses in `poll_ready`, when there is no request yet, among those that are ready: it cannot
//! know what a request costs or what it has tried. This one is always ready and chooses in the future that it returns.
//! A full endpoint is not *unready* but full *until*, so there is a wait with an end, and a refusal with a time in it.
//!
//! # The choice
//! The lowest [order](crate::endpoint::EndpointWeight::order) with room; those that this request has not
//! [tried](crate::Attempts) before those that it has; then the [`Strategy`]. By default that is the least work in
//! flight and given in the last ten seconds, for its weight, heavier where answers are slow or fail. Up to 64 endpoints
//! of an order are all asked; of more, 16 that are drawn, and if none of these will do, all. A benched endpoint is
//! called only when none is well in time, and then at once.
//!
//! # The queue
//! First in, first out, bounded in time and length. A newcomer does not overtake those who wait for any endpoint; nor
//! does a cheap request overtake a dear one, which would else never find enough. Who waits is woken by the clock, by
//! the place of one that leaves, and by an endpoint that has room early (a call ended, a reservation came back) or is
//! well before its bench was over.
//!
//! ```
//! use tollgate_layers::{AtResponse, Class, Outcome, balance::{Exhausted, RateLimitBalanceLayer, Strategy},
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
//! let track = AtResponse(|result: Result<&u64, &Failed>| match result {
//!     Ok(_) => Outcome::new(Class::Success),
//!     Err(Failed) => Outcome::new(Class::Unavailable),
//! });
//! let deployments = [6, 6, 1_440].map(|rpm| {
//!     let limits = Limits { requests: Some(rpm), ..Limits::default() };
//!     let share = EndpointWeight { rpm: Some(rpm as f64), ..EndpointWeight::default() };
//!     QuotaLayer::new(Meters::new(limits), track.clone())
//!         .with_weight(share)
//!         .layer(service_fn(move |_: &str| async move { Ok::<_, Failed>(rpm) }))
//! });
//! let group = ServiceBuilder::new()
//!     .layer(RateLimitBalanceLayer::new(Strategy::Adaptive, track))
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
//! Whoever is chosen is polled ready on a clone, and the request stays with it until it is: one that is not ready for
//! long keeps its requests from the others. Below, readiness should not wait for capacity; a limit belongs to the
//! [meters](crate::quota), which are asked first.
//!
//! The endpoints are shared by all calls. Where the future is to be `Send`, each must be `Sync`: tower's
//! `BoxCloneSyncService` is, `BoxCloneService` is not.
//!
//! Two requests that wait and are not polled hold up those behind them until they expire, as a permit of tokio's
//! semaphore would. A [`TrackOutcome`](crate::TrackOutcome) that takes the head for the end lets a streamed answer weigh nothing
//! while it streams.

mod acquire;
mod exhausted;
mod forecast;
mod future;
mod latency;
mod load;
mod picker;
mod queue;
mod service;
mod strategy;
#[cfg(test)]
mod tests;

pub use exhausted::Exhausted;
pub use future::ResponseFuture;
pub use load::InFlight;
pub use service::{RateLimitBalance, RateLimitBalanceLayer, RequestReader, RequestSettings};
pub use strategy::Strategy;
