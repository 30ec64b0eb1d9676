//! The resolved configuration, from which the tree of services is built.

use std::{
    collections::BTreeMap,
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use http::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

use super::{
    AwsCredentials, BudgetLimit, ClientKey, Collector, Diagnostic, GoogleCredential, IdKey, ModelFacts,
    Pattern, ReplicaSettings, TagRules, UpstreamTls, Vendor,
};

/// A complete, checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The groups, in the order in which the file first names them. Empty if no deployment can be served.
    pub groups: Vec<Group>,
    /// The entries of `model_list` that are not served, in file order.
    pub left_out: Vec<LeftOut>,
    /// The names that the file defines and that no deployment serves.
    pub unserved: Vec<Unserved>,
    /// Alternative names of groups.
    pub aliases: Vec<Alias>,
    /// The settings for all groups.
    pub settings: Settings,
    /// The key of the operator, which may call every group. If there is no key at all, every client may call.
    pub master_key: Option<SecretString>,
    /// `status_key`: the key that may read the status and the metrics, and nothing else.
    pub status_key: Option<SecretString>,
    /// The warnings of the file, for the status page.
    pub warnings: Vec<Diagnostic>,
    /// `general_settings.keys`: the keys of clients.
    pub keys: Vec<ClientKey>,
}

impl Config {
    /// Returns true if every client may call, without a key.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.master_key.is_none() && self.keys.is_empty()
    }

    /// Returns the names that `/v1/models` lists: visible aliases, then groups.
    pub fn visible_names(&self) -> impl Iterator<Item = &Arc<str>> {
        let aliases = self.aliases.iter().filter(|alias| !alias.hidden).map(|alias| &alias.name);
        aliases.chain(self.groups.iter().map(|group| &group.name))
    }
}

/// A name that clients send as `model`, and the deployments that serve it.
#[derive(Clone, Debug)]
pub struct Group {
    /// The `model_name` of the deployments.
    pub name: Arc<str>,
    /// The deployments of the group, in file order. Never empty.
    pub deployments: Vec<Deployment>,
    /// The rules of tag routing, if it is on for the group.
    pub tags: Option<Arc<TagRules>>,
}

impl Group {
    /// Returns true if a request without `stream` is streamed: all deployments have `stream: true`.
    #[must_use]
    pub fn streams(&self) -> bool {
        self.deployments.iter().all(|deployment| deployment.streams)
    }
}

/// An entry of `model_list` that is left out, because it has an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The `model_name`, unless it is missing or invalid.
    pub group: Option<Arc<str>>,
    /// The id that the deployment would have.
    pub id: Arc<str>,
    /// The included file with the entry; none if it is in the file itself.
    pub file: Option<Arc<str>>,
    /// The line of the entry.
    pub line: usize,
    /// The first error of the entry.
    pub reason: Arc<str>,
}

/// A name for which each request gets a 404, because no deployment serves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unserved {
    /// The name of a group or of an alias, which may be a pattern.
    pub name: Arc<str>,
    /// The reason, for the error of the request.
    pub reason: Arc<str>,
}

/// An alternative name of a group.
#[derive(Clone, Debug)]
pub struct Alias {
    /// The name that clients send as `model`.
    pub name: Arc<str>,
    /// The name of the group that serves the alias.
    pub group: Arc<str>,
    /// True if `/v1/models` leaves the alias out.
    pub hidden: bool,
}

/// An upstream of a group: one entry of `model_list`.
#[derive(Clone)]
pub struct Deployment {
    /// The `model_info.id`, or a hash of the group's name and the parameters without secrets.
    pub id: Arc<str>,
    /// The key by which replicas share the limits: as the id, but of the parameters that distinguish the upstream alone.
    pub limit_key: Arc<str>,
    /// The name of the group that the deployment belongs to.
    pub group: Arc<str>,
    /// The address, dialect and credential for calls.
    pub target: Target,
    /// The rate limits, the weight and the order.
    pub limits: RateLimits,
    /// The timeouts of this deployment, where they differ from the settings.
    pub timeouts: Timeouts,
    /// `num_retries` of the deployment: the maximum number of retries after a failed call to it.
    pub num_retries: Option<u32>,
    /// `cooldown_time`. Zero disables the cooldown; it is also disabled if the group's name is a pattern and this is
    /// none.
    pub cooldown_time: Option<Duration>,
    /// `model_info.allowed_fails`.
    pub allowed_fails: Option<u32>,
    /// `model_info.allowed_fails_policy`: the allowed failures by error, before those of the settings.
    pub allowed_fails_policy: ErrorCounts,
    /// The parameters that are added to requests without a parameter of that name: name, and value as JSON text.
    pub defaults: Vec<(Arc<str>, Arc<str>)>,
    /// `stream_usage`: true if the token meter requests the usage of streams. Default: if the vendor supports it.
    pub stream_usage: Option<bool>,
    /// The changes of a request's parameters, if there are any.
    pub parameters: Option<Arc<ParameterRules>>,
    /// `drop_params`: true if parameters that the deployment's dialect cannot express are dropped and not refused.
    pub drop_params: bool,
    /// `tags`: the tags that choose the deployment if tag routing is on.
    pub tags: Vec<Arc<str>>,
    /// `stream`: true if a request without `stream` is streamed.
    pub streams: bool,
    /// `mock_response`: the response of a deployment without an upstream.
    pub mock: Option<MockResponse>,
    /// `model_info`: what is known about the model.
    pub info: ModelInfo,
}

