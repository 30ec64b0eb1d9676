//! The layers outside the tree: they turn an HTTP request into one call of a model.
//!
//! In the order of [`stack::gateway`](crate::stack::gateway): call id, panics, routing by path, error responses, auth, the
//! model list and the metrics, admission control, the reading of the request's body, and the limits of client keys.

pub(crate) mod admin;
pub(crate) mod admission;
pub(crate) mod auth;
pub(crate) mod call_id;
pub(crate) mod catch_panic;
pub(crate) mod client_limits;
pub(crate) mod handle_error;
pub(crate) mod headers;
mod health_checks;
mod model_list;
mod operations;
pub(crate) mod paths;
pub(crate) mod rejections;
pub(crate) mod request_body;
#[cfg(test)]
mod tests;
mod timing;
