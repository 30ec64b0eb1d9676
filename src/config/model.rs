//! The resolved configuration: what the tree is built from.

use std::{
    collections::BTreeMap,
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use http::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

use super::{Pattern, Vendor};

/// A whole configuration, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The groups, in the order in which the file first names them. Never empty.
    pub groups: Vec<Group>,
    /// Other names for groups.
    pub aliases: Vec<Alias>,
    /// What holds for all groups. The default is what holds when the file says nothing.
    pub settings: Settings,
    /// The key that clients must present; none means that anybody may call.
    pub master_key: Option<SecretString>,
}

impl Config {
    /// The names that clients are told of: visible aliases, then groups.
    pub fn shown(&self) -> impl Iterator<Item = &Arc<str>> {
        let aliases = self.aliases.iter().filter(|alias| !alias.hidden).map(|alias| &alias.name);
        aliases.chain(self.groups.iter().map(|group| &group.name))
    }
}

/// A name that clients ask for, and the deployments behind it.
#[derive(Clone, Debug)]
pub struct Group {
    /// `model_name`.
    pub name: Arc<str>,
    /// Its deployments, in file order. Never empty.
    pub deployments: Vec<Deployment>,
}

/// Another name for a group.
#[derive(Clone, Debug)]
pub struct Alias {
    /// What clients ask for.
    pub name: Arc<str>,
    /// The group that answers.
    pub group: Arc<str>,
    /// Whether `/v1/models` leaves it out.
    pub hidden: bool,
}

/// One upstream behind a group: one entry of `model_list`.
#[derive(Clone)]
pub struct Deployment {
    /// `model_info.id`, or a hash of the name and the parameters without secrets.
    pub id: Arc<str>,
    /// The group it belongs to.
    pub group: Arc<str>,
    /// Where and how to call it.
    pub target: Target,
    /// What it may be asked for.
    pub limits: Limits,
    /// Its clocks, where they differ from the general ones.
    pub clocks: Clocks,
    /// `num_retries` of the deployment: how often a call that failed here is made again.
    pub num_retries: Option<u32>,
    /// `cooldown_time`; zero means that it is never benched for its health, and so does none for a group with a pattern.
    pub cooldown_time: Option<Duration>,
    /// `model_info.allowed_fails`.
    pub allowed_fails: Option<u32>,
    /// Request parameters that are added where the request has none of that name: name, and value as JSON text.
    pub defaults: Vec<(Arc<str>, Arc<str>)>,
    /// `mock_response`: answers without an upstream.
    pub mock: Option<Mock>,
    /// `model_info`: what is known about the model.
    pub info: Info,
}

impl Deployment {
    /// Where it serves many models: the group's name, and the model's, into which goes what is captured of the first.
    #[must_use]
    pub fn patterns(&self) -> Option<(Pattern, Pattern)> {
        Pattern::of(&self.group).zip(Pattern::of(&self.target.model))
    }
}

/// Without the values of `defaults`: a value under a key that we do not know may be anything.
impl fmt::Debug for Deployment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let defaults: Vec<_> = self.defaults.iter().map(|(name, _)| name).collect();
        f.debug_struct("Deployment")
            .field("id", &self.id)
            .field("group", &self.group)
            .field("target", &self.target)
            .field("limits", &self.limits)
            .field("clocks", &self.clocks)
            .field("defaults", &defaults)
            .finish_non_exhaustive()
    }
}

/// Where and how a deployment is called.
#[derive(Clone, Debug)]
pub struct Target {
    /// Whose it is: which dialect it speaks, and where its routes are.
    pub vendor: &'static Vendor,
    /// The model's name there: what is sent as `model`, or the name of the Azure deployment.
    pub model: Arc<str>,
    /// `api_base` or the provider's default: an absolute http or https URL without query and fragment and without a trailing slash.
    pub base: http::Uri,
    /// The credential, if there is one.
    pub key: Option<SecretString>,
    /// `api_version`; Azure's.
    pub api_version: Option<Arc<str>>,
    /// `organization`.
    pub organization: Option<HeaderValue>,
    /// `headers` and `extra_headers`, values marked sensitive.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// `http2`: offer HTTP/2 by ALPN.
    pub http2: bool,
}