impl Deployment {
    /// Returns the patterns of a wildcard deployment: of the group's name and of the model's name. The part of a
    /// requested name that the first captures is filled into the second.
    #[must_use]
    pub fn patterns(&self) -> Option<(Pattern, Pattern)> {
        Pattern::parse(&self.group).zip(Pattern::parse(&self.target.model))
    }
}

/// Leaves out the values of `defaults`: the value of an unknown key may be a secret.
impl fmt::Debug for Deployment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let defaults: Vec<_> = self.defaults.iter().map(|(name, _)| name).collect();
        f.debug_struct("Deployment")
            .field("id", &self.id)
            .field("group", &self.group)
            .field("target", &self.target)
            .field("limits", &self.limits)
            .field("timeouts", &self.timeouts)
            .field("defaults", &defaults)
            .finish_non_exhaustive()
    }
}

/// The changes of a request's parameters for one deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParameterRules {
    /// The parameters that have another name at the vendor: OpenAI's name, and the vendor's.
    pub renamed: Vec<(Arc<str>, Arc<str>)>,
    /// The parameters that are not sent.
    pub dropped: Vec<Arc<str>>,
    /// The parameters for which a request gets a 400.
    pub refused: Vec<Arc<str>>,
}

impl ParameterRules {
    /// Returns true if no parameter changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.renamed.is_empty() && self.dropped.is_empty() && self.refused.is_empty()
    }

    /// Returns true if the parameter is renamed or dropped.
    #[must_use]
    pub fn changes(&self, name: &str) -> bool {
        self.new_name(name) != Some(name)
    }

    /// Returns the name that a parameter has upstream, or none if it is dropped.
    #[must_use]
    pub fn new_name<'n>(&'n self, name: &'n str) -> Option<&'n str> {
        if self.dropped.iter().any(|dropped| **dropped == *name) {
            return None;
        }
        let renamed = self.renamed.iter().find(|(old, _)| **old == *name);
        Some(renamed.map_or(name, |(_, new)| new))
    }

    /// Returns true if a request with the parameter gets a 400.
    #[must_use]
    pub fn refuses(&self, name: &str) -> bool {
        self.refused.iter().any(|refused| **refused == *name)
    }
}

/// The address, dialect and credential of a deployment.
#[derive(Clone, Debug)]
pub struct Target {
    /// The vendor, which determines the dialect and the default URLs.
    pub vendor: &'static Vendor,
    /// The name of the model at the vendor: sent as `model`, or used as the name of the Azure deployment.
    pub model: Arc<str>,
    /// `api_base` or the default of the provider: an absolute http or https URL without query, fragment and trailing
    /// slash.
    pub base: http::Uri,
    /// The credential, if there is one.
    pub key: Option<SecretString>,
    /// The credential of Vertex AI, by which access tokens are fetched.
    pub google: Option<Arc<GoogleCredential>>,
    /// The credentials by which requests to AWS are signed, where there is no key.
    pub aws: Option<AwsCredentials>,
    /// `api_version`, which only Azure uses.
    pub api_version: Option<Arc<str>>,
    /// `organization`.
    pub organization: Option<HeaderValue>,
    /// `headers` and `extra_headers`; the values are marked sensitive.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// True if the model's name (`openai/responses/NAME`) or its `mode` states that the server has OpenAI's Responses.
    pub responses: bool,
    /// `http2`: offers HTTP/2 through ALPN.
    pub http2: bool,
    /// `ssl_verify` and `ssl_certificate`. None: the default.
    pub tls: Option<UpstreamTls>,
}

