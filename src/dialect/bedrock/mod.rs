//! Converse of AWS Bedrock, as the dialect of an upstream: [`write`] a request, read a response.
//!
//! Source: the API reference of Bedrock Runtime (`Converse`, `ConverseStream`) and botocore's model of it at version
//! `2023-09-30`. What Converse leaves to a model goes into `additionalModelRequestFields`, in the model's own words: those
//! of Claude are Anthropic's.

mod content;
mod family;
mod request;
mod response;
mod tools;

pub(super) use request::write;
pub(super) use response::{ID_HEADER, Reader};
