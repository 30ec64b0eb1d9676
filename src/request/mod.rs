//! The request and response types of the tree: [`Request`], [`Response`] and the parts of a request.

mod around_call;
mod client;
mod context;
mod form;
mod frames;
mod keys;
mod parameters;
mod signatures;
mod splice;
mod spliced_body;
mod stored;
mod tags;

use std::{
    ops::{Deref, Range},
    sync::Arc,
    time::Duration,
};

use http::HeaderMap;

pub(crate) use around_call::{AroundCall, BeginCall, EndCall};
pub(crate) use client::{Client, GroupNames};
pub(crate) use context::RequestContext;
pub(crate) use context::{attempts, deadline, whole};
pub(crate) use form::Form;
pub(crate) use frames::BodyFrames;
pub(crate) use keys::TopLevelKeys;
pub(crate) use parameters::renamed;
pub use spliced_body::SplicedBody;
pub(crate) use stored::{PREVIOUS, StoredResponse};
pub(crate) use tags::RequestTags;

pub(crate) use crate::body::Response;
use crate::config::{FallbackTarget, Fallbacks, Midstream};
pub use crate::operation::Operation;

/// The request type of the tree: one pointer, cheap to move and to clone for a retry or a fallback.
///
/// An `http::Request<ParsedRequest>` would add a method, a URL and an empty header map that no layer of the tree reads:
/// 224 more bytes to move at each of a dozen layers.
#[derive(Clone, Debug)]
pub(crate) struct Request(Arc<ParsedRequest>);

impl Request {
    /// Returns the parsed request for a change. Other clones of the request do not change.
    pub(crate) fn change(&mut self) -> &mut ParsedRequest {
        Arc::make_mut(&mut self.0)
    }
}

impl From<ParsedRequest> for Request {
    fn from(request: ParsedRequest) -> Self {
        Self(Arc::new(request))
    }
}

impl Deref for Request {
    type Target = ParsedRequest;

    fn deref(&self) -> &ParsedRequest {
        &self.0
    }
}

/// A request's whole body, and the info that was parsed from it once.
#[derive(Clone, Debug)]
pub(crate) struct ParsedRequest {
    /// The body as the client sent it, in the frames in which it arrived.
    pub bytes: BodyFrames,
    /// The info parsed from the body and the headers.
    pub info: Arc<RequestInfo>,
    /// The state that all attempts of the request share.
    pub context: Arc<RequestContext>,
    /// The handling of a stream that breaks.
    pub midstream: Midstream,
    /// The fallback that replaces the client's model, or `None` in the first group.
    pub fallback: Option<Arc<FallbackTarget>>,
    /// The text of a broken stream. It is sent as the last message, which the model continues, or at the end of a prompt.
    pub prefix: Option<Arc<str>>,
    /// True for a text completion that becomes a chat: the prefix is sent beside the prompt, for a message of its own.
    pub prefix_apart: bool,
}

impl ParsedRequest {
    /// Returns a request as the client sent it.
    pub(crate) const fn new(bytes: BodyFrames, info: Arc<RequestInfo>, context: Arc<RequestContext>) -> Self {
        Self {
            bytes,
            info,
            context,
            midstream: Midstream::Off,
            fallback: None,
            prefix: None,
            prefix_apart: false,
        }
    }

    /// Returns the group that is called: the model of the fallback, or the client's `model`.
    pub(crate) fn group(&self) -> &Arc<str> {
        self.fallback.as_ref().map_or(&self.info.model, |fallback| &fallback.model)
    }

    /// Returns the parameters that the fallback or the stored response replaces in the body: names, and values as JSON text.
    /// A request has one of them at most.
    pub(crate) fn replaced(&self) -> &[(Arc<str>, Arc<str>)] {
        match (&self.fallback, &self.info.stored) {
            (Some(fallback), _) => &fallback.parameters,
            (None, Some(stored)) => &stored.parameters,
            (None, None) => &[],
        }
    }
}

/// The info that was parsed from the body and the headers of a request.
#[derive(Clone, Debug)]
pub(crate) struct RequestInfo {
    /// The operation that was called.
    pub operation: Operation,
    /// The client's `model`.
    pub model: Arc<str>,
    /// `stream`.
    pub stream: bool,
    /// True if the group is streamed by default: the body does not contain `stream`.
    pub streams_by_default: bool,
    /// `stream_options.include_usage`, if the request contains it.
    pub include_usage: Option<bool>,
    /// The settings that came with the request.
    pub overrides: Overrides,
    /// The byte ranges of the body, for the upstream's body.
    pub layout: Layout,
    /// True for a list of prompts, which are independent of each other.
    pub batch: bool,
    /// True if the request must not be sent again, because its response is stored.
    pub once: bool,
    /// The number of choices that a stream will have; `None` if it is unknown, or if no stream was requested.
    pub choices: Option<u32>,
    /// The estimated input tokens: bytes / 4 without data URIs, and a constant for each image.
    pub prompt_tokens: u64,
    /// The parts that only a request in Anthropic's dialect has.
    pub messages: Option<Box<MessagesInfo>>,
    /// The frame of a body in `multipart/form-data`; `None` for JSON.
    pub form: Option<Box<Form>>,
    /// The stored response that the request names. Boxed, because it is rare.
    pub stored: Option<Box<StoredResponse>>,
    /// The larger of `max_tokens` and `max_completion_tokens`, times `n`; zero for embeddings, `None` if neither is set.
    pub output_tokens: Option<u64>,
}