impl Target {
    /// Returns a hash over all fields. Equal targets have equal hashes; different targets have different hashes with
    /// high probability.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let Self {
            vendor,
            model,
            base,
            key,
            google,
            aws,
            api_version,
            organization,
            headers,
            responses,
            http2,
            tls,
        } = self;
        let mut hasher = DefaultHasher::new();
        (vendor.prefix, model, base, key.as_ref().map(ExposeSecret::expose_secret)).hash(&mut hasher);
        (google, aws).hash(&mut hasher);
        (api_version, organization, headers, responses, http2, tls).hash(&mut hasher);
        hasher.finish()
    }
}

/// The rate limits and the load balancing parameters of a deployment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RateLimits {
    /// `rpm`: requests per minute.
    pub rpm: Option<u64>,
    /// `tpm`: tokens per minute.
    pub tpm: Option<u64>,
    /// `itpm`: input tokens per minute.
    pub itpm: Option<u64>,
    /// `otpm`: output tokens per minute.
    pub otpm: Option<u64>,
    /// `rpd`: requests per day.
    pub rpd: Option<u64>,
    /// `tpd`: tokens per day.
    pub tpd: Option<u64>,
    /// `daily_reset_time`: the time of the day in UTC at which `rpd` and `tpd` begin again.
    pub daily_reset: Duration,
    /// `max_parallel_requests`: concurrent calls.
    pub parallel: Option<u32>,
    /// `weight`: the share of traffic relative to the other deployments of the group.
    pub weight: Option<f64>,
    /// `order`: the tier; lower tiers are preferred.
    pub order: Option<i64>,
    /// `rate_window`, in seconds (1, 10 or 60): the window over which the server measures rates, if known.
    pub rate_window: Option<u64>,
    /// `token_accounting`: the rule by which the provider counts tokens.
    pub accounting: TokenAccounting,
    /// The price of a token of input and one of output, in dollars.
    pub price: Option<f64>,
}

impl RateLimits {
    /// Returns true if tokens have a limit.
    #[must_use]
    pub const fn counts_tokens(&self) -> bool {
        self.tpm.is_some() || self.itpm.is_some() || self.otpm.is_some() || self.tpd.is_some()
    }
}

/// The rule by which a provider counts tokens against its limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenAccounting {
    /// Counts an estimate on arrival; unused tokens are not returned.
    Azure,
    /// Counts the tokens that the response reports as used.
    #[default]
    Billed,
}

/// Timeouts of a deployment; none means the timeout of the settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// `timeout` or `request_timeout`: the limit of one attempt.
    pub attempt: Option<Duration>,
    /// `stream_timeout`: the limit until the first content of a stream.
    pub first_content: Option<Duration>,
    /// `stream_idle_timeout`: the limit between two events of a stream.
    pub idle: Option<Duration>,
}

/// A configured response that needs no upstream.
#[derive(Clone, Debug, PartialEq)]
pub struct MockResponse {
    /// The content of the response. A name such as `litellm.RateLimitError` produces that error, as in LiteLLM.
    pub text: Arc<str>,
    /// `mock_delay`: the time until the response.
    pub delay: Duration,
}

/// The part of `model_info` that the gateway uses.
#[derive(Clone, Debug, Default)]
pub struct ModelInfo {
    /// `max_input_tokens`, if the file states it.
    pub max_input_tokens: Option<u64>,
    /// `enable_tag_filtering`: true if tag routing is on for the group of the deployment.
    pub tag_filtering: bool,
    /// `quota_group`: the name of the upstream account; deployments with equal names share their limits.
    pub quota_group: Option<Arc<str>>,
    /// `region_name` in `litellm_params`: the region of the deployment.
    pub region: Option<Arc<str>>,
    /// `health_check_timeout`: the time limit of a check of the deployment by `/health`.
    pub health_check_timeout: Option<Duration>,
    /// The known facts of the model, from the file or from the table of models.
    pub facts: ModelFacts,
}

