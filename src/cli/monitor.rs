//! The events that an operator should see without asking: [`Monitor`].
//!
//! The monitor compares the deployments with what they were half a second ago. A request therefore never writes a line,
//! and ten thousand failures are one event: a deployment is failing.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
    time::Duration,
};

use tokio::time::{Instant, MissedTickBehavior, interval};
use tollgate_layers::{Class, cooldown::HealthState, quota::RateWindow};

use crate::metrics::{Metrics, ResultLabels, Watched};

/// The interval at which the deployments are compared.
const INTERVAL: Duration = Duration::from_millis(500);

/// The number of lines in each interval: with the line that counts the rest, ten in a second.
const LINES: usize = 4;

/// The number of failures without a success after which a deployment counts as failing, if it does not cool down.
const STREAK: u64 = 5;

/// The shortest time between two events about the limits of one deployment. Some upstreams report another limit with
/// each response.
const LIMITS_INTERVAL: Duration = Duration::from_secs(60);

/// Writes the events about all deployments.
#[derive(Debug, Default)]
pub(super) struct Monitor {
    /// The deployments, in the order of their groups and ids.
    deployments: Vec<(Key, Seen)>,
    /// The groups without a healthy deployment.
    down: BTreeMap<Arc<str>, Instant>,
}

/// The group and the id of a deployment.
type Key = (Arc<str>, Arc<str>);

/// A deployment as it was seen last.
#[derive(Debug, Default)]
struct Seen {
    /// The counts of successes and of failures.
    successes: u64,
    failures: HashMap<(&'static str, u16), u64>,
    /// The number of failures since the last success.
    streak: u64,
    /// The most frequent failure.
    reason: Option<(&'static str, u16)>,
    down: Option<Down>,
    limits: Limits,
    limits_at: Option<Instant>,
}

/// A deployment that cools down or fails every call.
#[derive(Clone, Copy, Debug)]
struct Down {
    since: Instant,
    cooldowns: u32,
}

/// The limits of a deployment as its responses have shown them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Limits {
    requests: Option<u64>,
    tokens: Option<u64>,
    window: Option<u64>,
}

/// An event about a deployment, or about a group.
#[derive(Debug)]
struct Notice {
    group: Arc<str>,
    deployment: Option<Arc<str>>,
    change: Change,
}

/// The change that an event reports.
#[derive(Debug)]
enum Change {
    CoolsDown { seconds: u64, reason: Reason },
    Fails { streak: u64, reason: Reason },
    Recovered { after: Duration },
    Learned(Limits),
    GroupDown { deployments: usize },
    GroupUp { after: Duration },
}

/// The class and the status of the most frequent failure.
#[derive(Clone, Copy, Debug)]
struct Reason(Option<(&'static str, u16)>);

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some((class, 0)) => f.write_str(class),
            Some((class, status)) => write!(f, "{class}, status {status}"),
            None => f.write_str("unknown"),
        }
    }
}

impl Monitor {
    /// Watches the deployments for as long as the process runs.
    pub(super) async fn watch(mut self, metrics: Metrics) {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let metrics = metrics.clone();
            // Ten thousand deployments take some milliseconds, which no worker should spend.
            let compared = tokio::task::spawn_blocking(move || {
                let notices = self.compare(metrics.watched());
                (self, notices)
            });
            let Ok((monitor, notices)) = compared.await else { return };
            self = monitor;
            write(&notices);
        }
    }

    /// Compares the deployments with what they were, and returns the events.
    fn compare(&mut self, watched: Vec<Watched>) -> Vec<Notice> {
        let now = Instant::now();
        let mut notices = Vec::new();
        let mut groups = BTreeMap::<Arc<str>, (usize, usize)>::new();
        // Both are in the same order: a map would hash ten thousand names twice a second.
        let mut former = std::mem::take(&mut self.deployments).into_iter().peekable();
        for deployment in watched {
            let key = (Arc::clone(&deployment.group), Arc::clone(&deployment.id));
            while former.next_if(|(known, _)| *known < key).is_some() {}
            let mut seen =
                former.next_if(|(known, _)| *known == key).map(|(_, seen)| seen).unwrap_or_default();
            let of_one = seen.compare(&deployment, now);
            notices.extend(of_one.into_iter().map(|change| {
                let (group, deployment) = (Arc::clone(&key.0), Some(Arc::clone(&key.1)));
                Notice { group, deployment, change }
            }));
            let (all, down) = groups.entry(Arc::clone(&key.0)).or_default();
            *all += 1;
            *down += usize::from(seen.down.is_some());
            self.deployments.push((key, seen));
        }
        notices.extend(self.compare_groups(&groups, now));
        notices
    }

    fn compare_groups(&mut self, groups: &BTreeMap<Arc<str>, (usize, usize)>, now: Instant) -> Vec<Notice> {
        let mut notices = Vec::new();
        self.down.retain(|group, _| groups.contains_key(group));
        for (group, (all, down)) in groups {
            let change = match self.down.get(group) {
                None if all == down => {
                    self.down.insert(Arc::clone(group), now);
                    Change::GroupDown { deployments: *all }
                }
                Some(since) if all > down => {
                    let after = now.saturating_duration_since(*since);
                    self.down.remove(group);
                    Change::GroupUp { after }
                }
                None | Some(_) => continue,
            };
            notices.push(Notice { group: Arc::clone(group), deployment: None, change });
        }
        notices
    }
}