impl Target {
    /// A number that is the same for what is called in the same way, at the same place, with the same credential, and
    /// most probably another for anything else.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let Self { vendor, model, base, key, api_version, organization, headers, http2 } = self;
        let mut hasher = DefaultHasher::new();
        (vendor.prefix, model, base, key.as_ref().map(ExposeSecret::expose_secret)).hash(&mut hasher);
        (api_version, organization, headers, http2).hash(&mut hasher);
        hasher.finish()
    }
}

/// Which dialect a deployment speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Provider {
    /// OpenAI's, below the base as it is given.
    OpenAi,
    /// OpenAI's, below a `/v1` that the base may lack.
    Versioned,
    /// `azure/`.
    Azure,
    /// `huggingface/`.
    HuggingFace,
}

/// What a deployment may be asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// Requests per minute.
    pub rpm: Option<u64>,
    /// Tokens per minute.
    pub tpm: Option<u64>,
    /// `max_parallel_requests`: calls in flight.
    pub parallel: Option<u32>,
    /// `weight`.
    pub weight: Option<f64>,
    /// `order`: the tier.
    pub order: Option<i64>,
    /// `rate_window`, in seconds (1, 10 or 60): the window in which the server judges, if that is known.
    pub rate_window: Option<u64>,
    /// `token_accounting`: how the provider counts tokens.
    pub accounting: Accounting,
    /// `input_cost_per_token + output_cost_per_token`.
    pub price: Option<f64>,
}

/// How a provider counts tokens against its limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Accounting {
    /// By its own estimate on arrival; nothing is given back.
    Azure,
    /// By what the answer cost.
    #[default]
    Billed,
}

/// Clocks of one deployment; none means the general one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clocks {
    /// `timeout` or `request_timeout`: one attempt.
    pub attempt: Option<Duration>,
    /// `stream_timeout`: until the first content of a stream.
    pub first_content: Option<Duration>,
    /// `stream_idle_timeout`: between two events of a stream.
    pub idle: Option<Duration>,
}

/// An answer without an upstream.
#[derive(Clone, Debug, PartialEq)]
pub struct Mock {
    /// What it says. LiteLLM's `litellm.RateLimitError` and its siblings name an error instead.
    pub text: Arc<str>,
    /// `mock_delay`: how long it takes.
    pub delay: Duration,
}

/// `model_info`.
#[derive(Clone, Debug, Default)]
pub struct Info {
    /// `max_input_tokens`, where it is known.
    pub max_input_tokens: Option<u64>,
    /// `quota_group`: deployments that share an upstream account.
    pub quota_group: Option<Arc<str>>,
}

/// What holds for all groups. The default is what holds when the file says nothing.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `num_retries`: 2 unless set, as in LiteLLM.
    pub num_retries: u32,
    /// `request_timeout` / `timeout`: one attempt; 6000 s unless set, as in LiteLLM.
    pub timeout: Duration,
    /// `stream_timeout`: until the first content of a stream.
    pub stream_timeout: Option<Duration>,
    /// `stream_idle_timeout`: between two events of a stream; 60 s.
    pub stream_idle_timeout: Duration,
    /// `pings_keep_alive`: whether comments and pings move the idle clock; they do unless this is set to false.
    pub pings_keep_alive: bool,
    /// `broken_events: pass`: an event with broken JSON is passed on, where it is dropped unless this is set.
    pub pass_broken_events: bool,
    /// `midstream_fallback`: what becomes of a stream that breaks after its first content.
    pub midstream: Midstream,
    /// `max_request_duration`: arrival to the end of the answer.
    pub max_request_duration: Option<Duration>,
    /// `fallbacks` with `default_fallbacks` as its `*`.
    pub fallbacks: Fallbacks,
    /// `context_window_fallbacks`.
    pub context_window_fallbacks: Option<Fallbacks>,
    /// `content_policy_fallbacks`.
    pub content_policy_fallbacks: Option<Fallbacks>,
    /// `max_fallbacks`: how deep a chain of fallbacks may go; 5.
    pub max_fallbacks: u32,
    /// `fallback_on_context_window`: whether the ordinary fallbacks serve where the special list has no entry.
    pub fallback_on_context_window: bool,
    /// `allowed_fails` per rolling minute.
    pub allowed_fails: Option<u32>,
    /// `cooldown_time`: 5 s; zero means off.
    pub cooldown_time: Duration,
    /// `retry_after`: the least backoff before the same deployment is called again.
    pub retry_after: Duration,
    /// `max_attempts`: a bound on all attempts of one request.
    pub max_attempts: Option<u32>,
    /// `retry_budget`: a bound on the repeats of all requests together.
    pub retry_budget: RetryBudget,
    /// `queue_timeout`: how long a request may wait for a free slot; 2 s.
    pub queue_timeout: Duration,
    /// `max_queue`: how many may wait in a group; 1,000.
    pub max_queue: usize,
    /// `routing_strategy`.
    pub strategy: Strategy,
    /// The largest request body that is taken, in bytes; 100 MB.
    pub max_body: usize,
    /// `max_in_flight`: requests that are served at once; 16,384.
    pub max_in_flight: usize,
    /// `max_connections`: clients that are connected at once; as many as the open files allow.
    pub max_connections: Option<usize>,
    /// `max_buffered_bytes`: bytes of request bodies that are held at once; 1 GB.
    pub max_buffered_bytes: usize,
    /// `retry_policy`: retries by error.
    pub retry_policy: ErrorCounts,
    /// `model_group_retry_policy`: retries by error, for one group instead of the general ones.
    pub model_group_retry_policy: Vec<(Arc<str>, ErrorCounts)>,
    /// `allowed_fails_policy`: allowed failures by error.
    pub allowed_fails_policy: ErrorCounts,
}