/// The settings for all groups, from `router_settings`, `litellm_settings` and `general_settings`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The key of the ids of responses, from the master key.
    pub id_key: IdKey,
    /// `num_retries`. Default: 2, as in LiteLLM.
    pub num_retries: u32,
    /// `request_timeout` or `timeout`: the limit of one attempt. Default: 6000 s, as in LiteLLM.
    pub timeout: Duration,
    /// `stream_timeout`: the limit until the first content of a stream.
    pub stream_timeout: Option<Duration>,
    /// `stream_idle_timeout`: the limit between two events of a stream. Default: 60 s.
    pub stream_idle_timeout: Duration,
    /// `pings_keep_alive`: true if comments and pings reset the idle timeout. Default: true.
    pub pings_keep_alive: bool,
    /// `early_heartbeat`: the time from the arrival of a request until the head of its stream is sent without a response, and
    /// the interval of the comments that follow. Off by default.
    pub early_heartbeat: Option<Duration>,
    /// True for `broken_events: pass`: an event with invalid JSON is passed on. By default it is dropped.
    pub pass_broken_events: bool,
    /// `midstream_fallback`: the handling of a stream that breaks after its first content.
    pub midstream: Midstream,
    /// `max_request_duration`: the limit from the arrival of a request to the end of its response.
    pub max_request_duration: Option<Duration>,
    /// `fallbacks`, with `default_fallbacks` added to its `*` entry.
    pub fallbacks: Fallbacks,
    /// `context_window_fallbacks`.
    pub context_window_fallbacks: Option<Fallbacks>,
    /// `content_policy_fallbacks`.
    pub content_policy_fallbacks: Option<Fallbacks>,
    /// `max_fallbacks`: the maximum length of a chain of fallbacks. Default: 5.
    pub max_fallbacks: u32,
    /// `fallback_on_context_window`: true if the ordinary fallbacks apply to a group without an entry in
    /// `context_window_fallbacks`.
    pub fallback_on_context_window: bool,
    /// `allowed_fails`: the failures per rolling minute that do not yet start a cooldown.
    pub allowed_fails: Option<u32>,
    /// `cooldown_time`. Default: 5 s; zero disables the cooldown.
    pub cooldown_time: Duration,
    /// `retry_after`: the minimum backoff before the same deployment is called again.
    pub retry_after: Duration,
    /// `max_attempts`: the maximum number of attempts of one request, over all groups.
    pub max_attempts: Option<u32>,
    /// `retry_budget`: the limit on the retries of all requests together.
    pub retry_budget: RetryBudget,
    /// `queue_timeout`: the maximum time for which a request waits for capacity. Default: 2 s.
    pub queue_timeout: Duration,
    /// `max_queue`: the maximum number of requests that wait in one group. Default: 1,000.
    pub max_queue: usize,
    /// `routing_strategy`.
    pub strategy: RoutingStrategy,
    /// `max_request_size_mb`: the maximum size of a request body, here in bytes. Default: 100 MB.
    pub max_body: usize,
    /// `max_in_flight`: the maximum number of concurrent requests. Default: 16,384.
    pub max_in_flight: usize,
    /// `max_buffered_bytes`: the maximum number of bytes of request bodies in memory. Default: 1 GB.
    pub max_buffered_bytes: usize,
    /// `max_event_bytes`: the maximum size of one event of a stream. Default: 16 MB.
    pub max_event_bytes: usize,
    /// `max_held_events`: the maximum number of bytes of unfinished events, over all streams. Default: 32 MB.
    pub max_held_events: usize,
    /// True if the usage of all streams is requested: for a client key with a limit of tokens or a budget, or for costs.
    pub needs_usage: bool,
    /// True if a deployment is Gemini's, whose ids of tool calls contain signatures.
    pub has_gemini: bool,
    /// `enable_pre_call_checks`: true if a request goes only to deployments that its input and its region fit.
    pub pre_call_checks: bool,
    /// `max_budget` of `litellm_settings` or `general_settings`: the budget of the whole gateway.
    pub budget: Option<BudgetLimit>,
    /// `response_cost`: true if responses state their cost. Default: false.
    pub response_cost: bool,
    /// `server_timing`: true if responses state where their time went. Default: false.
    pub server_timing: bool,
    /// The settings by which replicas share their limits. None: this process has them alone.
    pub replicas: Option<ReplicaSettings>,
    /// The settings of the listener for clients.
    pub listener: ListenerSettings,
    /// The settings of the logs.
    pub logs: LogSettings,
    /// `upstream_keepalive_timeout`: the time after which an idle connection to an upstream is closed. Default: 50 s.
    pub upstream_keepalive_timeout: Duration,
    /// `retry_policy`: the number of retries by error.
    pub retry_policy: ErrorCounts,
    /// `model_group_retry_policy`: the number of retries by error for one group, in place of `retry_policy`.
    pub model_group_retry_policy: Vec<(Arc<str>, ErrorCounts)>,
    /// `allowed_fails_policy`: the allowed failures by error.
    pub allowed_fails_policy: ErrorCounts,
}

