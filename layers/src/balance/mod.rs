//! Many unequal endpoints as one service: [`RateLimitBalanceLayer`].
mod choose;
mod exhausted;
mod future;
mod group;
mod index;
mod loads;
mod queue;
mod reads;
mod room;
mod scan;
mod search;
mod seek;
mod service;
mod speed;
mod strategy;

pub use exhausted::Exhausted;
pub use future::ResponseFuture;
pub use loads::Flight;
pub use reads::{Reads, Settings};
pub use service::{RateLimitBalance, RateLimitBalanceLayer};
pub use strategy::Strategy;
