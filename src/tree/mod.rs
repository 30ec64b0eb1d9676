//! From a request to the groups that may answer it: the router, and the services and policies round it.

pub(crate) mod fallbacks;
pub(crate) mod known;
pub(crate) mod max_attempts;
pub(crate) mod midstream;
pub(crate) mod router;
