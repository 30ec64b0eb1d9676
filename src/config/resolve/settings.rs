//! Resolves the settings for all groups: `router_settings` before `litellm_settings` before the defaults.

use std::time::Duration;

use super::{
    fallbacks::{self, KnownNames},
    logs, policies,
};
use crate::config::{
    ErrorCounts, Fallbacks, Grade, IdKey, ListenerSettings, LogSettings, Midstream, RetryBudget,
    RoutingStrategy, Settings,
    error::DiagnosticSink,
    ignored, keys,
    raw::{MASTER_KEY, RawConfig},
    read::{self, Section},
    yaml::{Key, Node, Value},
};

const MEGABYTE: usize = 1_000_000;

const STRATEGIES: [(&str, RoutingStrategy); 7] = [
    ("adaptive", RoutingStrategy::Adaptive),
    ("simple-shuffle", RoutingStrategy::SimpleShuffle),
    ("least-busy", RoutingStrategy::LeastBusy),
    ("usage-based-routing", RoutingStrategy::UsageBased),
    ("usage-based-routing-v2", RoutingStrategy::UsageBased),
    ("latency-based-routing", RoutingStrategy::LatencyBased),
    ("cost-based-routing", RoutingStrategy::CostBased),
];

/// Strategies of LiteLLM's that have no counterpart here: budgets of providers, and a classifier in Python.
const NOT_SERVED: [&str; 2] = ["provider-budget-routing", "lar1"];

const BROKEN: [(&str, bool); 2] = [("drop", false), ("pass", true)];

impl RoutingStrategy {
    /// Returns the strategy with this name: one of LiteLLM's, or `adaptive`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        STRATEGIES.iter().find(|(known, _)| *known == name).map(|(_, strategy)| *strategy)
    }

    /// Returns the names of all strategies.
    pub fn names() -> impl Iterator<Item = &'static str> {
        STRATEGIES.iter().map(|(name, _)| *name)
    }

    /// Returns the first name of the strategy.
    #[must_use]
    pub fn name(self) -> &'static str {
        STRATEGIES.iter().find(|(_, strategy)| *strategy == self).map_or("", |(name, _)| name)
    }
}

/// Returns the settings of an empty file. The defaults are those of LiteLLM for the settings that it has.
impl Default for Settings {
    fn default() -> Self {
        Self {
            id_key: IdKey::of(None),
            num_retries: 2,
            timeout: Duration::from_secs(6000),
            stream_timeout: None,
            stream_idle_timeout: Duration::from_secs(60),
            pings_keep_alive: true,
            early_heartbeat: None,
            pass_broken_events: false,
            midstream: Midstream::default(),
            max_request_duration: None,
            fallbacks: Fallbacks::default(),
            context_window_fallbacks: None,
            content_policy_fallbacks: None,
            max_fallbacks: 5,
            fallback_on_context_window: false,
            allowed_fails: None,
            cooldown_time: Duration::from_secs(5),
            retry_after: Duration::ZERO,
            max_attempts: None,
            retry_budget: RetryBudget::default(),
            queue_timeout: Duration::from_secs(2),
            max_queue: 1000,
            strategy: RoutingStrategy::default(),
            max_body: 100 * MEGABYTE,
            max_in_flight: 16_384,
            max_buffered_bytes: 1000 * MEGABYTE,
            max_event_bytes: 16 << 20,
            max_held_events: 32 * MEGABYTE,
            needs_usage: false,
            has_gemini: false,
            budget: None,
            response_cost: false,
            server_timing: false,
            pre_call_checks: false,
            replicas: None,
            listener: ListenerSettings::default(),
            logs: LogSettings::default(),
            // Below the 60 s after which common load balancers drop an idle connection silently.
            upstream_keepalive_timeout: Duration::from_secs(50),
            retry_policy: ErrorCounts::default(),
            model_group_retry_policy: Vec::new(),
            allowed_fails_policy: ErrorCounts::default(),
        }
    }
}

/// Returns the settings of an empty file.
impl Default for ListenerSettings {
    fn default() -> Self {
        Self {
            max_connections: None,
            keepalive_timeout: Duration::from_secs(75),
            backlog: 4096,
            drain_timeout: Duration::from_secs(600),
            max_header_bytes: 64 * 1024,
        }
    }
}

