//! Ollama's own API (`/api/chat`), as the dialect of an upstream: [`write`] a request, read a response.
//!
//! Its part for OpenAI's clients has no `num_ctx`, `keep_alive` and other options, without which a prompt is cut to the
//! context of the model's file. Source: Ollama's `docs/api.md`.

mod request;
mod response;

pub(super) use request::write;
pub(super) use response::Reader;
