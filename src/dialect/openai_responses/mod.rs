//! OpenAI's Responses, as the dialect of an upstream: [`write`] a request, read a response.
//!
//! A server of this dialect may have no chat completions for a model, as OpenAI has none for some. A translated response is
//! not stored unless the client requests it. Source: OpenAI's API reference, "Responses" and "Streaming events", and its Python
//! package (`types/responses/`).

mod input;
mod request;
mod response;

pub(super) use request::write;
pub(super) use response::Reader;
