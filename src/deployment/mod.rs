//! The services of one deployment: its upstream, connection pool, peek, and the recording of attempts.

pub(crate) mod mock;
pub(crate) mod peek;
pub(crate) mod pool;
pub(crate) mod record_attempt;
pub(crate) mod settings;
pub(crate) mod upstream;