impl RequestInfo {
    /// Returns true if another model can continue a stream that breaks: that of a chat, and of a text completion whose response
    /// is the text behind one prompt.
    pub(crate) fn may_continue(&self) -> bool {
        let has = |name| self.layout.keys.last(name).is_some();
        match self.operation {
            Operation::Chat => true,
            Operation::Completions => !self.batch && !has("echo") && !has("suffix"),
            _ => false,
        }
    }

    /// Returns the info of an operation that is never translated, without content. Its output is not text of a model: no
    /// output tokens are reserved. Images and audio reserve no input tokens either, whatever the size of their files is.
    pub(crate) fn passed(operation: Operation, model: Arc<str>) -> Self {
        Self {
            operation,
            model,
            stream: false,
            streams_by_default: false,
            // There is nothing to request it by.
            include_usage: Some(true),
            overrides: Overrides::default(),
            layout: Layout::default(),
            batch: true,
            once: false,
            choices: None,
            prompt_tokens: 0,
            messages: None,
            form: None,
            stored: None,
            output_tokens: Some(0),
        }
    }
}

/// The parts that only a request in Anthropic's dialect has.
#[derive(Clone, Debug)]
pub(crate) struct MessagesInfo {
    /// The client's `anthropic-version` and `anthropic-beta`, for an upstream of Anthropic's.
    pub headers: HeaderMap,
    /// The estimated input tokens of a request that counts them.
    pub input_tokens: u64,
}

/// Settings that the client sent in the body or in headers. They are not sent upstream.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Overrides {
    /// `num_retries`, `x-litellm-num-retries`.
    pub num_retries: Option<u32>,
    /// `timeout`, `request_timeout`, `x-litellm-timeout`.
    pub timeout: Option<Duration>,
    /// `stream_timeout`, `x-litellm-stream-timeout`.
    pub stream_timeout: Option<Duration>,
    /// `fallbacks`.
    pub fallbacks: Option<Fallbacks>,
    /// `context_window_fallbacks`; `Some(None)` is an explicit null, which switches the configured list off.
    pub context_window_fallbacks: Option<Option<Fallbacks>>,
    /// `content_policy_fallbacks`; `Some(None)` is an explicit null, which switches the configured list off.
    pub content_policy_fallbacks: Option<Option<Fallbacks>>,
    /// `disable_fallbacks`.
    pub disable_fallbacks: bool,
    /// `max_fallbacks`.
    pub max_fallbacks: Option<u32>,
    /// `midstream_fallback`, `x-tollgate-midstream`.
    pub midstream: Option<Midstream>,
    /// `allowed_model_region`.
    pub allowed_model_region: Option<Arc<str>>,
    /// `tags`, `metadata.tags`, `x-litellm-tags`. Boxed, because they are rare.
    pub tags: Option<Box<RequestTags>>,
}

impl Overrides {
    /// Returns the number of bytes of the parameters of fallbacks, which are copies of parts of the body.
    pub(crate) fn fallback_bytes(&self) -> usize {
        self.fallback_parameters().map(|(name, value)| name.len() + value.len()).sum()
    }

    /// Returns the parameters of all fallbacks of the request: names, and values as JSON text.
    pub(crate) fn fallback_parameters(&self) -> impl Iterator<Item = &(Arc<str>, Arc<str>)> {
        let others = [&self.context_window_fallbacks, &self.content_policy_fallbacks];
        let lists = others.into_iter().flatten().chain([&self.fallbacks]).flatten();
        lists.flat_map(Fallbacks::targets).flat_map(|target| &target.parameters)
    }
}

/// Byte ranges of a request's body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    /// The ranges that are not sent upstream (overrides and other keys of LiteLLM with one comma each, trailing commas),
    /// in order and disjoint.
    pub cuts: Vec<Range<usize>>,
    /// The value of `model`, quotes included. Empty, and at the opening brace, if only the path names the model.
    pub model: Range<usize>,
    /// The keys that are sent upstream.
    pub keys: TopLevelKeys,
    /// The offset of the closing brace of the top level. Parameters are added before it.
    pub close: usize,
}
