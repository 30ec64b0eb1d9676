//! What travels through the tree: [`Request`] downwards, [`Response`] upwards, and what one request carries.

mod frames;
mod keys;
mod map_outcome;
mod payload;
mod splice;
mod trail;

use std::{
    ops::{Deref, Range},
    sync::Arc,
    time::Duration,
};

pub(crate) use frames::Frames;
pub(crate) use keys::Keys;
pub(crate) use map_outcome::{Begin, MapOutcome, Outcome};
pub use payload::Payload;
pub(crate) use trail::Trail;
pub(crate) use trail::{attempts, deadline, whole};

pub(crate) use crate::body::Response;
use crate::config::{FallbackTarget, Fallbacks, Midstream};

/// A request below Intake: one pointer, so that every layer may move it, and keep a clone for a retry or a fallback.
///
/// An `http::Request` round the prompt would bring along a method, a URL and an empty header map that nobody below
/// Intake asks for: 224 bytes more to move at each of a dozen layers.
#[derive(Clone, Debug)]
pub(crate) struct Request(Arc<Prompt>);

impl Request {
    /// The prompt, to be changed; other clones keep what they have.
    pub(crate) fn change(&mut self) -> &mut Prompt {
        Arc::make_mut(&mut self.0)
    }
}

impl From<Prompt> for Request {
    fn from(prompt: Prompt) -> Self {
        Self(Arc::new(prompt))
    }
}

impl Deref for Request {
    type Target = Prompt;

    fn deref(&self) -> &Prompt {
        &self.0
    }
}

/// A request's body, whole, and what was read out of it once.
#[derive(Clone, Debug)]
pub(crate) struct Prompt {
    /// The body as the client sent it, in the frames that it came in.
    pub bytes: Frames,
    /// What it says.
    pub head: Arc<Head>,
    /// What this request has tried so far.
    pub trail: Arc<Trail>,
    /// What becomes of its stream if that breaks.
    pub midstream: Midstream,
    /// What a fallback asks for instead.
    pub instead: Option<Arc<FallbackTarget>>,
    /// What was said before the stream of another deployment broke off: the last message, to be gone on with.
    pub prefix: Option<Arc<str>>,
}

impl Prompt {
    /// A prompt as the client sent it.
    pub(crate) const fn new(bytes: Frames, head: Arc<Head>, trail: Arc<Trail>) -> Self {
        Self { bytes, head, trail, midstream: Midstream::Off, instead: None, prefix: None }
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
pub(crate) struct Head {
    /// Which endpoint was called.
    pub route: Route,
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
pub enum Route {
    /// `/chat/completions`.
    Chat,
    /// `/completions`.
    Completions,
    /// `/embeddings`.
    Embeddings,
}

impl Route {
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
    pub keys: Keys,
    /// Where the closing brace of the top level stands: what is added goes before it.
    pub close: usize,
}
