//! Connections are kept, given back and closed as they should be, without a task of their own.

mod lending;
mod relay;
mod server;
