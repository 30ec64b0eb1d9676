//! One upstream with its guards.

pub mod instrument;
pub mod mock;
pub mod peek;
pub mod pool;
pub mod upstream;
