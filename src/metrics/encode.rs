//! The families of metrics, and their names: [`Metrics::encode`].

use std::{sync::atomic::Ordering, time::SystemTime};

use super::{
    LabelList, Metrics, RejectedRequests, ScopeMetrics, Scopes, label, ledger, process,
    scope::{RESULTS, TOKEN_KINDS},
    snapshot, states,
    text::{Kind, Label, Writer},
};
use crate::spend::NANO;

impl Metrics {
    /// Writes all families.
    pub(super) fn encode(&self, writer: &mut Writer) {
        let gateway = vec![(Vec::new(), self.gateway())];
        let groups = snapshot(&self.inner.groups);
        let (deployments, keys) = (snapshot(&self.inner.deployments), snapshot(&self.inner.keys));
        let rejected = Some(&*self.inner.rejected);
        let scopes = [
            ("tollgate_requests", "calls of models by clients", &gateway, rejected),
            ("tollgate_group_requests", "requests that reached a group", &groups, None),
            ("tollgate_key_requests", "calls of models with a client key", &keys, None),
            ("tollgate_deployment_attempts", "attempts on a deployment", &deployments, None),
        ];
        for (name, of, scopes, rejected) in scopes {
            ScopeFamilies { name, of, scopes, rejected }.encode(writer);
        }
        let help = "Cost of the attempts on a deployment, in US dollars, where costs are read.";
        encode_cost(("tollgate_deployment_cost_dollars", help), &deployments, writer);
        let help = "Cost of the requests with a client key, in US dollars.";
        encode_cost(("tollgate_key_cost_dollars", help), &keys, writer);
        self.encode_broken_events(&deployments, writer);
        encode_groups(&groups, writer);
        self.encode_states(&deployments, writer);
        self.encode_rejected(writer);
        self.encode_retry_budget(writer);
        self.encode_budget(writer);
        let dropped = self.inner.dropped_log_lines.load(Ordering::Relaxed);
        let help = "Lines of the access log that were lost, because its writer was too slow or failed.";
        writer.family("tollgate_access_log_dropped_lines", Kind::Counter, help).sample(&[], dropped);
        let dropped = self.inner.dropped_traces.load(Ordering::Relaxed);
        let help = "Requests whose spans were lost, because the collector was too slow or refused them.";
        writer.family("tollgate_traces_dropped_requests", Kind::Counter, help).sample(&[], dropped);
        self.inner.connections.encode(writer);
        self.inner.reloads.encode(writer);
        if let Some(member) = self.inner.member.get() {
            ledger::encode(member, writer);
        }
        let help = "The version of the gateway; always 1.";
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        writer.family("tollgate_build_info", Kind::Gauge, help).sample(&version, 1);
        process::encode(writer);
    }

    /// Writes the health and the limits of the deployments.
    fn encode_states(&self, deployments: &Scopes, writer: &mut Writer) {
        let ids = deployments.iter().filter_map(|(labels, _)| label(labels, "deployment"));
        let states = self.inner.registry.states(ids.map(|id| &**id));
        let known = deployments.iter().zip(states).filter_map(|((labels, _), state)| Some((labels, state?)));
        states::encode(&known.collect::<Vec<_>>(), writer);
    }

    fn encode_broken_events(&self, deployments: &Scopes, writer: &mut Writer) {
        let help = "Events of streams that were not JSON.";
        let mut family = writer.family("tollgate_deployment_broken_events", Kind::Counter, help);
        for (labels, meter) in deployments {
            family.sample(&borrowed(labels), meter.broken_events.load(Ordering::Relaxed));
        }
    }

    fn encode_rejected(&self, writer: &mut Writer) {
        let help = "Requests refused before they were a call of a model, by error code.";
        let mut family = writer.family("tollgate_rejected_requests", Kind::Counter, help);
        for (code, _, count) in self.inner.rejected.read() {
            family.sample(&[("code", code)], count);
        }
    }

    /// Writes the budget of the whole gateway, if it has one.
    fn encode_budget(&self, writer: &mut Writer) {
        let Some(budget) = self.inner.registry.lock().gateway_budget.clone() else { return };
        let budget = budget.usage(SystemTime::now());
        let help = "The budget of the gateway (max_budget) in dollars.";
        writer.family("tollgate_budget_limit_dollars", Kind::Gauge, help).sample(&[], budget.max);
        let help = "The part of the budget that is spent in the present period.";
        writer.family("tollgate_budget_spent_dollars", Kind::Gauge, help).sample(&[], budget.spent);
    }

    fn encode_retry_budget(&self, writer: &mut Writer) {
        let counts = self.inner.budget.counts();
        let counts = [
            ("first_attempts", "First attempts counted by the retry budget.", counts.deposits),
            ("repeats", "Retries permitted by the retry budget.", counts.withdrawals),
            ("refused", "Retries refused by the retry budget.", counts.refused),
        ];
        for (name, help, count) in counts {
            let name = format!("tollgate_retry_budget_{name}");
            writer.family(&name, Kind::Counter, help).sample(&[], count);
        }
    }
}

