//! Prometheus metrics of the gateway: [`Metrics`], and the counters of each scope, [`ScopeMetrics`].
//!
//! A [`ScopeMetrics`] is looked up once, when the tree is built; a request then updates atomics only.

mod connections;
mod encode;
mod histogram;
mod ledger;
mod process;
mod recent;
mod rejected;
mod reloads;
mod results;
mod scope;
mod states;
mod text;

use std::{
    sync::{Arc, Mutex, OnceLock, PoisonError, atomic::AtomicU64},
    time::Duration,
};

use tokio::time::Instant;
use tollgate_layers::{ledger::Member, retry::Budget};

use self::text::Writer;
pub(crate) use self::{
    connections::{ConnectionMetrics, OpenConnection},
    histogram::BOUNDS,
    recent::RecentError,
    rejected::{Rejected, RejectedRequests},
    reloads::ReloadMetrics,
    results::{ResultLabels, class_name},
    scope::{BodyStats, RequestMetrics, ResponseHead, ScopeMetrics, Tokens},
    text::Format,
};
use crate::{registry::Registry, shared_map::SharedMap};

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
    keys: ScopeMap,
    deployments: ScopeMap,
    budget: Budget,
    dropped_log_lines: Arc<AtomicU64>,
    /// Requests whose spans were lost.
    dropped_traces: Arc<AtomicU64>,
    connections: ConnectionMetrics,
    reloads: ReloadMetrics,
    /// The member of the ledger of replicas; none in a gateway alone.
    member: OnceLock<Member>,
    registry: Registry,
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

    /// Returns the meter of a client key, which counts each request that its client may make.
    pub(crate) fn key(&self, name: &Arc<str>) -> Arc<ScopeMetrics> {
        scope(&self.inner.keys, vec![("key", Arc::clone(name))])
    }

    /// Returns the meter of a deployment, which counts each attempt.
    pub(crate) fn deployment(&self, group: &Arc<str>, id: &Arc<str>) -> Arc<ScopeMetrics> {
        scope(&self.inner.deployments, vec![("group", Arc::clone(group)), ("deployment", Arc::clone(id))])
    }

    /// Returns the meters and the health of all deployments.
    pub(crate) fn registry(&self) -> &Registry {
        &self.inner.registry
    }

    /// Returns the counts of connections.
    pub(crate) fn connections(&self) -> ConnectionMetrics {
        self.inner.connections.clone()
    }

    /// Returns the counts of reloads.
    pub(crate) fn reloads(&self) -> &ReloadMetrics {
        &self.inner.reloads
    }

    /// Adds the metrics of the ledger of replicas.
    pub(crate) fn set_member(&self, member: Member) {
        // A state has one member for its life.
        let _set = self.inner.member.set(member);
    }

    /// Returns the counter of the lines of the access log that were lost.
    pub(crate) fn dropped_log_lines(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.inner.dropped_log_lines)
    }

    /// Returns the number of requests whose spans were lost.
    #[cfg(feature = "otlp")]
    pub(crate) fn dropped_traces(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.inner.dropped_traces)
    }

    /// Returns the retry budget of the gateway. Its counters are among the metrics.
    pub(crate) fn budget(&self) -> &Budget {
        &self.inner.budget
    }

    /// Drops the meters of groups and deployments that only this map has held since `grace` before `now`.
    pub(crate) fn prune(&self, now: Instant, grace: Duration) {
        for scopes in [&self.inner.groups, &self.inner.keys, &self.inner.deployments] {
            scopes.lock().unwrap_or_else(PoisonError::into_inner).prune(now, grace);
        }
    }

    /// Returns all metrics.
    pub(crate) fn render(&self, format: Format) -> String {
        let mut writer = Writer::new(format);
        self.encode(&mut writer);
        writer.finish()
    }
}

/// Returns the meter with these labels.
fn scope(scopes: &ScopeMap, labels: LabelList) -> Arc<ScopeMetrics> {
    scopes.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(labels, Arc::default)
}

/// Returns the value of a label.
fn label<'a>(labels: &'a LabelList, name: &str) -> Option<&'a Arc<str>> {
    labels.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
}

/// Returns a copy of all meters, so that no lock is held while they are encoded.
fn snapshot(scopes: &ScopeMap) -> Scopes {
    scopes.lock().unwrap_or_else(PoisonError::into_inner).to_vec()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tollgate_layers::{Class, Outcome};

    use super::*;
    use crate::operation::Operation;

    fn labels(class: Option<Class>, status: u16) -> ResultLabels {
        ResultLabels { operation: Some(Operation::Chat), class, status }
    }

    #[test]
    fn the_metrics_text_has_every_scope_with_its_labels_escaped() {
        let metrics = Metrics::default();
        let group: Arc<str> = "gpt \"4\"\n".into();
        metrics.group(&group).begin();
        metrics.group(&group).end(labels(Some(Class::RateLimited), 429), Duration::from_millis(30));
        metrics.deployment(&group, &"eu-1".into()).begin();
        let text = metrics.render(Format::default());
        for line in [
            r#"tollgate_group_requests_total{group="gpt \"4\"\n",operation="chat",status="429",class="rate_limited"} 1"#,
            r#"tollgate_deployment_attempts_in_flight{group="gpt \"4\"\n",deployment="eu-1"} 1"#,
            r#"tollgate_group_requests_duration_seconds_bucket{group="gpt \"4\"\n",result="failure",le="0.05"} 1"#,
        ] {
            assert!(text.lines().any(|known| known == line), "{line}: {text}");
        }
    }

    #[test]
    fn a_complete_response_counts_in_both_histograms_and_a_failed_one_in_the_duration() {
        let metrics = Metrics::default();
        let end = |success, class| {
            let start = Instant::now();
            let mut count = RequestMetrics::begin(metrics.gateway(), Operation::Chat, start);
            count.head(ResponseHead { success, complete: true, status: 200, at: start });
            count.complete(&Outcome::new(class), BodyStats::default());
        };
        end(true, Class::Success);
        end(false, Class::RateLimited);
        let text = metrics.render(Format::default());
        for line in [
            "requests_duration_seconds_count{result=\"success\"} 1",
            "requests_duration_seconds_count{result=\"failure\"} 1",
            "requests_first_content_seconds_count 1",
        ] {
            assert!(text.contains(&format!("tollgate_{line}\n")), "{line}: {text}");
        }
        assert_eq!(metrics.gateway().in_flight(), 0);
    }

    #[test]
    fn a_request_metric_dropped_without_outcome_counts_as_cancelled() {
        let meter = ScopeMetrics::default();
        meter.begin();
        meter.end(labels(None, 0), Duration::ZERO);
        assert_eq!(meter.in_flight(), 0);
        assert_eq!(meter.results(), [(labels(None, 0), 1)]);
    }

    #[test]
    fn the_mean_time_between_the_events_of_a_stream_is_measured() {
        let meter = Arc::new(ScopeMetrics::default());
        let start = Instant::now();
        let mut count = RequestMetrics::begin(Arc::clone(&meter), Operation::Chat, start);
        count.head(ResponseHead { success: true, complete: false, status: 200, at: start });
        let tokens = Tokens { input: 3, cached: 0, output: 4 };
        count.complete(&Outcome::new(Class::Success), BodyStats { tokens, events: 3 });
        assert_eq!(meter.between_events().count, 1);
        assert_eq!(meter.tokens(), [3, 0, 4]);
    }
}
