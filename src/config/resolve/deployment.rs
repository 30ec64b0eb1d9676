//! Resolves an entry of `model_list`: limits, timeouts, mock response and model info.

use std::{sync::Arc, time::Duration};

use super::{defaults, model_facts, parameters, policies, tags, target, tls::TlsDefaults};
use crate::config::{
    Deployment, ErrorCounts, MockResponse, ModelInfo, Provider, RateLimits, Target, Timeouts,
    TokenAccounting,
    error::DiagnosticSink,
    ignored, keys,
    model_table::ModelTable,
    raw::{Environment, ModelEntry, RawConfig},
    read::{self, Section},
    yaml::{Node, Value},
};

/// The settings that are defaults for every deployment.
pub(super) struct DeploymentDefaults<'r> {
    pub(super) env: &'r Environment<'r>,
    rate_window: Option<u64>,
    accounting: Option<TokenAccounting>,
    http2: bool,
    tls: TlsDefaults,
    pub(super) vertex: target::VertexDefaults,
    stream_usage: Option<bool>,
    parallel: Option<u32>,
    models: &'r ModelTable,
    drop_params: parameters::DropDefaults,
}

impl<'r> DeploymentDefaults<'r> {
    pub(super) fn read(raw: &'r RawConfig<'_>, sink: &mut DiagnosticSink<'_>) -> Self {
        Self {
            env: &raw.env,
            rate_window: raw.read("rate_window", sink, rate_window),
            accounting: raw.read("token_accounting", sink, accounting),
            http2: raw.read("http2", sink, read::boolean).unwrap_or_default(),
            tls: TlsDefaults::read(raw, sink),
            vertex: target::VertexDefaults::read(raw, sink),
            stream_usage: raw.read("stream_usage", sink, read::boolean),
            parallel: raw
                .read("default_max_parallel_requests", sink, |node, sink| read::whole(node, 1, sink)),
            models: &raw.models,
            drop_params: parameters::DropDefaults::read(raw, sink),
        }
    }
}

fn rate_window(node: &Node, sink: &mut DiagnosticSink<'_>) -> Option<u64> {
    read::choice(node, &[("1", 1), ("10", 10), ("60", 60)], sink)
}

fn accounting(node: &Node, sink: &mut DiagnosticSink<'_>) -> Option<TokenAccounting> {
    read::choice(node, &[("azure", TokenAccounting::Azure), ("billed", TokenAccounting::Billed)], sink)
}

/// Resolves an entry. Returns none if its name or its target is invalid; the errors are in the sink.
pub(super) fn resolve(
    entry: &ModelEntry,
    (id, limit_key): (Arc<str>, Arc<str>),
    common: &DeploymentDefaults<'_>,
    sink: &mut DiagnosticSink<'_>,
) -> Option<Deployment> {
    if !entry.params.is_map() {
        return None;
    }
    let param = |name| entry.params.get(name);
    let mock = mock(entry, sink);
    let target = target::resolve(entry, mock.is_some(), common, sink);
    let vendor = target.as_ref().map(|target| target.vendor);
    let facts = model_facts::resolve(entry, (target.as_ref(), common.models), sink);
    let limits = limits(entry, vendor.map(|vendor| vendor.provider), common, sink);
    if let Some(target) = &target {
        warn_unserved_mode(entry, &target.model, sink);
    }
    let cooldown = entry.info.get("cooldown_time").or(param("cooldown_time"));
    let drop = parameters::drops(entry, &common.drop_params, sink);
    let http2 = param("http2").and_then(|n| read::boolean(n, sink)).unwrap_or(common.http2);
    let tls = common.tls.of_deployment(param("ssl_verify"), sink);
    Some(Deployment {
        id,
        limit_key,
        limits: RateLimits { price: facts.prices.sum(), ..limits },
        timeouts: timeouts(entry, sink),
        num_retries: param("num_retries").and_then(|n| read::whole(n, 0, sink)),
        cooldown_time: cooldown.and_then(|n| read::seconds(n, sink)),
        allowed_fails: entry.info.get("allowed_fails").and_then(|n| read::whole(n, 0, sink)),
        allowed_fails_policy: entry
            .info
            .get("allowed_fails_policy")
            .map_or_else(ErrorCounts::default, |n| policies::counts(n, "AllowedFails", sink)),
        defaults: defaults::resolve(&entry.params, sink),
        parameters: vendor.and_then(|v| parameters::resolve(entry, v, (&common.drop_params, drop), sink)),
        drop_params: drop == Some(true),
        tags: tags::of(entry, sink),
        streams: param("stream").and_then(|n| read::boolean(n, sink)).unwrap_or_default(),
        mock,
        stream_usage: param("stream_usage").and_then(|n| read::boolean(n, sink)).or(common.stream_usage),
        info: ModelInfo { facts, ..info(entry, sink) },
        // Last, so that an invalid name or target hides no other error.
        target: Target { http2, tls, ..target? },
        group: entry.name.clone()?,
    })
}

fn timeouts(entry: &ModelEntry, sink: &mut DiagnosticSink<'_>) -> Timeouts {
    let mut seconds = |names: &[&str]| {
        let node = names.iter().find_map(|name| entry.params.get(name));
        node.and_then(|node| read::positive_seconds(node, sink))
    };
    Timeouts {
        attempt: seconds(&["timeout", "request_timeout"]),
        first_content: seconds(&["stream_timeout"]),
        idle: seconds(&["stream_idle_timeout"]),
    }
}

