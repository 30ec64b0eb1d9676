//! What travels through the tree: [`Request`] downwards, [`Response`] upwards, and what one request carries.

mod around_call;
mod context;
mod frames;
mod keys;
mod payload;
mod splice;

use std::{
    ops::{Deref, Range},
    sync::Arc,
    time::Duration,
};

pub(crate) use around_call::{AroundCall, BeginCall, EndCall};
pub(crate) use context::RequestContext;
pub(crate) use context::{attempts, deadline, whole};
pub(crate) use frames::BodyFrames;
pub(crate) use keys::TopLevelKeys;
pub use payload::SplicedBody;

pub(crate) use crate::body::Response;
use crate::config::{FallbackTarget, Fallbacks, Midstream};

/// A request below Intake: one pointer, so that every layer may move it, and keep a clone for a retry or a fallback.
///
/// An `http::Request` round the prompt would bring along a method, a URL and an empty header map that nobody below
/// Intake asks for: 224 bytes more to move at each of a dozen layers.
#[derive(Clone, Debug)]
pub(crate) struct Request(Arc<ParsedRequest>);

impl Request {
    /// The prompt, to be changed; other clones keep what they have.
    pub(crate) fn change(&mut self) -> &mut ParsedRequest {
        Arc::make_mut(&mut self.0)
    }
}

impl From<ParsedRequest> for Request {
    fn from(prompt: ParsedRequest) -> Self {
        Self(Arc::new(prompt))
    }
}

impl Deref for Request {
    type Target = ParsedRequest;

    fn deref(&self) -> &ParsedRequest {
        &self.0
    }
}

/// A request's body, whole, and what was read out of it once.
#[derive(Clone, Debug)]
pub(crate) struct ParsedRequest {
    /// The body as the client sent it, in the frames that it came in.
    pub bytes: BodyFrames,
    /// What it says.
    pub head: Arc<RequestInfo>,
    /// What this request has tried so far.
    pub context: Arc<RequestContext>,
    /// What becomes of its stream if that breaks.
    pub midstream: Midstream,
    /// What a fallback asks for instead.
    pub instead: Option<Arc<FallbackTarget>>,
    /// What was said before the stream of another deployment broke off: the last message, to be gone on with.
    pub prefix: Option<Arc<str>>,
}

impl ParsedRequest {
    /// A prompt as the client sent it.
    pub(crate) const fn new(bytes: BodyFrames, head: Arc<RequestInfo>, context: Arc<RequestContext>) -> Self {
        Self { bytes, head, context, midstream: Midstream::Off, instead: None, prefix: None }
    }

    /// The group that is asked: the client's own `model`, or where a fallback led.
    pub(crate) fn group(&self) -> &Arc<str> {
        self.instead.as_ref().map_or(&self.head.model, |instead| &instead.model)
    }

    /// What a fallback `{"model": .., overrides}` replaces in the body: name, and value as JSON text.
    pub(crate) fn replaced(&self) -> &[(Arc<str>, Arc<str>)] {
        self.instead.as_ref().map_or(&[], |instead| &instead.parameters)
    }
}

/// What Intake read out of the body and the headers.
#[derive(Clone, Debug)]
pub(crate) struct RequestInfo {
    /// Which endpoint was called.
    pub operation: Operation,
    /// The `model` that the client asked for.
    pub model: Arc<str>,
    /// `stream`.
    pub stream: bool,
    /// `stream_options.include_usage`, if the request says so.
    pub include_usage: Option<bool>,
    /// The settings that came with the request.
    pub overrides: Overrides,
    /// Where things stand in the body, for the splice.
    pub layout: Layout,
    /// An estimate of the tokens of all text in it: bytes / 4, data URIs left out, images flat.
    pub prompt_tokens: u64,
    /// The larger of `max_tokens` and `max_completion_tokens`, times `n`; zero for embeddings, none where nothing is said.
    pub output_tokens: Option<u64>,
}

/// The endpoints that are passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// `/chat/completions`.
    Chat,
    /// `/completions`.
    Completions,
    /// `/embeddings`.
    Embeddings,
}

impl Operation {
    /// The path behind an OpenAI-style base.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Chat => "/chat/completions",
            Self::Completions => "/completions",
            Self::Embeddings => "/embeddings",
        }
    }
}

/// Settings sent by the client, in the body or in headers. They are cut out of what goes upstream.
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
    /// `content_policy_fallbacks`, likewise.
    pub content_policy_fallbacks: Option<Option<Fallbacks>>,
    /// `disable_fallbacks`.
    pub disable_fallbacks: bool,
    /// `max_fallbacks`.
    pub max_fallbacks: Option<u32>,
    /// `midstream_fallback`, `x-tollgate-midstream`.
    pub midstream: Option<Midstream>,
}

/// Where things stand in a request's body: byte ranges of the original.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    /// What is cut out of what goes upstream (overrides and other keys of LiteLLM's own with one comma each,
    /// trailing commas), in order, disjoint.
    pub cuts: Vec<Range<usize>>,
    /// The value of `model`, quotes included.
    pub model: Range<usize>,
    /// What stays.
    pub keys: TopLevelKeys,
    /// Where the closing brace of the top level stands: what is added goes before it.
    pub close: usize,
}
