//! Tests of the connection pool, over in-memory connections: reuse, expiry, and the wake-ups of a connection.

mod reuse;
mod server;
mod waker;
