//! The JSON of the status: [`Data`]. `docs/status.md` describes its fields.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use serde::Serialize;
use tokio::time::Instant;
use tollgate_layers::{
    ledger::{Member, MemberSnapshot},
    quota::{Limits, MeterSnapshot, RateWindow},
};

use super::{Access, DeploymentHandles, GroupHandles, Status, millis, state_name, unix_millis};
use crate::{
    config::{Diagnostic, Severity},
    metrics::{BOUNDS, RecentError, ScopeMetrics},
    request::Client,
    spend::{self, BudgetUse},
};

/// The whole status.
#[derive(Debug, Serialize)]
pub(super) struct Data<'a> {
    version: &'static str,
    now_ms: u64,
    uptime_ms: u64,
    /// True after a shutdown signal.
    draining: bool,
    /// True if the caller may operate deployments.
    may_operate: bool,
    /// The upper bounds of the counts of latencies, which have one more: that of all longer ones.
    bounds_ms: [u64; BOUNDS.len()],
    gateway: Gateway,
    /// None in a gateway alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    replicas: Option<Replicas>,
    groups: Vec<Group<'a>>,
    left_out: Vec<LeftOut<'a>>,
    warnings: Vec<Warning<'a>>,
    keys: Vec<Key<'a>>,
}

#[derive(Debug, Serialize)]
struct Gateway {
    max_in_flight: usize,
    budget: Option<Budget>,
    #[serde(flatten)]
    traffic: Traffic,
}

#[derive(Debug, Serialize)]
struct Group<'a> {
    name: &'a str,
    queue: u64,
    #[serde(flatten)]
    traffic: Traffic,
    deployments: Vec<Deployment<'a>>,
}

#[derive(Debug, Serialize)]
struct Deployment<'a> {
    id: &'a str,
    model: &'a str,
    state: &'static str,
    /// The rest of the cooldown.
    ends_in_ms: u64,
    /// The rest of the server hold.
    held_ms: u64,
    /// The number of cooldowns so far.
    cooldowns: u32,
    limits: LimitsInUse,
    #[serde(flatten)]
    traffic: Traffic,
    /// The last failures, the latest first.
    errors: Vec<LastError>,
}

/// The counts of a scope since the start.
#[derive(Debug, Serialize)]
struct Traffic {
    in_flight: u64,
    /// Ended requests, or attempts of a deployment, by class.
    results: BTreeMap<&'static str, u64>,
    /// Successes by the time to their first content: one count for each bound, and one.
    first_content: Vec<u64>,
    /// Successes by their duration.
    duration: Vec<u64>,
}

#[derive(Debug, Serialize)]
struct LimitsInUse {
    requests: Limit,
    tokens: Limit,
    parallel: Limit,
    /// The window over which requests are counted, if it is known.
    window_seconds: Option<u64>,
}

/// A limit and its use.
#[derive(Debug, Serialize)]
struct Limit {
    used: u64,
    /// The present limit; it differs from the configured one where responses have shown a lower one.
    limit: Option<u64>,
    configured: Option<u64>,
    /// The part that this replica may use, if replicas share the limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    leased: Option<u64>,
}

/// The replicas that share the limits.
#[derive(Debug, Serialize)]
struct Replicas {
    /// The number of live replicas, at the last response of the ledger.
    live: u64,
    /// True if the last sync with the ledger succeeded.
    in_touch: bool,
    /// The time since the last response.
    stale_ms: u64,
}

#[derive(Debug, Serialize)]
struct LastError {
    at_ms: u64,
    class: &'static str,
    /// The status of the upstream, if it has responded.
    status: Option<u16>,
    message: String,
}

#[derive(Debug, Serialize)]
struct LeftOut<'a> {
    group: Option<&'a str>,
    id: &'a str,
    line: usize,
    reason: &'a str,
}

#[derive(Debug, Serialize)]
struct Warning<'a> {
    grade: String,
    line: usize,
    path: &'a str,
    message: &'a str,
    help: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct Key<'a> {
    name: &'a str,
    expired: bool,
    requests: Limit,
    tokens: Limit,
    parallel: Limit,
    budget: Option<Budget>,
}

/// A budget in dollars and its use.
#[derive(Debug, Serialize)]
struct Budget {
    spent: f64,
    max: f64,
    /// The time until it is renewed; none if it never is, or if it was not used since.
    renewed_in_ms: Option<u64>,
}

