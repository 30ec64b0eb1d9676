//! Tests against real servers.

mod differential;
mod service;
mod totals;
mod world;
