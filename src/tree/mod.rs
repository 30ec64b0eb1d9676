//! The router from a model name to its group, and the services and fallback rules above it.

pub(crate) mod fallbacks;
pub(crate) mod max_attempts;
pub(crate) mod midstream;
pub(crate) mod pre_call_checks;
pub(crate) mod router;
pub(crate) mod validate_fallbacks;