/// A bound on repeats: in any ten seconds, `percent` of the first attempts and `reserve` more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryBudget {
    /// `percent`: 20.
    pub percent: u32,
    /// `reserve`: 100.
    pub reserve: u32,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self { percent: 20, reserve: 100 }
    }
}

/// `midstream_fallback`: what becomes of a stream that breaks after its first content. Its price is told in
/// [`midstream`](crate::tree::midstream).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Midstream {
    /// It ends with an error event.
    #[default]
    Off,
    /// Another deployment is asked to go on where it broke off.
    Continue,
    /// Another deployment is asked for all of it again; for clients that know the mark alone.
    Restart,
}

impl Midstream {
    /// All of them by name.
    pub const ALL: [(&str, Self); 3] =
        [("off", Self::Off), ("continue", Self::Continue), ("restart", Self::Restart)];

    /// By its name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, midstream)| *midstream)
    }
}

/// A number for each kind of error, as LiteLLM's policies give them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorCounts(pub BTreeMap<ErrorName, u32>);

/// LiteLLM's exceptions, as its policies name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorName {
    /// `BadRequestError`.
    BadRequest,
    /// `AuthenticationError`.
    Authentication,
    /// `TimeoutError`.
    Timeout,
    /// `RateLimitError`.
    RateLimit,
    /// `ContentPolicyViolationError`.
    ContentPolicyViolation,
    /// `InternalServerError`.
    InternalServer,
    /// `ServiceUnavailableError`.
    ServiceUnavailable,
    /// `NotFoundError`.
    NotFound,
    /// `Default`: every other error.
    Default,
}

/// `routing_strategy`, by LiteLLM's names; ours is the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// `adaptive`: work in flight, weighted by what each may do and how it is doing.
    #[default]
    Adaptive,
    /// `simple-shuffle`: at random, by weight.
    SimpleShuffle,
    /// `least-busy`: the fewest calls in flight.
    LeastBusy,
    /// `usage-based-routing` and `-v2`: the smallest used part of the limit.
    UsageBased,
    /// `latency-based-routing`: the quickest.
    LatencyBased,
    /// `cost-based-routing`: the cheapest.
    CostBased,
}

/// A list of fallbacks: from the configuration, or from a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fallbacks {
    /// By the group that failed, in the order given.
    pub by_group: Vec<(Arc<str>, Vec<Alternative>)>,
    /// `*` and `default_fallbacks`: for every group that has no entry.
    pub default: Vec<Alternative>,
    /// A flat list, as requests may give it: for every group and every error.
    pub flat: Option<Vec<Alternative>>,
}

impl Fallbacks {
    /// All that any of its lists names.
    pub fn alternatives(&self) -> impl Iterator<Item = &Alternative> {
        let by_group = self.by_group.iter().flat_map(|(_, list)| list);
        by_group.chain(&self.default).chain(self.flat.iter().flatten())
    }
}

/// One thing to try instead.
#[derive(Clone, Debug, PartialEq)]
pub struct Alternative {
    /// A group, an alias or a deployment's id.
    pub model: Arc<str>,
    /// `{"model": .., overrides}`: parameters that replace those of the request: name, and value as JSON text.
    pub parameters: Vec<(Arc<str>, Arc<str>)>,
}
