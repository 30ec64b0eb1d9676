//! Tests against real servers.

mod differential;
mod service;
mod world;
