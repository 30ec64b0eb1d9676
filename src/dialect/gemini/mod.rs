//! Google's Gemini API (`generateContent`), as the dialect of an upstream: [`write`] a request, read a response.
//!
//! Source: the API's reference for `v1beta`, and its discovery document. Schemas are sent as JSON Schema
//! (`parametersJsonSchema`, `responseJsonSchema`), which models have accepted since 2.0.
//!
//! Gemini 3 requires the signature of its thinking back with each call of a tool. A client of chat completions keeps the id
//! of a call, so the signature is a part of the id, as LiteLLM has it: `call_x__thought__SIGNATURE`.

mod contents;
mod generation;
mod request;
mod response;

pub(super) use request::write;
pub(super) use response::Reader;

/// The text between the id of a call and the signature of the thinking before it.
pub(crate) const SIGNATURE: &str = "__thought__";