/// Resolves the settings.
pub(super) fn resolve(raw: &RawConfig<'_>, names: &KnownNames, sink: &mut DiagnosticSink<'_>) -> Settings {
    let unset = Settings::default();
    let off = raw.read("disable_cooldowns", sink, read::boolean).unwrap_or_default();
    let cooldown_time = raw.read("cooldown_time", sink, read::seconds).unwrap_or(unset.cooldown_time);
    let megabytes = raw.general.get("max_request_size_mb").and_then(|n| read::whole::<usize>(n, 1, sink));
    let idle = raw.read("stream_idle_timeout", sink, read::positive_seconds);
    let pings = raw.read("pings_keep_alive", sink, read::boolean);
    let broken = raw.read("broken_events", sink, |node, sink| read::choice(node, &BROKEN, sink));
    let on_context_window = raw.read("fallback_on_context_window", sink, read::boolean);
    let max_queue = raw.read("max_queue", sink, |node, sink| read::whole(node, 0, sink));
    let policy = |name, suffix, sink: &mut DiagnosticSink<'_>| {
        raw.read(name, sink, |node, sink| Some(policies::counts(node, suffix, sink))).unwrap_or_default()
    };
    let by_group =
        raw.read("model_group_retry_policy", sink, |node, sink| Some(policies::by_group(node, names, sink)));
    Settings {
        num_retries: raw.read("num_retries", sink, count).unwrap_or(unset.num_retries),
        timeout: timeout(raw, sink).unwrap_or(unset.timeout),
        stream_timeout: raw.read("stream_timeout", sink, read::positive_seconds),
        stream_idle_timeout: idle.unwrap_or(unset.stream_idle_timeout),
        pings_keep_alive: pings.unwrap_or(unset.pings_keep_alive),
        early_heartbeat: raw.read("early_heartbeat", sink, read::positive_seconds),
        pass_broken_events: broken.unwrap_or(unset.pass_broken_events),
        midstream: midstream_fallback(raw, sink).unwrap_or(unset.midstream),
        max_request_duration: raw.read("max_request_duration", sink, read::positive_seconds),
        fallbacks: fallbacks::ordinary(raw, names, sink),
        context_window_fallbacks: fallbacks::by_key("context_window_fallbacks", raw, names, sink),
        content_policy_fallbacks: fallbacks::by_key("content_policy_fallbacks", raw, names, sink),
        max_fallbacks: raw.read("max_fallbacks", sink, count).unwrap_or(unset.max_fallbacks),
        fallback_on_context_window: on_context_window.unwrap_or(unset.fallback_on_context_window),
        allowed_fails: raw.read("allowed_fails", sink, count),
        cooldown_time: if off { Duration::ZERO } else { cooldown_time },
        retry_after: raw.read("retry_after", sink, read::seconds).unwrap_or(unset.retry_after),
        max_attempts: max_attempts(raw, sink),
        retry_budget: raw.read("retry_budget", sink, policies::retry_budget).unwrap_or(unset.retry_budget),
        queue_timeout: raw.read("queue_timeout", sink, read::seconds).unwrap_or(unset.queue_timeout),
        max_queue: max_queue.unwrap_or(unset.max_queue),
        strategy: raw.read("routing_strategy", sink, strategy).unwrap_or_default(),
        max_body: megabytes.map_or(unset.max_body, |n| n.saturating_mul(MEGABYTE)),
        pre_call_checks: raw.read("enable_pre_call_checks", sink, read::boolean).unwrap_or_default(),
        max_in_flight: raw.read("max_in_flight", sink, positive).unwrap_or(unset.max_in_flight),
        listener: listener(raw, unset.listener, sink),
        logs: logs::resolve(raw, sink),
        retry_policy: policy("retry_policy", "Retries", sink),
        model_group_retry_policy: by_group.unwrap_or_default(),
        allowed_fails_policy: policy("allowed_fails_policy", "AllowedFails", sink),
        ..independent(raw, sink)
    }
}

/// Returns the default settings with the limits of memory and of idle upstream connections, and with what responses state.
fn independent(raw: &RawConfig<'_>, sink: &mut DiagnosticSink<'_>) -> Settings {
    let mut settings = Settings::default();
    for (name, limit) in [
        ("max_buffered_bytes", &mut settings.max_buffered_bytes),
        ("max_event_bytes", &mut settings.max_event_bytes),
        ("max_held_events", &mut settings.max_held_events),
    ] {
        *limit = raw.read(name, sink, positive).unwrap_or(*limit);
    }
    let keepalive = raw.read("upstream_keepalive_timeout", sink, read::positive_seconds);
    settings.upstream_keepalive_timeout = keepalive.unwrap_or(settings.upstream_keepalive_timeout);
    settings.response_cost = raw.read("response_cost", sink, read::boolean).unwrap_or_default();
    settings.server_timing = raw.read("server_timing", sink, read::boolean).unwrap_or_default();
    settings
}

