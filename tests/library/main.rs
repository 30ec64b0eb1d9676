//! The gateway as a library: configuration, the whole tree on a paused clock, simulations, and the programs of `examples/`.
//!
//! One test program, so that it is linked once. Its tests share nothing.
#![cfg(test)]

mod config;
pub mod examples;
mod resilience;
mod simulate;
