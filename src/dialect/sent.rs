//! The values that the translators of all upstreams share: [`Limits`], [`Sent`], [`NotTranslated`].

/// The settings of a deployment for its requests.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits {
    /// The output of a request that sets no limit, in tokens, for an API that requires one.
    pub max_tokens: Option<u64>,
    /// True if parameters that cannot be translated are dropped.
    pub drop: bool,
    /// True if the limit of the output is `max_completion_tokens` for every model, in OpenAI's dialect.
    pub newer_limit: bool,
}

/// A request as it is sent.
#[derive(Debug)]
pub(crate) struct Sent {
    pub body: Vec<u8>,
    /// The features to request in Anthropic's `anthropic-beta` header.
    pub betas: Vec<&'static str>,
    /// The model and what follows it in the path, for an API that has both there: `:generateContent`, `/converse`.
    pub method: Option<(String, &'static str)>,
}

/// The error of data that is no event or response: an error object, or what is not from this API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotTranslated;
