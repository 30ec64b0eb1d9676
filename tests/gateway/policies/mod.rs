//! Retry, Cooldown, Timeout, Fallback: a configuration, what the upstreams do, a request; then who was called how
//! often, and what the client saw.

mod clocks;
mod cooldown;
mod daily_limits;
mod fallback;
mod fallback_forms;
mod limits;
mod more;
mod operations;
mod random;
mod retry;
mod set_up;
