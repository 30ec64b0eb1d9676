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
use tollgate_layers::{Class, cooldown::HealthState, endpoint::Health, quota::RateWindow};

use crate::{
    metrics::ResultLabels,
    registry::DeploymentState,
    status::{DeploymentHandles, NewestStatus, Status},
};

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
    /// The status of the tree that was compared last.
    status: Option<Arc<Status>>,
    /// The deployments of that tree, in its order.
    deployments: Vec<Seen>,
    /// The groups without a healthy deployment.
    down: BTreeMap<Arc<str>, Instant>,
}

/// A deployment as it was seen last.
#[derive(Debug, Default)]
struct Seen {
    /// The number of attempts that had begun.
    begun: u64,
    /// True if all of them had ended, and every event about them was reported.
    is_idle: bool,
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
    /// Watches the deployments of the newest tree for as long as the process runs.
    pub(super) async fn watch(mut self, newest: NewestStatus) {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let Some(status) = newest.get() else { continue };
            // Ten thousand busy deployments take some milliseconds, which no worker should spend.
            let compared = tokio::task::spawn_blocking(move || {
                let notices = self.compare(&status);
                (self, notices)
            });
            let Ok((monitor, notices)) = compared.await else { return };
            self = monitor;
            write(&notices);
        }
    }

    /// Compares the deployments with what they were, and returns the events.
    fn compare(&mut self, status: &Arc<Status>) -> Vec<Notice> {
        self.follow(status);
        let now = Instant::now();
        let (mut notices, mut groups) = (Vec::new(), Vec::new());
        let mut all_seen = self.deployments.iter_mut();
        for group in &status.groups {
            let mut down = 0;
            for (deployment, seen) in group.deployments.iter().zip(&mut all_seen) {
                let changes =
                    if seen.is_quiet(deployment) { Vec::new() } else { seen.compare(deployment, now) };
                notices.extend(changes.into_iter().map(|change| {
                    let (group, deployment) = (Arc::clone(&group.name), Some(Arc::clone(&deployment.id)));
                    Notice { group, deployment, change }
                }));
                down += usize::from(seen.down.is_some());
            }
            groups.push((&group.name, group.deployments.len(), down));
        }
        notices.extend(self.compare_groups(&groups, now));
        notices
    }

    /// Keeps what is known of the deployments that a new tree has too.
    fn follow(&mut self, status: &Arc<Status>) {
        if self.status.as_ref().is_some_and(|known| Arc::ptr_eq(known, status)) {
            return;
        }
        let former = self.status.replace(Arc::clone(status));
        let known = former.iter().flat_map(|status| names(status));
        let mut seen: HashMap<_, _> = known.zip(std::mem::take(&mut self.deployments)).collect();
        self.deployments = names(status).map(|name| seen.remove(&name).unwrap_or_default()).collect();
    }

    fn compare_groups(&mut self, groups: &[(&Arc<str>, usize, usize)], now: Instant) -> Vec<Notice> {
        let mut notices = Vec::new();
        self.down.retain(|down, _| groups.iter().any(|(group, ..)| *group == down));
        for (group, all, down) in groups.iter().filter(|(_, all, _)| *all > 0) {
            let change = match self.down.get(*group) {
                None if all == down => {
                    self.down.insert(Arc::clone(group), now);
                    Change::GroupDown { deployments: *all }
                }
                Some(since) if all > down => {
                    let after = now.saturating_duration_since(*since);
                    self.down.remove(*group);
                    Change::GroupUp { after }
                }
                None | Some(_) => continue,
            };
            notices.push(Notice { group: Arc::clone(group), deployment: None, change });
        }
        notices
    }
}

/// Returns the group and the id of each deployment, in the order of the tree.
fn names(status: &Status) -> impl Iterator<Item = (Arc<str>, Arc<str>)> {
    status.groups.iter().flat_map(|group| {
        group.deployments.iter().map(|deployment| (Arc::clone(&group.name), Arc::clone(&deployment.id)))
    })
}

impl Seen {
    /// Returns true if nothing can have changed: no attempt has begun or ended, and the deployment is healthy.
    fn is_quiet(&self, deployment: &DeploymentHandles) -> bool {
        self.is_idle
            && self.down.is_none()
            && self.begun == deployment.metrics.begun()
            && matches!(deployment.health.health(), Health::Healthy(_))
    }

    /// Compares the deployment with what it was, and returns the events.
    fn compare(&mut self, deployment: &DeploymentHandles, now: Instant) -> Vec<Change> {
        self.begun = deployment.metrics.begun();
        let results = deployment.metrics.results();
        self.is_idle = results.iter().map(|(_, count)| count).sum::<u64>() == self.begun;
        let succeeded = self.count(&results);
        let state = DeploymentState::read(&deployment.health, &deployment.meters);
        let (health, cools) = (state.health, state.cools_down());
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
        change.into_iter().chain(self.learned(&state, now)).collect()
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
    fn learned(&mut self, state: &DeploymentState, now: Instant) -> Option<Change> {
        let (meters, configured) = (&state.meters, &state.limits);
        let other = |limit: Option<u64>, configured: Option<u64>| limit.filter(|_| limit != configured);
        let limits = Limits {
            requests: other(meters.request_limit, configured.requests),
            tokens: other(meters.token_limit, configured.tokens),
            window: meters.window.filter(|_| configured.window.is_none()).map(RateWindow::seconds),
        };
        let is_soon = self.limits_at.is_some_and(|at| now.saturating_duration_since(at) < LIMITS_INTERVAL);
        if limits == self.limits || is_soon {
            self.is_idle &= limits == self.limits;
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