impl Seen {
    /// Compares the deployment with what it was, and returns the events.
    fn compare(&mut self, deployment: &Watched, now: Instant) -> Vec<Change> {
        let succeeded = self.count(&deployment.results);
        let (health, cools) = (deployment.state.health, deployment.state.cools_down());
        let change = match self.down {
            None if cools => {
                let left = health.until.map(|until| until.saturating_duration_since(now));
                let seconds = left.map_or(0, |left| left.as_secs_f64().ceil() as u64);
                Some(Change::CoolsDown { seconds, reason: Reason(self.reason) })
            }
            None if self.streak >= STREAK => {
                Some(Change::Fails { streak: self.streak, reason: Reason(self.reason) })
            }
            Some(down) if !cools && (succeeded || health.state == HealthState::SlowStart) => {
                Some(Change::Recovered { after: now.saturating_duration_since(down.since) })
            }
            None | Some(_) => None,
        };
        match (&change, self.down) {
            (Some(Change::Recovered { .. }), _) => self.down = None,
            (Some(_), _) => self.down = Some(Down { since: now, cooldowns: health.cooldowns }),
            // A reload has given the deployment another key or address: nothing is known about it.
            (None, Some(down)) if health.cooldowns < down.cooldowns => self.down = None,
            (None, _) => {}
        }
        change.into_iter().chain(self.learned(deployment, now)).collect()
    }

    /// Updates the counts. Returns true if a call has succeeded.
    fn count(&mut self, results: &[(ResultLabels, u64)]) -> bool {
        let sum = |matches: &dyn Fn(&ResultLabels) -> bool| {
            results.iter().filter(|(labels, _)| matches(labels)).map(|(_, count)| count).sum::<u64>()
        };
        let successes = sum(&|labels| labels.class == Some(Class::Success));
        let succeeded = successes > std::mem::replace(&mut self.successes, successes);
        let mut failures = HashMap::new();
        for (labels, count) in results.iter().filter(|(labels, _)| is_failure(labels)) {
            *failures.entry((labels.class(), labels.status)).or_default() += count;
        }
        let new = |reason, count: u64| count.saturating_sub(self.failures.get(reason).copied().unwrap_or(0));
        let news: Vec<_> = failures.iter().map(|(reason, count)| (new(reason, *count), *reason)).collect();
        let most = news.iter().copied().max().filter(|(count, _)| *count > 0);
        self.reason = most.map(|(_, reason)| reason).or(self.reason);
        let failed: u64 = news.iter().map(|(count, _)| count).sum();
        self.streak = if succeeded { 0 } else { self.streak + failed };
        self.failures = failures;
        succeeded
    }

    /// Returns the event of limits that differ from the configured ones and from those seen last.
    fn learned(&mut self, deployment: &Watched, now: Instant) -> Option<Change> {
        let (meters, configured) = (&deployment.state.meters, &deployment.state.limits);
        let other = |limit: Option<u64>, configured: Option<u64>| limit.filter(|_| limit != configured);
        let limits = Limits {
            requests: other(meters.request_limit, configured.requests),
            tokens: other(meters.token_limit, configured.tokens),
            window: meters.window.filter(|_| configured.window.is_none()).map(RateWindow::seconds),
        };
        let is_soon = self.limits_at.is_some_and(|at| now.saturating_duration_since(at) < LIMITS_INTERVAL);
        if limits == self.limits || is_soon {
            return None;
        }
        (self.limits, self.limits_at) = (limits, Some(now));
        (limits != Limits::default()).then_some(Change::Learned(limits))
    }
}

/// Returns true for results that say something about the deployment.
fn is_failure(labels: &ResultLabels) -> bool {
    labels.class.is_some_and(Class::worth_another)
}

fn write(notices: &[Notice]) {
    for Notice { group, deployment, change } in notices.iter().take(LINES) {
        event(group, deployment.as_deref(), change);
    }
    if let Some(rest @ 1..) = notices.len().checked_sub(LINES) {
        tracing::warn!(target: "tollgate::events", "and {rest} further events; /metrics has the state of all deployments");
    }
}

fn event(group: &str, deployment: Option<&str>, change: &Change) {
    match change {
        Change::CoolsDown { seconds, reason } => {
            tracing::warn!(target: "tollgate::events", group, deployment, seconds, %reason, "deployment cools down");
        }
        Change::Fails { streak, reason } => {
            tracing::warn!(target: "tollgate::events", group, deployment, failures = streak, %reason, "deployment fails every call");
        }
        Change::Recovered { after } => {
            let seconds = after.as_secs();
            tracing::info!(target: "tollgate::events", group, deployment, seconds, "deployment has recovered");
        }
        Change::Learned(Limits { requests, tokens, window }) => {
            tracing::info!(target: "tollgate::events", group, deployment, rpm = requests, tpm = tokens, window_seconds = window, "limit learnt from responses");
        }
        Change::GroupDown { deployments } => {
            tracing::error!(target: "tollgate::events", group, deployments, "group has no healthy deployment");
        }
        Change::GroupUp { after } => {
            let seconds = after.as_secs();
            tracing::info!(target: "tollgate::events", group, seconds, "group has a healthy deployment again");
        }
    }
}
