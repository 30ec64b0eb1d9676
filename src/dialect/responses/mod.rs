//! OpenAI's Responses, as the dialect of a client: [`read`] a request, write its response with a [`Writer`].
//!
//! Nothing is stored. A client that has no stored response sends its items back, and with them what a vendor needs to
//! see its own thinking again: a reasoning item contains the vendor's signature as its `encrypted_content`. Source:
//! OpenAI's API reference, "Responses" and "Streaming events", and the types of its Python package.

mod echo;
mod events;
mod failed;
mod items;
mod kind;
mod object;
mod parts;
mod request;
mod tools;
mod writer;

pub(super) use echo::Echo;
pub(crate) use failed::{Opened, failed};
pub(super) use request::read;
pub(super) use writer::Writer;

/// The name of the parameter with the items, for refusals.
pub(super) const INPUT: &str = "input";

/// The kind of an `encrypted_content` that is the signature of the item's summary. A colon follows.
const SIGNATURE: &str = "signature";
/// The kind of an `encrypted_content` that is thinking which only its vendor can read. A colon follows.
const REDACTED: &str = "redacted";
