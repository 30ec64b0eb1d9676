//! Wire formats of requests and responses, and the translation between them.
//!
//! A request arrives in a client's dialect and is sent in the dialect of the deployment that was chosen. Where the two
//! differ, a [`Translator`] reads the client's body as a `Conversation` and writes that in the upstream's dialect, and a
//! [`Translation`] reads the response as `Delta`s and writes those in the client's. N dialects of clients and M of
//! upstreams need N + M halves. A complete response is the fold of its deltas, so that streams and complete responses
//! have one code path.
//!
//! Everything here is pure: no I/O, no clock, no client. `docs/dialects.md` states what becomes of each feature.

mod anthropic;
mod bedrock;
mod chat;
mod client;
mod completions;
mod conversation;
mod delta;
mod features;
mod gemini;
mod json;
mod messages;
mod ollama;
mod openai;
mod openai_responses;
mod read;
mod responses;
mod sent;
#[cfg(test)]
mod tests;
mod translation;
mod write;

pub(crate) use client::ClientDialect;
pub(crate) use completions::PREFIX;
pub(crate) use conversation::Refusal;
pub(crate) use gemini::SIGNATURE;
pub(crate) use responses::{Opened, failed};
pub(crate) use sent::Limits;
pub(crate) use translation::{Translation, Translator};
