//! The bodies of answers, from the wire to the client.
//!
//! ```text
//! connection -> Coalesce -> UpstreamBody -> Source (+ timeouts) -> Events | Plain -> Body -> client
//! ```
//!
//! [`UpstreamBody`] is what an upstream client gives. [`Peek`](crate::deployment::peek::Peek) reads of it as much as it must know before it commits
//! the answer, and makes a [`Body`], the only body type above it: it owns the handles that want to hear the end, how
//! the answer ended, and the one watcher. Nothing wraps it again. [`BodyOutcome`] lets the layers read it.
//!
//! Only where a client or the operator asked for it, a stream that broke goes on with another ([`Resume`]): its parts have
//! handles of their own, and the whole has some too.
//!
//! All is polled: no task, no channel. What a client does not take is not read from the upstream.

pub(crate) mod active;
mod byte_queue;
mod coalesce;
pub(crate) mod events;
mod handle;
pub(crate) mod plain;
mod response_body;
mod resume;
pub(crate) mod secrets;
pub(crate) mod source;
pub(crate) mod sse;
#[cfg(test)]
mod tests;
pub(crate) mod timeouts;
mod track;
mod transcript;
pub(crate) mod upstream_body;
pub(crate) mod watch;
pub(crate) mod watch_config;

use std::{future::Future, pin::Pin};

pub(crate) use coalesce::with_held;
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

/// An answer, at every level of the tree; one pointer, and an `http::Response` again at the gateway's border.
///
/// Head and body are 216 bytes, and each future on the way up would move them at least once.
pub(crate) type Response = Box<http::Response<Body>>;

/// An answer on its way.
pub(crate) type BoxResponseFuture = Pin<Box<dyn Future<Output = Result<Response, Error>> + Send>>;
