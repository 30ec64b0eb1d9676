//! The families about the health and the limits of deployments.

use tokio::time::Instant;
use tollgate_layers::quota::{Limits, MeterSnapshot};

use super::{
    LabelList,
    encode::borrowed,
    text::{Kind, Writer},
};
use crate::registry::DeploymentState;

/// The states of deployments, by their labels.
type States<'a> = [(&'a LabelList, DeploymentState)];

/// A value of a deployment that has a kind: of requests, of tokens or of calls in flight.
type ByKind = fn(&MeterSnapshot, &Limits) -> [Option<u64>; KINDS.len()];

/// The values of the label `kind`.
const KINDS: [&str; 7] = [
    "requests",
    "tokens",
    "in_flight",
    "input_tokens",
    "output_tokens",
    "requests_per_day",
    "tokens_per_day",
];

/// Writes the families.
pub(super) fn encode(states: &States<'_>, writer: &mut Writer) {
    health(states, writer);
    limits(states, writer);
}

fn health(states: &States<'_>, writer: &mut Writer) {
    let help = "1 if the deployment cools down, or is half open after a cooldown.";
    let mut family = writer.family("tollgate_deployment_cooling_down", Kind::Gauge, help);
    for (labels, state) in states {
        family.sample(&borrowed(labels), u8::from(state.cools_down()));
    }
    let help = "Cooldowns since the start, or since the deployment's key or address has changed.";
    let mut family = writer.family("tollgate_deployment_cooldowns", Kind::Counter, help);
    for (labels, state) in states {
        family.sample(&borrowed(labels), state.health.cooldowns);
    }
    let help = "Time until a cooldown ends or a server hold, which an upstream's Retry-After began.";
    let mut family = writer.family("tollgate_deployment_closed_seconds", Kind::Gauge, help);
    for (labels, state) in states {
        let cooldown = state.health.until.map(|until| until.saturating_duration_since(Instant::now()));
        let closed = cooldown.max(state.meters.closed_for).unwrap_or_default();
        family.sample(&borrowed(labels), closed.as_secs_f64());
    }
}

fn limits(states: &States<'_>, writer: &mut Writer) {
    let help = "The limit in force: per minute, per day, or of calls in flight; configured or learnt.";
    let families: [(&str, &str, ByKind); 4] = [
        ("limit", help, in_force),
        ("limit_configured", "The limit in the configuration.", |_, limits| configured(limits)),
        ("limit_used", "The used part of the limit: in the last minute, on the day, or in flight.", used),
        ("lease", "The part of the limit that this replica may use, if replicas share it.", leased),
    ];
    for (name, help, read) in families {
        let name = format!("tollgate_deployment_{name}");
        let mut family = writer.family(&name, Kind::Gauge, help);
        for (labels, state) in states {
            let values = KINDS.iter().zip(read(&state.meters, &state.limits));
            for (kind, value) in values.filter_map(|(kind, value)| Some((kind, value?))) {
                let mut labels = borrowed(labels);
                labels.push(("kind", kind));
                family.sample(&labels, value);
            }
        }
    }
}

/// Returns the limits in force. Only those of requests and of tokens per minute are learned.
fn in_force(m: &MeterSnapshot, limits: &Limits) -> [Option<u64>; KINDS.len()] {
    let [_, _, others @ ..] = configured(limits);
    let [in_flight, input, output, requests_per_day, tokens_per_day] = others;
    [m.request_limit, m.token_limit, in_flight, input, output, requests_per_day, tokens_per_day]
}

fn configured(limits: &Limits) -> [Option<u64>; KINDS.len()] {
    [
        limits.requests,
        limits.tokens,
        limits.in_flight.map(u64::from),
        limits.input_tokens,
        limits.output_tokens,
        limits.daily.and_then(|daily| daily.requests),
        limits.daily.and_then(|daily| daily.tokens),
    ]
}

/// Returns the used parts of the limits in force.
fn used(m: &MeterSnapshot, limits: &Limits) -> [Option<u64>; KINDS.len()] {
    let used = [
        m.requests,
        m.tokens,
        m.in_flight.into(),
        m.input_tokens,
        m.output_tokens,
        m.daily_requests,
        m.daily_tokens,
    ];
    let mut limits = in_force(m, limits).into_iter();
    used.map(|used| limits.next().flatten().map(|_| used))
}

/// Returns the leased parts of the limits that replicas share.
fn leased(m: &MeterSnapshot, _: &Limits) -> [Option<u64>; KINDS.len()] {
    [m.request_lease, m.token_lease, m.in_flight_lease, None, None, None, None]
}