fn listener(raw: &RawConfig<'_>, unset: ListenerSettings, sink: &mut DiagnosticSink<'_>) -> ListenerSettings {
    let keepalive = raw.read("keepalive_timeout", sink, read::positive_seconds);
    ListenerSettings {
        max_connections: raw.read("max_connections", sink, positive),
        keepalive_timeout: keepalive.unwrap_or(unset.keepalive_timeout),
        backlog: raw.read("backlog", sink, positive).unwrap_or(unset.backlog),
        drain_timeout: raw.read("drain_timeout", sink, read::seconds).unwrap_or(unset.drain_timeout),
        max_header_bytes: raw.read("max_header_bytes", sink, header_bytes).unwrap_or(unset.max_header_bytes),
    }
}

/// Returns the size of a head, which the server's read buffer must hold.
fn header_bytes(node: &Node, sink: &mut DiagnosticSink<'_>) -> Option<usize> {
    let bytes = read::whole(node, 8192, sink)?;
    if bytes > 262_144 { read::invalid(node, "at most 262144", sink) } else { Some(bytes) }
}

fn count(node: &Node, sink: &mut DiagnosticSink<'_>) -> Option<u32> {
    read::whole(node, 0, sink)
}

/// Returns the limit of attempts. LiteLLM counts the first one too, and always makes it.
fn max_attempts(raw: &RawConfig<'_>, sink: &mut DiagnosticSink<'_>) -> Option<u32> {
    let litellm = raw.read("num_retries_per_request", sink, count).map(|count| count.max(1));
    raw.read("max_attempts", sink, positive).or(litellm)
}

fn positive<T: TryFrom<u64>>(node: &Node, sink: &mut DiagnosticSink<'_>) -> Option<T> {
    read::whole(node, 1, sink)
}

/// Returns the handling of a stream that breaks: our own setting, else LiteLLM's, which has one way to continue.
fn midstream_fallback(raw: &RawConfig<'_>, sink: &mut DiagnosticSink<'_>) -> Option<Midstream> {
    let litellm = raw.read("enable_mid_stream_fallback_continuation", sink, read::boolean);
    let own = raw.read("midstream_fallback", sink, midstream);
    own.or_else(|| litellm.map(|on| if on { Midstream::Continue } else { Midstream::Off }))
}

fn midstream(node: &Node, sink: &mut DiagnosticSink<'_>) -> Option<Midstream> {
    // YAML 1.1 parsers read an unquoted `off` as false.
    if matches!(node.value, Value::Bool(false)) {
        return Some(Midstream::Off);
    }
    let midstream = read::choice(node, &Midstream::ALL, sink)?;
    if midstream == Midstream::Restart {
        sink.harmless(&node.at, "a client that does not support `restart` would show the same text twice")
            .help(
                "it applies to requests with `x-tollgate-midstream: restart`; for all others it means `off`",
            );
    }
    Some(midstream)
}

fn strategy(node: &Node, sink: &mut DiagnosticSink<'_>) -> Option<RoutingStrategy> {
    if let Value::Text(name) = &node.value
        && NOT_SERVED.contains(&name.as_str())
    {
        sink.warning(
            &node.at,
            format!("the strategy `{name}` is not served: `simple-shuffle` takes its place"),
        );
        return Some(RoutingStrategy::SimpleShuffle);
    }
    read::choice(node, &STRATEGIES, sink)
}

/// Returns the timeout of an attempt. As in LiteLLM, and unlike other settings, `litellm_settings.request_timeout`
/// takes precedence over `router_settings`.
fn timeout(raw: &RawConfig<'_>, sink: &mut DiagnosticSink<'_>) -> Option<Duration> {
    let mut read = |section: &Section, name| section.get(name).and_then(|n| read::positive_seconds(n, sink));
    let router = (read(&raw.router, "timeout"), read(&raw.router, "request_timeout"));
    let (request_timeout, timeout) = (read(&raw.litellm, "request_timeout"), read(&raw.litellm, "timeout"));
    let router = router.0.or(router.1);
    if let (Some(router), Some(litellm)) = (router, request_timeout)
        && router != litellm
        && let Some(node) = raw.router.get("timeout").or(raw.router.get("request_timeout"))
    {
        let wins = litellm.as_secs_f64();
        sink.harmless(
            &node.at,
            format!(
                "`litellm_settings.request_timeout` takes precedence: the timeout of an attempt is {wins} s"
            ),
        )
        .help("set only one of the two");
    }
    request_timeout.or(router).or(timeout)
}

