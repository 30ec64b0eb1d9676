//! The bodies of answers, from the wire to the client.
//!
//! ```text
//! connection -> Merge -> UpstreamBody -> Source (+ clocks) -> Events | Plain -> Body -> client
//! ```
//!
//! [`UpstreamBody`] is what an upstream client gives. [`Peek`](crate::deployment::peek::Peek) reads of it as much as it must know before it commits
//! the answer, and makes a [`Body`], the only body type above it: it owns the handles that want to hear the end, how
//! the answer ended, and the one watcher. Nothing wraps it again. [`BodyOutcome`] lets the layers read it.
//!
//! Only where a client or the operator asked for it, a stream that broke goes on with another ([`Onward`]): its parts have
//! handles of their own, and the whole has some too.
//!
//! All is polled: no task, no channel. What a client does not take is not read from the upstream.

mod answer;
pub(crate) mod clocks;
pub(crate) mod events;
mod handle;
pub(crate) mod live;
mod merge;
mod onward;
mod pieces;
pub(crate) mod plain;
mod said;
pub(crate) mod secrets;
pub(crate) mod source;
pub(crate) mod sse;
pub(crate) mod terms;
#[cfg(test)]
mod tests;
mod track;
pub(crate) mod watch;
pub(crate) mod wire;

use std::{future::Future, pin::Pin};

pub use answer::Body;
pub(crate) use clocks::AttemptTimeouts;
pub(crate) use handle::Listener;
#[cfg(test)]
pub(crate) use handle::Listening;
pub(crate) use merge::with_held;
pub(crate) use onward::Onward;
pub(crate) use secrets::Secrets;
pub(crate) use terms::Classifier;
#[cfg(test)]
pub(crate) use tests::testing;
pub(crate) use track::BodyOutcome;
pub(crate) use wire::Connection;
pub use wire::{ScriptStep, UpstreamBody};

use crate::Error;

/// An answer, at every level of the tree; one pointer, and an `http::Response` again at the gateway's border.
///
/// Head and body are 216 bytes, and each future on the way up would move them at least once.
pub(crate) type Response = Box<http::Response<Body>>;

/// An answer on its way.
pub(crate) type BoxResponseFuture = Pin<Box<dyn Future<Output = Result<Response, Error>> + Send>>;
