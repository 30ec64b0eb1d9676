//! Prometheus metrics of the gateway: [`Metrics`], and the counters of each scope, [`ScopeMetrics`].
//!
//! A [`ScopeMetrics`] is looked up once, when the tree is built; a request then updates atomics only. The histogram of
//! prometheus-client takes a lock that all cores would share, and its families hash their labels. This module
//! therefore uses its encoder, but not its metric types.

mod rejected;
mod scope;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    time::Duration,
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet, text},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};
use tokio::time::Instant;
use tollgate_layers::retry::Budget;

pub(crate) use self::rejected::{Rejected, RejectedRequests};
use self::scope::HistogramSnapshot;
pub(crate) use self::scope::{RequestMetrics, ScopeMetrics};
use crate::shared_map::SharedMap;

/// The metrics of one gateway. Cheap to clone; two gateways in one process share nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    inner: Arc<Inner>,
}

/// The meters by their labels. Locked when a tree is built and when the metrics are read, never by a request.
type ScopeMap = Mutex<SharedMap<LabelList, Arc<ScopeMetrics>>>;

/// The meters of one kind of scope, in the order of their labels.
type Scopes = Vec<(LabelList, Arc<ScopeMetrics>)>;

/// The names and values of the labels of a scope.
type LabelList = Vec<(&'static str, Arc<str>)>;

#[derive(Debug, Default)]
struct Inner {
    gateway: Arc<ScopeMetrics>,
    rejected: Arc<RejectedRequests>,
    groups: ScopeMap,
    deployments: ScopeMap,
    budget: Budget,
}

impl Metrics {
    /// Returns the gateway's own meter, which counts each model request that passes admission control once.
    pub(crate) fn gateway(&self) -> Arc<ScopeMetrics> {
        Arc::clone(&self.inner.gateway)
    }

    /// Returns the counters of requests that are refused before they are a call of a model.
    pub(crate) fn rejected(&self) -> Arc<RejectedRequests> {
        Arc::clone(&self.inner.rejected)
    }

    /// Returns the meter of a group, which counts each request that reaches the group once, however many attempts it
    /// needs.
    pub(crate) fn group(&self, name: &Arc<str>) -> Arc<ScopeMetrics> {
        scope(&self.inner.groups, vec![("group", Arc::clone(name))])
    }

    /// Returns the meter of a deployment, which counts each attempt.
    pub(crate) fn deployment(&self, group: &Arc<str>, id: &Arc<str>) -> Arc<ScopeMetrics> {
        scope(&self.inner.deployments, vec![("group", Arc::clone(group)), ("deployment", Arc::clone(id))])
    }

    /// Returns the retry budget of the gateway. Its counters are among the metrics.
    pub(crate) fn budget(&self) -> &Budget {
        &self.inner.budget
    }

    /// Drops the meters of groups and deployments that only this map has held since `grace` before `now`.
    pub(crate) fn prune(&self, now: Instant, grace: Duration) {
        for scopes in [&self.inner.groups, &self.inner.deployments] {
            scopes.lock().unwrap_or_else(PoisonError::into_inner).prune(now, grace);
        }
    }

    /// Returns all metrics in the text format of Prometheus.
    ///
    /// # Errors
    /// Returns an error if the encoder refuses a value, which would be a bug of the gateway.
    pub(crate) fn render(&self) -> Result<String, fmt::Error> {
        let mut registry = Registry::with_prefix("tollgate");
        registry.register_collector(Box::new(self.clone()));
        let mut out = String::new();
        text::encode(&mut out, &registry)?;
        Ok(out)
    }
}

/// Returns the meter with these labels.
fn scope(scopes: &ScopeMap, labels: LabelList) -> Arc<ScopeMetrics> {
    scopes.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(labels, Arc::default)
}

/// Returns a copy of all meters, so that no lock is held while they are encoded.
fn snapshot(scopes: &ScopeMap) -> Scopes {
    scopes.lock().unwrap_or_else(PoisonError::into_inner).to_vec()
}

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let gateway = vec![(Vec::new(), self.gateway())];
        let deployments = snapshot(&self.inner.deployments);
        let scopes = [
            ("requests", "model requests of clients", &gateway),
            ("group_requests", "requests that reached a group", &snapshot(&self.inner.groups)),
            ("deployment_attempts", "attempts on a deployment", &deployments),
        ];
        for (name, help, scopes) in scopes {
            encode_scopes(&mut encoder, name, help, scopes)?;
        }
        encode_rejected(&mut encoder, &self.inner.rejected)?;
        let mut broken = encoder.encode_descriptor(
            "deployment_broken_events",
            "Stream events with invalid JSON",
            None,
            MetricType::Counter,
        )?;
        for (labels, meter) in &deployments {
            let count = meter.broken_events.load(Ordering::Relaxed);
            ConstCounter::new(count).encode(broken.encode_family(labels)?)?;
        }
        let counts = self.inner.budget.counts();
        let counts = [
            ("retry_budget_first_attempts", "First attempts counted by the retry budget", counts.deposits),
            ("retry_budget_repeats", "Retries permitted by the retry budget", counts.withdrawals),
            ("retry_budget_refused", "Retries refused by the retry budget", counts.refused),
        ];
        for (name, help, count) in counts {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            ConstCounter::new(count).encode(metric)?;
        }
        Ok(())
    }
}

