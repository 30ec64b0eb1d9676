//! Connections are kept, given back and closed as they should be, without a task of their own.

mod reuse;
mod server;
mod waker;
