//! The bodies of answers, from the wire to the client.
//!
//! ```text
//! connection -> Merge -> Wire -> Source (+ clocks) -> Events | Plain -> Body -> client
//! ```
//!
//! [`Wire`] is what an upstream client gives. [`Peek`](crate::deployment::peek::Peek) reads of it as much as it must know before it commits
//! the answer, and makes a [`Body`], the only body type above it: it owns the handles that want to hear the end, how
//! the answer ended, and the one watcher. Nothing wraps it again. [`Answer`] lets the layers read it.
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
pub mod payload;
mod pieces;
pub(crate) mod plain;
mod said;
pub(crate) mod secrets;
pub(crate) mod source;
pub mod sse;
pub(crate) mod terms;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod track;
pub mod watch;
pub(crate) mod wire;

pub use answer::Body;
pub use clocks::Clocks;
pub use handle::{Handle, Listener, Listening};
pub use merge::Merge;
pub(crate) use merge::with_held;
pub use onward::Onward;
pub use payload::Payload;
pub use secrets::Secrets;
pub use terms::Judge;
pub use track::Answer;
pub use wire::{Canned, Step, Wire};
