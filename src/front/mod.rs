//! The gateway service above the tree: from any HTTP request to one call of a model.
//!
//! In the order of [`stack::gateway`](crate::stack::gateway): the request's id, panics, errors as responses, paths, auth,
//! the answers that need no model, admission, and the collection of the request's body.

pub(crate) mod admin;
pub(crate) mod admission;
pub(crate) mod auth;
pub(crate) mod call_id;
pub(crate) mod catch_panic;
pub(crate) mod handle_error;
pub(crate) mod headers;
pub(crate) mod paths;
pub(crate) mod request_body;
#[cfg(test)]
mod tests;
