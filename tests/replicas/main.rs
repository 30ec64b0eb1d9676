//! Gateways that share limits through a real server: the binary, one process for each replica, in front of an upstream
//! that counts. One test runs on Redis, the next on Valkey.
//!
//! The load of these tests is open: calls begin at their times, whatever became of those before. It is so low that the
//! machine is not a limit.
#![cfg(test)]

mod alone;
mod events;
mod faults;
mod keys;
mod limits;
mod scene;
#[expect(dead_code, reason = "the support of the tests of a single gateway")]
#[path = "../gateway/support/mod.rs"]
mod support;
