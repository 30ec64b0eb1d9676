//! The services of one deployment: its upstream, connection pool, peek and instrumentation.

pub(crate) mod instrument;
pub(crate) mod mock;
pub(crate) mod peek;
pub(crate) mod pool;
pub(crate) mod record_origin;
pub(crate) mod settings;
pub(crate) mod upstream;
