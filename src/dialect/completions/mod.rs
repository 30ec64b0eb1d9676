//! OpenAI's text completions, as the dialect of a client: [`read`] a request, write its response with a [`Writer`].
//!
//! An upstream without text completions is called with a chat, as LiteLLM does: the prompt is the one message of the user,
//! and the text of the response is that of the completion. Source: OpenAI's API reference, "Completions", and the types of
//! its Python package.

mod request;
mod response;

pub(crate) use request::PREFIX;
pub(super) use request::read;
pub(super) use response::Writer;
