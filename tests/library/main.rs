//! The gateway as a library: the whole tree on a paused clock, and the programs of `examples/`.
//!
//! One test program, so that it is linked once. Its tests share nothing.
#![cfg(test)]

pub mod examples;
mod many_deployments;
mod resilience;
mod status;
