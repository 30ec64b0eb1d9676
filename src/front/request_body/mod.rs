//! Reading a request: once, at the front door, and never again.
//!
//! [`read`] makes a [`RequestInfo`](crate::request::Head) out of a body and its headers. It reads the top level of the JSON
//! strictly and looks into nested values only for what it must know; nothing is turned into a tree of values, and
//! what goes upstream is later cut and spliced out of the very bytes that came in
//! ([`ParsedRequest::payload`](crate::request::Prompt::payload)). [`ReadRequest`] does the same frame by frame while a body comes
//! in, and the frames stay where they are.
//!
//! What is judged here: UTF-8, the grammar, nesting of at most 128, an object at the top with at most 1,024 keys,
//! `model`, the part without which the route makes no sense, and the settings that are meant for the gateway.
//! What a nested value says is the upstream's to judge.
//!
//! One mistake is forgiven, because people type it into curl: a comma before a closing bracket. Such commas are
//! blanked in a copy (a space takes the place of each, so that every offset stays true), the copy is read as
//! strictly as any other body, and the commas join what is cut. So what leaves is valid JSON or nothing leaves.
//!
//! Hazards: of keys that stand twice, those we act on for the gateway (`model`, the overrides) are refused; of the
//! others (`stream`, `max_tokens`) the last counts, as it does for most upstreams, and all are sent on.

mod estimate;
mod fallbacks;
mod layout;
mod overrides;
mod read;
mod reading;
mod scan;
mod service;
mod tolerant;
mod upload;

#[cfg(test)]
mod tests;

#[cfg(test)]
use read::read;
pub(crate) use service::{ReadRequest, Rules};