impl<'a> Data<'a> {
    /// Reads the present values.
    pub(super) fn read(status: &'a Status, access: Access, draining: bool) -> Self {
        let now = Instant::now();
        let left_out = status.left_out.iter().map(|entry| LeftOut {
            group: entry.group.as_deref(),
            id: &entry.id,
            line: entry.line,
            reason: &entry.reason,
        });
        Self {
            version: env!("CARGO_PKG_VERSION"),
            now_ms: unix_millis(SystemTime::now()),
            uptime_ms: millis(now.saturating_duration_since(status.started)),
            draining,
            may_operate: access == Access::Operate,
            bounds_ms: BOUNDS,
            gateway: Gateway {
                max_in_flight: status.max_in_flight,
                budget: status.budget.as_deref().map(Budget::read),
                traffic: Traffic::read(&status.gateway),
            },
            replicas: status.member.as_ref().map(Replicas::read),
            groups: status.groups.iter().map(|group| Group::read(group, now)).collect(),
            left_out: left_out.collect(),
            warnings: status.warnings.iter().filter_map(Warning::read).collect(),
            keys: status.clients.iter().map(|client| Key::read(client)).collect(),
        }
    }
}

impl<'a> Group<'a> {
    fn read(group: &'a GroupHandles, now: Instant) -> Self {
        Self {
            name: &group.name,
            queue: group.metrics.queue_length(),
            traffic: Traffic::read(&group.metrics),
            deployments: group.deployments.iter().map(|one| Deployment::read(one, now)).collect(),
        }
    }
}

impl<'a> Deployment<'a> {
    fn read(deployment: &'a DeploymentHandles, now: Instant) -> Self {
        let (health, meters) = (deployment.health.snapshot(), deployment.meters.snapshot());
        let left = health.until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        Self {
            id: &deployment.id,
            model: &deployment.model,
            state: state_name(health.state),
            ends_in_ms: millis(left),
            held_ms: millis(meters.closed_for.unwrap_or_default()),
            cooldowns: health.cooldowns,
            limits: LimitsInUse::read(&meters, &deployment.meters.limits()),
            traffic: Traffic::read(&deployment.metrics),
            errors: deployment.metrics.recent_errors().read().into_iter().map(LastError::read).collect(),
        }
    }
}

impl Traffic {
    fn read(metrics: &ScopeMetrics) -> Self {
        let [first_content, duration] = metrics.latency_counts();
        let mut results = BTreeMap::new();
        for (labels, count) in metrics.results() {
            *results.entry(labels.class()).or_default() += count;
        }
        Self { in_flight: metrics.in_flight(), results, first_content, duration }
    }
}

impl Budget {
    fn read(budget: &spend::Budget) -> Self {
        let BudgetUse { max, spent, renewed_after } = budget.usage(SystemTime::now());
        Self { spent, max, renewed_in_ms: renewed_after.map(millis) }
    }
}

impl Replicas {
    fn read(member: &Member) -> Self {
        let MemberSnapshot { replicas, in_touch, stale, .. } = member.snapshot();
        Self { live: replicas, in_touch, stale_ms: millis(stale) }
    }
}

impl LimitsInUse {
    fn read(meters: &MeterSnapshot, configured: &Limits) -> Self {
        let limit = |used, limit, configured, leased| Limit { used, limit, configured, leased };
        let parallel = configured.in_flight.map(u64::from);
        let MeterSnapshot { request_lease, token_lease, in_flight_lease, .. } = *meters;
        Self {
            requests: limit(meters.requests, meters.request_limit, configured.requests, request_lease),
            tokens: limit(meters.tokens, meters.token_limit, configured.tokens, token_lease),
            parallel: limit(meters.in_flight.into(), parallel, parallel, in_flight_lease),
            window_seconds: meters.window.map(RateWindow::seconds),
        }
    }
}

impl LastError {
    fn read(error: RecentError) -> Self {
        let RecentError { at, class, status, message } = error;
        Self { at_ms: unix_millis(at), class, status, message }
    }
}

impl<'a> Warning<'a> {
    fn read(diagnostic: &'a Diagnostic) -> Option<Self> {
        let Severity::Warning(grade) = diagnostic.severity else { return None };
        Some(Self {
            grade: grade.to_string(),
            line: diagnostic.line,
            path: &diagnostic.path,
            message: &diagnostic.message,
            help: diagnostic.help.as_deref(),
        })
    }
}

impl<'a> Key<'a> {
    fn read(client: &'a Client) -> Self {
        let limits = LimitsInUse::read(&client.meters.snapshot(), &client.meters.limits());
        let LimitsInUse { requests, tokens, parallel, .. } = limits;
        let budget = client.budget.as_deref().map(Budget::read);
        Self { name: &client.name, expired: client.has_expired(), requests, tokens, parallel, budget }
    }
}
