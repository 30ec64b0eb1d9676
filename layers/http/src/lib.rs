//! HTTP for `tollgate_layers`: parsers of the header fields in which servers state their limits.

pub mod rate_limit;
mod retry_after;
#[cfg(test)]
mod testing;
pub mod times;

pub use self::{rate_limit::RateLimits, retry_after::retry_after};
