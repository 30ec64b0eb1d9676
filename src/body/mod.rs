//! Response bodies, from the upstream's connection to the client.
//!
//! ```text
//! connection -> Coalesce -> UpstreamBody -> Source (+ timeouts) -> Events | Plain -> Body -> client
//! ```
//!
//! [`UpstreamBody`] is the body that the upstream client returns. [`Peek`](crate::deployment::peek::Peek) reads as much
//! of it as it needs before it commits the response, and makes a [`Body`]. [`Body`] is the only body type above Peek:
//! it owns the handles that are notified of the outcome, the outcome, and the decoder. No layer wraps it again. The
//! layers read the outcome through [`BodyOutcome`].
//!
//! A stream that breaks continues with another one ([`Resume`]) only if the client or the operator has configured that.
//! Each part then has handles of its own, and the whole stream has handles too.
//!
//! Everything is polled: no task, no channel. Bytes that the client does not take are not read from the upstream.

mod accounts;
pub(crate) mod active;
mod byte_queue;
mod client_charge;
mod coalesce;
pub(crate) mod codings;
#[cfg(feature = "compression")]
pub(crate) mod decompress;
mod early;
pub(crate) mod events;
mod frames;
mod handle;
pub(crate) mod held_events;
pub(crate) mod issued_ids;
mod memory;
pub(crate) mod opening;
pub(crate) mod plain;
mod recorded;
mod response_body;
mod resume;
pub(crate) mod secrets;
mod segments;
pub(crate) mod source;
pub(crate) mod sse;
#[cfg(test)]
mod tests;
pub(crate) mod timeouts;
mod track;
mod transcript;
mod translated;
pub(crate) mod upstream_body;
pub(crate) mod watch;
pub(crate) mod watch_config;

use std::{future::Future, pin::Pin};

pub(crate) use client_charge::ClientCharge;
pub(crate) use handle::OutcomeCallback;
#[cfg(test)]
pub(crate) use handle::OutcomeFn;
pub use response_body::Body;
pub(crate) use resume::Resume;
pub(crate) use secrets::Secrets;
#[cfg(test)]
pub(crate) use tests::testing;
pub(crate) use timeouts::AttemptTimeouts;
pub(crate) use track::BodyOutcome;
pub use upstream_body::{ScriptStep, UpstreamBody};
pub(crate) use watch_config::Classifier;

use crate::Error;

/// A response, at every level of the tree. A box: one pointer, and again an `http::Response` at the gateway's boundary.
///
/// Head and body are 216 bytes, and each future on the way up would move them at least once.
pub(crate) type Response = Box<http::Response<Body>>;

/// A boxed future of a response.
pub(crate) type BoxResponseFuture = Pin<Box<dyn Future<Output = Result<Response, Error>> + Send>>;