fn limits(
    entry: &ModelEntry,
    provider: Option<Provider>,
    common: &DeploymentDefaults<'_>,
    sink: &mut DiagnosticSink<'_>,
) -> RateLimits {
    let param = |name| entry.params.get(name);
    // LiteLLM's order of precedence.
    let anywhere = |name| entry.top.get(name).or(param(name)).or(entry.info.get(name));
    let by_provider = match provider {
        Some(Provider::Azure) => TokenAccounting::Azure,
        _ => TokenAccounting::Billed,
    };
    RateLimits {
        rpm: anywhere("rpm").and_then(|n| read::whole(n, 1, sink)),
        tpm: anywhere("tpm").and_then(|n| read::whole(n, 1, sink)),
        itpm: param("itpm").and_then(|n| read::whole(n, 1, sink)),
        otpm: param("otpm").and_then(|n| read::whole(n, 1, sink)),
        rpd: param("rpd").and_then(|n| read::whole(n, 1, sink)),
        tpd: param("tpd").and_then(|n| read::whole(n, 1, sink)),
        daily_reset: param("daily_reset_time").and_then(|n| time_of_day(n, sink)).unwrap_or_default(),
        parallel: param("max_parallel_requests").and_then(|n| read::whole(n, 1, sink)).or(common.parallel),
        weight: anywhere("weight").and_then(|n| read::amount(n, sink)),
        order: anywhere("order").and_then(|n| read::integer(n, sink)),
        rate_window: param("rate_window").and_then(|n| rate_window(n, sink)).or(common.rate_window),
        accounting: param("token_accounting")
            .and_then(|n| accounting(n, sink))
            .or(common.accounting)
            .unwrap_or(by_provider),
        price: None,
    }
}

/// Reads a time of the day, `HH:MM`.
fn time_of_day(node: &Node, sink: &mut DiagnosticSink<'_>) -> Option<Duration> {
    let text = read::text(node, sink)?;
    let number = |digits: &str, below: u64| {
        let number = digits.parse::<u64>().ok().filter(|number| *number < below);
        number.filter(|_| digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit()))
    };
    let time = text.split_once(':').and_then(|(hours, minutes)| {
        Some(Duration::from_secs(number(hours, 24)? * 3_600 + number(minutes, 60)? * 60))
    });
    if time.is_none() {
        sink.error(&node.at, "not a time of the day").help("write it in UTC as `HH:MM`, such as `07:30`");
    }
    time
}

/// The operations of LiteLLM's `mode` that are not served.
const UNSERVED_MODES: [&str; 4] = ["batch", "ocr", "realtime", "video_generation"];

/// Warns of a model that has no operation which is served: by its `mode`, else by the names of OpenAI's models.
fn warn_unserved_mode(entry: &ModelEntry, model: &str, sink: &mut DiagnosticSink<'_>) {
    if let Some(node) = entry.info.get("mode") {
        if let Value::Text(mode) = &node.value
            && UNSERVED_MODES.contains(&&**mode)
        {
            sink.warning(&node.at, format!("the operation `{mode}` is not served: its calls are a 404"));
        }
        return;
    }
    let names = ["gpt-realtime", "sora-"];
    if let Some(node) = entry.params.get("model").filter(|_| names.iter().any(|name| model.starts_with(name)))
    {
        sink.warning(&node.at, "the operations of this model are not served: their calls are a 404");
    }
}

fn mock(entry: &ModelEntry, sink: &mut DiagnosticSink<'_>) -> Option<MockResponse> {
    let delay = entry.params.get("mock_delay").and_then(|n| read::seconds(n, sink));
    let text = entry.params.get("mock_response").and_then(|n| read::text(n, sink))?;
    Some(MockResponse { text: text.into(), delay: delay.unwrap_or(Duration::ZERO) })
}

fn info(entry: &ModelEntry, sink: &mut DiagnosticSink<'_>) -> ModelInfo {
    warn_unsupported(&entry.info, sink);
    ModelInfo {
        max_input_tokens: entry.info.get("max_input_tokens").and_then(|n| read::whole(n, 1, sink)),
        tag_filtering: entry
            .info
            .get("enable_tag_filtering")
            .and_then(|n| read::boolean(n, sink))
            .unwrap_or_default(),
        quota_group: entry.info.get("quota_group").and_then(|n| read::text(n, sink)).map(Into::into),
        health_check_timeout: entry.info.get("health_check_timeout").and_then(|n| read::seconds(n, sink)),
        region: entry.params.get("region_name").and_then(|n| read::text(n, sink)).map(Into::into),
        ..ModelInfo::default()
    }
}

/// Warns of LiteLLM's keys that are not supported and of misspelled keys. Any other key is information without
/// effect.
fn warn_unsupported(info: &Section, sink: &mut DiagnosticSink<'_>) {
    for (key, node) in info.entries() {
        let name = key.at.last();
        if matches!(node.value, Value::Null | Value::Unset | Value::Bool(false)) || keys::INFO.contains(&name)
        {
            continue;
        }
        if let Some(grade) = keys::info_grade(name) {
            ignored::warn((key, node), grade, sink);
        } else if let Some(near) = keys::nearest(name, keys::INFO.iter().copied(), 2) {
            sink.warning(&key.at, format!("unknown key `{name}` in `model_info`"))
                .help(format!("did you mean `{near}`?"));
        }
    }
}
