//! OpenAI's chat completions, as the dialect of an upstream: [`write`] a request, read a response.
//!
//! Source: OpenAI's API reference and its Python package (`types/chat/`); the fields for reasoning are those of the servers
//! that have them (`reasoning_content` at DeepSeek and vLLM, `reasoning` at OpenRouter and Groq).

mod messages;
mod request;
mod response;

pub(super) use messages::{Audio, arguments_of, file_name, joined, url};
pub(super) use request::{Schema, effort_of, short_user, write};
pub(super) use response::{InputDetails, OutputDetails, Reader, usage};
