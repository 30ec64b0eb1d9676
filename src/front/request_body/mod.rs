//! The service that reads a request's body once: from [`AdmittedCall`](super::admission::AdmittedCall) to
//! [`ParsedRequest`](crate::request::ParsedRequest).
//!
//! [`read`](read::read) makes a [`RequestInfo`](crate::request::RequestInfo) out of a body and its headers. It reads the
//! top level of the JSON strictly and looks into nested values only where the gateway needs them; it builds no tree of
//! values. The body for an upstream is later spliced out of the original bytes
//! ([`ParsedRequest::payload`](crate::request::ParsedRequest::payload)). [`ReadRequest`] reads frame by frame while the
//! body arrives, and does not copy large frames.
//!
//! The gateway validates: UTF-8, the grammar, nesting of at most 128, an object at the top with at most 1,024 keys,
//! `model`, the parameter that the operation requires, and the settings for the gateway. The upstream validates nested
//! values.
//!
//! A comma before a closing bracket is accepted, because that mistake is common in hand-written JSON. Such commas are
//! replaced by spaces in a copy, so that every offset stays valid; the copy is read as strictly as any other body, and
//! the commas are cut out of the upstream's body. An upstream therefore receives valid JSON or nothing.
//!
//! A compressed body is decompressed while it arrives; all limits but that of its speed count decompressed bytes.
//!
//! Hazards: a duplicate of a key that the gateway acts by (`model`, the overrides) is an error. Of duplicates of other
//! keys (`stream`, `max_tokens`) the last counts, as with most upstreams, and all are sent.

mod decode;
mod early;
mod estimate;
mod fallbacks;
mod form;
mod layout;
mod memory;
mod messages;
mod metadata;
mod overrides;
mod own;
mod passed;
mod read;
mod reading;
mod responses;
mod scan;
mod service;
mod stored;
mod stream_default;
mod tolerant;
mod upload;

#[cfg(test)]
mod tests;

pub(crate) use own::own_request;
#[cfg(test)]
use read::read;
pub(crate) use service::ReadRequest;
