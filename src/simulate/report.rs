//! The report of a run: [`Report`]. It is displayed by [`text`](super::text).

use std::{sync::Arc, time::Duration};

use tollgate_layers::quota::MeterSnapshot;

use super::{
    arrivals::count,
    upstreams::{Outage, SecondStats},
};

/// The results of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// The duration of the traffic.
    pub duration: Duration,
    /// The results of the clients.
    pub clients: ClientReport,
    /// The calls of each deployment, in file order.
    pub deployments: Vec<DeploymentReport>,
    /// The repetition of a refused request after its `Retry-After`.
    pub returned: Option<ReturnVisit>,
    /// The replicas. None if the scenario has a gateway alone.
    pub replicas: Option<ReplicasReport>,
}

/// The replicas of a gateway.
#[derive(Clone, Debug)]
pub struct ReplicasReport {
    /// The requests of each replica.
    pub each: Vec<ReplicaReport>,
    /// The number of requests to the ledger.
    pub ledger_requests: u64,
    /// The results of counting in clock windows. None if a deployment of the group has no limit of requests, or if its
    /// upstream does not count over a sliding window.
    pub clock_windows: Option<ClockWindowsReport>,
}

/// The requests of a replica.
#[derive(Clone, Debug, Default)]
pub struct ReplicaReport {
    /// The part of the load that it received, relative to the others.
    pub load: f64,
    /// The time at which it was killed, counted from the start of the run.
    pub killed: Option<Duration>,
    /// The number of requests.
    pub requests: u64,
    /// The number of requests with a response.
    pub served: u64,
    /// The number of requests refused with a 429.
    pub refused: u64,
    /// The number of requests with another error, or in flight when it was killed.
    pub failed: u64,
}

/// The results of counting in clock windows: of the same requests, if replicas shared a counter for each clock window of
/// the group's limit, and each counted alone in an outage of the ledger.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClockWindowsReport {
    /// The duration of a window.
    pub window: Duration,
    /// The largest number of requests within any window of this duration, or within any minute, as a fraction of the limit.
    pub fullest: Option<f64>,
    /// The used fraction of the limit.
    pub used: f64,
}

/// The results of the clients.
#[derive(Clone, Debug, Default)]
pub struct ClientReport {
    /// The number of requests.
    pub requests: u64,
    /// The number of requests with a response.
    pub served: u64,
    /// The number of requests refused with a 429 because no deployment had capacity.
    pub refused: u64,
    /// The number of those refusals without `Retry-After`.
    pub without_retry_after: u64,
    /// The number of requests with another error.
    pub failed: u64,
    /// The times for which the served requests waited in the gateway, from arrival to the upstream call, in ascending
    /// order.
    pub waits: Vec<Duration>,
}

/// The calls of a deployment.
#[derive(Clone, Debug)]
pub struct DeploymentReport {
    /// The group of the deployment.
    pub group: Arc<str>,
    /// The id of the deployment.
    pub id: Arc<str>,
    /// The name of the model at the provider.
    pub model: Arc<str>,
    /// The limit of requests per minute.
    pub rpm: Option<u64>,
    /// The limit of tokens per minute.
    pub tpm: Option<u64>,
    /// The counts of the upstream, one entry for each second.
    pub seconds: Vec<SecondStats>,
    /// The number of calls within the fullest window, as a fraction of the limit of requests. None without a limit, or if
    /// the upstream does not count over a sliding window.
    pub fullest: Option<f64>,
    /// The meters of the deployment after the last response: those of the first replica.
    pub meters: MeterSnapshot,
    /// The seconds at which a refusal made the meter widen a window, counted from the start.
    pub learned_refusals: Vec<u64>,
    /// The outages of the deployment.
    pub outages: Vec<Outage>,
}

/// The repetition of a refused request after its `Retry-After`, with no other traffic.
#[derive(Clone, Copy, Debug)]
pub struct ReturnVisit {
    /// The `Retry-After` of the refusal.
    pub retry_after: Duration,
    /// The time for which the repetition waited in the gateway. None if it was not served.
    pub waited: Option<Duration>,
}

impl ClientReport {
    /// Returns the fraction of requests that were served.
    #[must_use]
    pub fn success(&self) -> f64 {
        ratio(self.served, self.requests)
    }

    /// Returns the quantile of the waits: `part` of the served requests waited at most this long.
    #[must_use]
    pub fn wait(&self, part: f64) -> Duration {
        let last = self.waits.len().saturating_sub(1);
        self.waits.get((count(last as u64) * part).round() as usize).copied().unwrap_or_default()
    }
}

impl DeploymentReport {
    /// Returns the number of calls.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sum(|second| u64::from(second.sent))
    }

    /// Returns the number of calls that exceeded a limit.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.sum(|second| u64::from(second.refused))
    }

    /// Returns the number of calls during an outage.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.sum(|second| u64::from(second.failed))
    }

    /// Returns the number of admitted calls.
    #[must_use]
    pub fn admitted(&self) -> u64 {
        self.sent() - self.refused() - self.failed()
    }

    /// Returns the used fraction of the limit; with two limits, the larger fraction.
    #[must_use]
    pub fn utilisation(&self) -> Option<f64> {
        let minutes = count(self.seconds.len() as u64) / 60.0;
        let part = |used: u64, limit: Option<u64>| limit.map(|limit| count(used) / (count(limit) * minutes));
        let tokens = part(self.sum(|second| second.tokens), self.tpm);
        [part(self.admitted(), self.rpm), tokens].into_iter().flatten().reduce(f64::max)
    }

    fn sum(&self, of: impl Fn(&SecondStats) -> u64) -> u64 {
        self.seconds.iter().map(of).sum()
    }

    /// Returns the used fraction of the limit in each second. Without a limit, it is relative to the busiest second.
    pub(super) fn load(&self) -> Vec<f64> {
        let tokens = self.seconds.iter().map(|second| count(second.tokens));
        let calls = self.seconds.iter().map(|second| f64::from(second.sent));
        let (values, full): (Vec<_>, _) = match (self.rpm, self.tpm) {
            (Some(rpm), _) => (calls.collect(), count(rpm) / 60.0),
            (None, Some(tpm)) => (tokens.collect(), count(tpm) / 60.0),
            (None, None) => {
                let full = calls.clone().fold(1.0, f64::max);
                (calls.collect(), full)
            }
        };
        values.into_iter().map(|value| value / full).collect()
    }
}

impl Report {
    /// Returns the number of refused calls per thousand calls of upstreams.
    #[must_use]
    pub fn refused_per_thousand(&self) -> f64 {
        let refused: u64 = self.deployments.iter().map(DeploymentReport::refused).sum();
        1_000.0 * ratio(refused, self.deployments.iter().map(DeploymentReport::sent).sum())
    }

    /// Returns the number of calls within the fullest window of any upstream, as a fraction of its limit.
    #[must_use]
    pub fn fullest(&self) -> Option<f64> {
        self.deployments.iter().filter_map(|row| row.fullest).reduce(f64::max)
    }

    /// Returns the number of admitted calls as a fraction of the sum of all request limits.
    #[must_use]
    pub fn used_limit(&self) -> f64 {
        let limited = || self.deployments.iter().filter(|row| row.rpm.is_some());
        let minutes = self.duration.as_secs_f64() / 60.0;
        let limit = count(limited().filter_map(|row| row.rpm).sum());
        count(limited().map(DeploymentReport::admitted).sum()) / (limit * minutes)
    }
}

/// Returns a part of a whole; 0 of nothing.
pub(super) fn ratio(part: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { count(part) / count(all) }
}