/// The settings of the listener for clients. Changes need a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenerSettings {
    /// `max_connections`: the maximum number of client connections. Default: derived from the limit on open files.
    pub max_connections: Option<usize>,
    /// `keepalive_timeout`: the maximum silence of a client between two requests. Default: 75 s, above the 60 s for which
    /// common load balancers keep an idle connection.
    pub keepalive_timeout: Duration,
    /// `backlog`: the length of the queue of connections that are not accepted yet. Default: 4,096.
    pub backlog: u32,
    /// `drain_timeout`: the maximum time for finishing the requests in flight after a shutdown signal. Default: 600 s.
    pub drain_timeout: Duration,
    /// `max_header_bytes`: the maximum size of a request's head. Default: 64 KB, which is uvicorn's.
    pub max_header_bytes: usize,
}

/// The settings of the logs. Changes need a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogSettings {
    /// `json_logs`: true for lines of JSON.
    pub json: bool,
    /// `set_verbose`: true for the events of level DEBUG.
    pub verbose: bool,
    /// `trusted_proxies`: the networks of the proxies that are believed when they report the address of a client, each with
    /// the number of bits that count.
    pub trusted_proxies: Vec<(IpAddr, u8)>,
    /// `callbacks`, `success_callback` and `failure_callback`: the collectors that receive traces.
    pub collectors: Vec<Collector>,
}

/// A limit on retries: within ten seconds, `percent` of the number of first attempts, plus `reserve`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryBudget {
    /// `percent`. Default: 20.
    pub percent: u32,
    /// `reserve`. Default: 100.
    pub reserve: u32,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self { percent: 20, reserve: 100 }
    }
}

/// `midstream_fallback`: the handling of a stream that breaks after its first content. `src/tree/midstream.rs` describes the
/// cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Midstream {
    /// The stream ends with an error event.
    #[default]
    Off,
    /// Another deployment continues the text from the point where the stream broke.
    Continue,
    /// Another deployment generates the whole text again; only for clients that understand the restart marker.
    Restart,
}

impl Midstream {
    /// All values, by name.
    pub const ALL: [(&str, Self); 3] =
        [("off", Self::Off), ("continue", Self::Continue), ("restart", Self::Restart)];

    /// Returns the value with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, midstream)| *midstream)
    }
}

/// Numbers by kind of error, as in LiteLLM's policies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorCounts(pub BTreeMap<ErrorName, u32>);

/// The names of LiteLLM's exceptions in its policies.
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

/// `routing_strategy`: LiteLLM's names, and `adaptive`, which is the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RoutingStrategy {
    /// `adaptive`: calls in flight, weighted by limits and by health.
    #[default]
    Adaptive,
    /// `simple-shuffle`: random, by weight.
    SimpleShuffle,
    /// `least-busy`: the fewest calls in flight.
    LeastBusy,
    /// `usage-based-routing` and `usage-based-routing-v2`: the lowest used fraction of the limits.
    UsageBased,
    /// `latency-based-routing`: the lowest latency.
    LatencyBased,
    /// `cost-based-routing`: the lowest price.
    CostBased,
}

/// A set of fallback lists, from the configuration or from a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fallbacks {
    /// The lists by group, in file order.
    pub by_group: Vec<(Arc<str>, Vec<FallbackTarget>)>,
    /// `*` and `default_fallbacks`: the list for every group that has no entry.
    pub default: Vec<FallbackTarget>,
    /// The list of a request that applies to every group and every error.
    pub flat: Option<Vec<FallbackTarget>>,
}

impl Fallbacks {
    /// Returns the targets of all lists.
    pub fn targets(&self) -> impl Iterator<Item = &FallbackTarget> {
        let by_group = self.by_group.iter().flat_map(|(_, list)| list);
        by_group.chain(&self.default).chain(self.flat.iter().flatten())
    }
}

/// A target of a fallback.
#[derive(Clone, Debug, PartialEq)]
pub struct FallbackTarget {
    /// The name of a group, an alias or a deployment's id.
    pub model: Arc<str>,
    /// The overrides of `{"model": .., overrides}`: parameters that replace those of the request: name, and value as
    /// JSON text.
    pub parameters: Vec<(Arc<str>, Arc<str>)>,
}
