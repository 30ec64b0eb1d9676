//! Resolves an entry of `model_list`: limits, timeouts, mock response and model info.

use std::{sync::Arc, time::Duration};

use super::{defaults, settings::Both, target};
use crate::config::{
    Accounting, Clocks, Deployment, Info, Limits, Mock, Provider, Target,
    error::Sink,
    keys,
    raw::{Entry, Environment, Raw},
    read::{self, Section},
    yaml::{Node, Value},
};

/// The settings that are defaults for every deployment.
pub(super) struct General<'r> {
    pub(super) env: &'r Environment<'r>,
    rate_window: Option<u64>,
    accounting: Option<Accounting>,
    http2: bool,
}

impl<'r> General<'r> {
    pub(super) fn read(raw: &'r Raw<'_>, sink: &mut Sink<'_>) -> Self {
        let both = Both::of(raw);
        Self {
            env: &raw.env,
            rate_window: both.read("rate_window", sink, rate_window),
            accounting: both.read("token_accounting", sink, accounting),
            http2: both.read("http2", sink, read::boolean).unwrap_or_default(),
        }
    }
}

fn rate_window(node: &Node, sink: &mut Sink<'_>) -> Option<u64> {
    read::choice(node, &[("1", 1), ("10", 10), ("60", 60)], sink)
}

fn accounting(node: &Node, sink: &mut Sink<'_>) -> Option<Accounting> {
    read::choice(node, &[("azure", Accounting::Azure), ("billed", Accounting::Billed)], sink)
}

/// Resolves an entry. Returns none if its target is invalid; the errors are in the sink.
pub(super) fn resolve(
    entry: &Entry,
    id: Arc<str>,
    general: &General<'_>,
    sink: &mut Sink<'_>,
) -> Option<Deployment> {
    if !entry.params.is_map() {
        return None;
    }
    let param = |name| entry.params.get(name);
    let mock = mock(entry, sink);
    let target = target::resolve(entry, mock.is_some(), general, sink);
    let provider = target.as_ref().map(|t| t.vendor.provider);
    let limits = limits(entry, provider, general, sink);
    let clocks = Clocks {
        attempt: param("timeout").or(param("request_timeout")).and_then(|n| read::positive_seconds(n, sink)),
        first_content: param("stream_timeout").and_then(|n| read::positive_seconds(n, sink)),
        idle: param("stream_idle_timeout").and_then(|n| read::positive_seconds(n, sink)),
    };
    let cooldown = entry.info.get("cooldown_time").or(param("cooldown_time"));
    let num_retries = param("num_retries").and_then(|n| read::whole(n, 0, sink));
    let cooldown_time = cooldown.and_then(|n| read::seconds(n, sink));
    let allowed_fails = entry.info.get("allowed_fails").and_then(|n| read::whole(n, 0, sink));
    let defaults = defaults::resolve(&entry.params, sink);
    let info = info(entry, sink);
    let group = entry.name.clone();
    let target = Target { http2: http2(entry, general, sink), ..target? };
    let deployment = Deployment {
        id,
        group,
        target,
        limits,
        clocks,
        num_retries,
        cooldown_time,
        allowed_fails,
        defaults,
        mock,
        info,
    };
    Some(deployment)
}

fn http2(entry: &Entry, general: &General<'_>, sink: &mut Sink<'_>) -> bool {
    entry.params.get("http2").and_then(|n| read::boolean(n, sink)).unwrap_or(general.http2)
}

fn limits(entry: &Entry, provider: Option<Provider>, general: &General<'_>, sink: &mut Sink<'_>) -> Limits {
    let param = |name| entry.params.get(name);
    // LiteLLM's order of precedence.
    let anywhere = |name| entry.top.get(name).or(param(name)).or(entry.info.get(name));
    let by_provider = match provider {
        Some(Provider::Azure) => Accounting::Azure,
        Some(Provider::OpenAi | Provider::Versioned | Provider::HuggingFace) | None => Accounting::Billed,
    };
    let costs = ["input_cost_per_token", "output_cost_per_token"];
    let costs: Vec<_> =
        costs.iter().filter_map(|name| param(name)).filter_map(|n| read::amount(n, sink)).collect();
    Limits {
        rpm: anywhere("rpm").and_then(|n| read::whole(n, 1, sink)),
        tpm: anywhere("tpm").and_then(|n| read::whole(n, 1, sink)),
        parallel: param("max_parallel_requests").and_then(|n| read::whole(n, 1, sink)),
        weight: anywhere("weight").and_then(|n| read::amount(n, sink)),
        order: anywhere("order").and_then(|n| read::integer(n, sink)),
        rate_window: param("rate_window").and_then(|n| rate_window(n, sink)).or(general.rate_window),
        accounting: param("token_accounting")
            .and_then(|n| accounting(n, sink))
            .or(general.accounting)
            .unwrap_or(by_provider),
        price: (!costs.is_empty()).then(|| costs.iter().sum()),
    }
}

fn mock(entry: &Entry, sink: &mut Sink<'_>) -> Option<Mock> {
    let delay = entry.params.get("mock_delay").and_then(|n| read::seconds(n, sink));
    let text = entry.params.get("mock_response").and_then(|n| read::text(n, sink))?;
    Some(Mock { text: text.into(), delay: delay.unwrap_or(Duration::ZERO) })
}

fn info(entry: &Entry, sink: &mut Sink<'_>) -> Info {
    warn_unserved(&entry.info, sink);
    Info {
        max_input_tokens: entry.info.get("max_input_tokens").and_then(|n| read::whole(n, 1, sink)),
        quota_group: entry.info.get("quota_group").and_then(|n| read::text(n, sink)).map(Into::into),
    }
}

/// Warns of LiteLLM's keys that are not supported and of misspelled keys. Any other key is information without
/// effect.
fn warn_unserved(info: &Section, sink: &mut Sink<'_>) {
    for (key, node) in info.entries() {
        let name = key.at.last();
        if matches!(node.value, Value::Null | Value::Unset | Value::Bool(false)) || keys::INFO.contains(&name)
        {
            continue;
        }
        if keys::INFO_NOT_SERVED.contains(&name) {
            let entry = sink.warning(&key.at, format!("`{name}` is not supported yet"));
            if name == "blocked" {
                entry.help("the deployment is called like any other: remove it from `model_list`");
            }
        } else if let Some(near) = keys::nearest(name, keys::INFO.iter().copied(), 2) {
            sink.warning(&key.at, format!("unknown key `{name}` in `model_info`"))
                .help(format!("did you mean `{near}`?"));
        }
    }
}
