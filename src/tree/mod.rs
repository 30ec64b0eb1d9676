//! From a request to the groups that may answer it: the router, and the services and policies round it.

pub mod fallbacks;
pub mod known;
pub mod midstream;
pub mod router;