/// Warns of keys that have no effect: unsupported settings of LiteLLM's, and unknown keys.
pub(super) fn warn_unknown(raw: &RawConfig<'_>, sink: &mut DiagnosticSink<'_>) {
    let settings = || keys::SETTINGS.iter().copied().chain(keys::OWN_KEYS.iter().map(|o| o.name));
    for (section, name) in [(&raw.router, "router_settings"), (&raw.litellm, "litellm_settings")] {
        let policy = ["retry_policy", "allowed_fails_policy", "model_group_retry_policy"];
        let known = settings().chain(policy).chain(keys::BUDGET).collect();
        warn_master_key((section, name), raw, sink);
        warn_section((section, name), known, sink);
    }
    warn_section((&raw.general, "general_settings"), [keys::GENERAL, &keys::BUDGET].concat(), sink);
}

/// Warns of a `master_key` in a section where it has no effect, as in LiteLLM. Without another key it is an error: the operator
/// intended to require one.
fn warn_master_key((section, name): (&Section, &str), raw: &RawConfig<'_>, sink: &mut DiagnosticSink<'_>) {
    let Some((key, _)) = section.entry("master_key") else { return };
    let written = raw.general.get("master_key").is_some_and(|node| !node.is_null());
    if written || raw.env.get(MASTER_KEY).is_some() {
        let other = if written { "that of `general_settings`" } else { "`LITELLM_MASTER_KEY`" };
        sink.harmless(&key.at, format!("`master_key` has no effect in `{name}`: the key is {other}"));
        return;
    }
    sink.error(&key.at, format!("`master_key` has no effect in `{name}`: every client may call"))
        .help("write it below `general_settings`");
}

fn warn_section((section, name): (&Section, &str), known: Vec<&str>, sink: &mut DiagnosticSink<'_>) {
    for (key, node) in section.entries() {
        let word = key.at.last();
        // In the wrong section `master_key` has a diagnostic of its own.
        if known.contains(&word) || word == "master_key" {
            continue;
        }
        if let Some(grade) = keys::setting_grade(word) {
            ignored::warn((key, node), grade, sink);
        } else {
            warn_unknown_key((key, name), &known, sink);
        }
    }
}

/// Warns of a key that neither LiteLLM nor tollgate has in this section. Without a known key that is meant, nothing is
/// lost: LiteLLM ignores it too.
fn warn_unknown_key((key, section): (&Key, &str), known: &[&str], sink: &mut DiagnosticSink<'_>) {
    let word = key.at.last();
    let near = sink.suggest(|| keys::nearest(word, known.iter().copied(), 2));
    let place = if keys::GENERAL.contains(&word) {
        Some("`general_settings`")
    } else if keys::SETTINGS.contains(&word) || keys::own_key(word).is_some() {
        Some("`router_settings`")
    } else if keys::PARAMS.contains(&word) {
        Some("the `litellm_params` of a deployment")
    } else {
        None
    };
    let help = match (near, place) {
        (Some(near), _) => Some(format!("did you mean `{near}`?")),
        (None, Some(place)) => Some(format!("write `{word}` below {place}")),
        (None, None) => None,
    };
    let grade = match near {
        Some("master_key") => Grade::Unsafe,
        _ if help.is_some() => Grade::Lost,
        _ => Grade::Harmless,
    };
    sink.graded(grade, &key.at, format!("unknown key `{word}` in `{section}`")).help = help;
}

/// Accepts the unsafe keys that `general_settings.accept_unsafe` names. Called last, when all warnings are there.
pub(super) fn accept_unsafe(raw: &RawConfig<'_>, sink: &mut DiagnosticSink<'_>) {
    let list = raw.general.get("accept_unsafe").and_then(|node| read::list(node, sink));
    for node in list.unwrap_or_default() {
        let Some(name) = read::text(node, sink) else { continue };
        if !sink.accept(&name) {
            let name = keys::shown_key(&name, keys::Visibility::Settings);
            sink.harmless(&node.at, format!("`{name}` is no unsafe key of this file"))
                .help("remove it from `accept_unsafe`");
        }
    }
}