fn encode_rejected(encoder: &mut DescriptorEncoder<'_>, rejected: &RejectedRequests) -> fmt::Result {
    let help = "Requests refused before they were a call of a model, by error code";
    let mut family = encoder.encode_descriptor("rejected_requests", help, None, MetricType::Counter)?;
    for (code, count) in rejected.by_code() {
        ConstCounter::new(count).encode(family.encode_family(&[("code", code)])?)?;
    }
    Ok(())
}

fn encode_scopes(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    scopes: &Scopes,
) -> Result<(), fmt::Error> {
    let ended = format!("Completed {help}, by outcome class");
    let mut family = encoder.encode_descriptor(name, &ended, None, MetricType::Counter)?;
    for (labels, meter) in scopes {
        for (class, count) in meter.results() {
            let mut labels = labels.clone();
            labels.push(("class", class.into()));
            ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
        }
    }
    let in_flight = format!("{name}_in_flight");
    let now = format!("In flight: {help}");
    let mut family = encoder.encode_descriptor(&in_flight, &now, None, MetricType::Gauge)?;
    for (labels, meter) in scopes {
        ConstGauge::new(meter.in_flight()).encode(family.encode_family(labels)?)?;
    }
    type Read = fn(&ScopeMetrics) -> HistogramSnapshot;
    let histograms: [(_, _, Read); 2] = [
        ("duration_seconds", "Duration of", ScopeMetrics::durations),
        ("first_content_seconds", "Time to the first content of", ScopeMetrics::first_contents),
    ];
    for (what, measured, read) in histograms {
        let name = format!("{name}_{what}");
        let taken = format!("{measured} {help}, in seconds");
        let mut family = encoder.encode_descriptor(&name, &taken, None, MetricType::Histogram)?;
        for (labels, meter) in scopes {
            let (sum, count, buckets) = read(meter);
            family.encode_family(labels)?.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tollgate_layers::{Class, OnComplete, Outcome};

    use super::*;

    #[test]
    fn the_metrics_text_has_every_scope_with_its_labels_escaped() {
        let metrics = Metrics::default();
        let group: Arc<str> = "gpt \"4\"\n".into();
        metrics.group(&group).begin();
        metrics.group(&group).end(Some(Class::RateLimited), Duration::from_millis(30));
        metrics.deployment(&group, &"eu-1".into()).begin();
        let text = metrics.render().unwrap();
        assert!(
            text.contains(r#"tollgate_group_requests_total{group="gpt \"4\"\n",class="rate_limited"} 1"#),
            "{text}"
        );
        assert!(
            text.contains(
                r#"tollgate_deployment_attempts_in_flight{group="gpt \"4\"\n",deployment="eu-1"} 1"#
            ),
            "{text}"
        );
        assert!(
            text.contains(
                r#"tollgate_group_requests_duration_seconds_bucket{le="0.05",group="gpt \"4\"\n"} 1"#
            ),
            "{text}"
        );
    }

    #[test]
    fn a_complete_response_counts_in_both_histograms_and_a_failed_one_in_the_duration() {
        let metrics = Metrics::default();
        let end = |success, class| {
            let mut count = RequestMetrics::begin(metrics.gateway());
            count.head(success, true);
            count.complete(&Outcome::new(class));
        };
        end(true, Class::Success);
        end(false, Class::RateLimited);
        let text = metrics.render().unwrap();
        for line in ["requests_duration_seconds_count{} 2", "requests_first_content_seconds_count{} 1"] {
            assert!(text.contains(&format!("tollgate_{line}\n")), "{line}: {text}");
        }
        assert_eq!(metrics.gateway().in_flight(), 0);
    }

    #[test]
    fn a_request_metric_dropped_without_outcome_counts_as_cancelled() {
        let meter = ScopeMetrics::default();
        meter.begin();
        meter.end(None, Duration::ZERO);
        assert_eq!(meter.in_flight(), 0);
        assert_eq!(meter.results().find(|(name, _)| *name == "cancelled"), Some(("cancelled", 1)));
    }
}
