//! One upstream with its guards.

pub(crate) mod attribute;
pub(crate) mod instrument;
pub(crate) mod mock;
pub(crate) mod peek;
pub(crate) mod pool;
pub(crate) mod settings;
pub(crate) mod upstream;
