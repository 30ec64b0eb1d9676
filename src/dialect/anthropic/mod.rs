//! Anthropic's Messages, as the dialect of an upstream: [`write`] a request, read a response.
//!
//! Source: Anthropic's API reference and its Python package (`types/`), at version `2023-06-01` of the API; the
//! differences between models are those of LiteLLM 1.110's table of models.

mod blocks;
mod calls;
mod events;
mod format;
mod generation;
mod names;
mod request;
mod schema;
mod thinking;
mod tools;

pub(super) use blocks::Message;
pub(super) use calls::{CallHints, Calls};
pub(super) use events::Reader;
pub(super) use format::Format;
pub(super) use generation::Generation;
pub(super) use names::{Names, identifier};
pub(super) use request::{Host, sampling, stop, temperature, write};
pub(super) use thinking::{Thinking, effort};
pub(super) use tools::{WrittenTool, choice, tools};