/// Writes the families that only groups have.
fn encode_groups(groups: &Scopes, writer: &mut Writer) {
    let help = "Attempts that followed a failed one in the group, by the class of the failure.";
    repeats(("tollgate_group_retries", help), groups, 0, writer);
    let help = "Requests that came from a group that had failed, by the class of the failure.";
    repeats(("tollgate_group_fallbacks", help), groups, 1, writer);
    let help = "Requests that wait for capacity.";
    let mut family = writer.family("tollgate_group_queue_length", Kind::Gauge, help);
    let queues: Vec<_> = groups.iter().map(|(labels, meter)| (borrowed(labels), meter.queue())).collect();
    for (labels, (length, _)) in &queues {
        family.sample(labels, length);
    }
    let help = "Waits for capacity, of the requests that had to wait.";
    let mut family = writer.family("tollgate_group_queue_wait_seconds", Kind::Histogram, help);
    for (labels, (_, waits)) in queues.iter().filter(|(_, (_, waits))| waits.count > 0) {
        family.histogram(labels, waits);
    }
}

/// Writes the costs of the scopes that have any.
fn encode_cost((name, help): (&str, &str), scopes: &Scopes, writer: &mut Writer) {
    let mut family = writer.family(name, Kind::Counter, help);
    let costs = scopes.iter().map(|(labels, meter)| (labels, meter.nanodollars().load(Ordering::Relaxed)));
    for (labels, cost) in costs.filter(|(_, cost)| *cost > 0) {
        family.sample(&borrowed(labels), cost as f64 / NANO);
    }
}

fn repeats((name, help): (&str, &str), groups: &Scopes, which: usize, writer: &mut Writer) {
    let mut family = writer.family(name, Kind::Counter, help);
    for (labels, meter) in groups {
        for (class, count) in meter.repeats()[which].iter().filter(|(_, count)| *count > 0) {
            let mut labels = borrowed(labels);
            labels.push(("class", class));
            family.sample(&labels, count);
        }
    }
}

/// The families of one kind of scope.
struct ScopeFamilies<'a> {
    /// The beginning of their names.
    name: &'a str,
    /// The subject of their descriptions.
    of: &'a str,
    scopes: &'a Scopes,
    /// Of the gateway: the requests that were refused before they were a call of a model.
    rejected: Option<&'a RejectedRequests>,
}

impl ScopeFamilies<'_> {
    fn encode(&self, writer: &mut Writer) {
        self.results(writer);
        let help = format!("In flight now: {}.", self.of);
        let name = format!("{}_in_flight", self.name);
        let mut family = writer.family(&name, Kind::Gauge, &help);
        for (labels, meter) in self.scopes {
            family.sample(&borrowed(labels), meter.in_flight());
        }
        self.durations(writer);
        self.tokens(writer);
    }

    fn results(&self, writer: &mut Writer) {
        let help = format!("Ended {}, by operation, class and status.", self.of);
        let mut family = writer.family(self.name, Kind::Counter, &help);
        for (labels, meter) in self.scopes {
            for (result, count) in meter.results() {
                let status = result.status();
                let mut labels = borrowed(labels);
                labels.extend([("operation", result.operation()), ("status", &*status)]);
                labels.push(("class", result.class()));
                family.sample(&labels, count);
            }
        }
        let rejected = self.rejected.into_iter().flat_map(RejectedRequests::read);
        for (_, status, count) in rejected.filter(|(.., count)| *count > 0) {
            family.sample(&[("operation", "none"), ("status", status), ("class", "caller")], count);
        }
    }

    fn durations(&self, writer: &mut Writer) {
        let help = format!("Time to the end of {}, by result.", self.of);
        let name = format!("{}_duration_seconds", self.name);
        let mut family = writer.family(&name, Kind::Histogram, &help);
        for (labels, meter) in self.scopes {
            for (result, histogram) in RESULTS.iter().zip(meter.durations()).filter(|(_, h)| h.count > 0) {
                let mut labels = borrowed(labels);
                labels.push(("result", result));
                family.histogram(&labels, &histogram);
            }
        }
        let first: fn(&ScopeMetrics) -> _ = ScopeMetrics::first_contents;
        let histograms = [
            ("first_content_seconds", "Time to the first content of", first),
            ("event_interval_seconds", "Mean time between the events of each stream of", |meter| {
                meter.between_events()
            }),
        ];
        for (what, measured, read) in histograms {
            let help = format!("{measured} {}.", self.of);
            let name = format!("{}_{what}", self.name);
            let mut family = writer.family(&name, Kind::Histogram, &help);
            for (labels, meter) in self.scopes {
                let histogram = read(meter);
                if histogram.count > 0 || labels.is_empty() {
                    family.histogram(&borrowed(labels), &histogram);
                }
            }
        }
    }

    fn tokens(&self, writer: &mut Writer) {
        let help =
            format!("Tokens that upstreams have reported for {}; cached ones are input, too.", self.of);
        let name = format!("{}_tokens", self.name);
        let mut family = writer.family(&name, Kind::Counter, &help);
        for (labels, meter) in self.scopes {
            for (kind, count) in TOKEN_KINDS.iter().zip(meter.tokens()).filter(|(_, count)| *count > 0) {
                let mut labels = borrowed(labels);
                labels.push(("kind", kind));
                family.sample(&labels, count);
            }
        }
    }
}

pub(super) fn borrowed(labels: &LabelList) -> Vec<Label<'_>> {
    labels.iter().map(|(name, value)| (*name, &**value)).collect()
}
