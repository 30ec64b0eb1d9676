//! The gateway service above the tree: from any HTTP request to one call of a model.
//!
//! In the order of [`stack::gateway`](crate::stack::gateway): the request's id, panics, errors as responses, paths, auth,
//! the answers that need no model, admission, and the collection of the request's body.

pub mod admin;
pub mod admission;
pub mod call_id;
pub mod headers;
pub mod intake;
pub mod paths;
pub mod recover;
pub mod respond;
