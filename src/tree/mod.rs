//! From a request to the groups that may answer it: the router, and the services and policies round it.

pub(crate) mod fallbacks;
pub(crate) mod max_attempts;
pub(crate) mod midstream;
pub(crate) mod router;
pub(crate) mod validate_fallbacks;
