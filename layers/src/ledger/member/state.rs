//! The state of a member, without I/O: [`MemberState`].

mod endpoint;
mod response;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    mem,
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;

use self::endpoint::{Endpoint, Reported};
use super::{
    MemberConfig, MemberSnapshot, SharedLimit, Source, SourceId, WhenIsolated,
    events::{AccountHold, SharedHealth},
};
use crate::{
    ledger::{Event, EventId, LimitKey, ReplicaId, Report, SyncRequest},
    quota::WeakMeters,
};

/// The number of reports in one sync from which no more are added.
const ENOUGH_REPORTS: usize = 30;
/// The part of all endpoints, one in so many, of which a heartbeat reports more than a few without a change: when a replica joins,
/// the shares of all others change, and that should not take all the time of the server.
const REFRESHED: usize = 60;
/// The least time between two reports of an endpoint, for demand and for a notification by the ledger.
const DEMAND_PACE: Duration = Duration::from_millis(20);
const DUE_PACE: Duration = Duration::from_millis(5);
/// The time by which the probes of replicas are apart.
const PROBE_INTERVAL: Duration = Duration::from_millis(500);
/// The number of events that are kept while the ledger cannot be reached.
const OUTBOX: usize = 1_000;

/// The shared objects of a process, and what is known of the ledger.
#[derive(Debug)]
pub(super) struct MemberState {
    pub(super) config: MemberConfig,
    replica: ReplicaId,
    seq: u64,
    generation: u64,
    // In the order of their keys, so that a simulation is reproducible.
    endpoints: BTreeMap<LimitKey, Endpoint>,
    pub(super) accounts: BTreeMap<LimitKey, AccountHold>,
    pub(super) healths: BTreeMap<LimitKey, SharedHealth>,
    /// The times at which endpoints should report.
    schedule: BTreeSet<(Instant, LimitKey)>,
    /// The endpoints that the last heartbeat has yet to visit.
    unvisited: Vec<LimitKey>,
    /// The number of unchanged endpoints that it may yet report.
    refreshes: usize,
    heartbeat_at: Instant,
    /// True if a limit counts over a short window.
    hurries: bool,
    outbox: VecDeque<(Instant, Event)>,
    pub(super) read_to: EventId,
    /// True until the events of before were read.
    joins: bool,
    contact: Contact,
}

/// The contact to the ledger.
#[derive(Debug)]
struct Contact {
    started: Instant,
    /// The time at which the last request that got a response was sent.
    sent: Option<Instant>,
    replicas: u64,
    /// The number of live replicas with a smaller id.
    rank: u64,
    syncs: u64,
    failures: u64,
    sync_time: Duration,
    /// The time of the next attempt, and the wait after it; `None` while the ledger responds.
    retry: Option<(Instant, Duration)>,
    /// The time at which all permits were given up.
    stopped: Option<Instant>,
}

/// A sync that was sent.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) deadline: Instant,
    sent: Instant,
    /// The number of events in it.
    events: usize,
    /// The endpoint and the limit of each report.
    reported: Vec<Reported>,
}

impl MemberState {
    pub(super) fn new(replica: ReplicaId, config: MemberConfig) -> Self {
        let now = Instant::now();
        Self {
            config,
            replica,
            seq: 0,
            generation: 0,
            endpoints: BTreeMap::new(),
            accounts: BTreeMap::new(),
            healths: BTreeMap::new(),
            schedule: BTreeSet::new(),
            unvisited: Vec::new(),
            refreshes: 0,
            heartbeat_at: now,
            hurries: false,
            outbox: VecDeque::new(),
            read_to: EventId::default(),
            joins: true,
            contact: Contact {
                started: now,
                sent: None,
                replicas: 0,
                rank: 0,
                syncs: 0,
                failures: 0,
                sync_time: Duration::ZERO,
                retry: None,
                stopped: None,
            },
        }
    }

    pub(super) fn has_endpoint(&self, key: &LimitKey, meters: &WeakMeters) -> bool {
        self.endpoints.get(key).is_some_and(|endpoint| endpoint.meters.is(meters))
    }

    pub(super) fn add_endpoint(&mut self, key: &LimitKey, meters: WeakMeters, source: Arc<Source>) {
        self.endpoints.insert(key.clone(), Endpoint::new(meters, source));
        // Not in the schedule: of thousands of endpoints those with waiting calls come first.
        self.unvisited.push(key.clone());
    }

    pub(super) const fn is_lost(&self) -> bool {
        self.contact.retry.is_some()
    }

    pub(super) fn snapshot(&self, now: Instant) -> MemberSnapshot {
        let Contact { started, sent, replicas, syncs, failures, sync_time, .. } = self.contact;
        let stale = now.saturating_duration_since(sent.unwrap_or(started));
        let in_touch = sent.is_some() && !self.is_lost();
        MemberSnapshot { in_touch, replicas, stale, syncs, failures, sync_time }
    }

    pub(super) fn limits(&self) -> Vec<SharedLimit> {
        self.endpoints.iter().flat_map(|(key, endpoint)| endpoint.limits(key)).collect()
    }

    /// Records the sources of changes.
    pub(super) fn note_changes(&mut self, changes: BTreeSet<SourceId>, now: Instant) {
        for source in changes {
            match source {
                SourceId::Endpoint(key) => {
                    let last = self.endpoints.get(&key).map_or(now, |endpoint| endpoint.last);
                    self.schedule(&key, now.max(last + DEMAND_PACE));
                }
                SourceId::Account(key) => self.note_account(&key, now),
                SourceId::Health(key) => self.note_health(&key, now),
            }
        }
    }

    /// Lets an endpoint report all its limits, because the ledger asks for it.
    pub(super) fn sync_due(&mut self, limit: &LimitKey, now: Instant) {
        let Some((key, _)) = limit.as_str().rsplit_once('/') else { return };
        let key = LimitKey::from(key);
        let Some(endpoint) = self.endpoints.get_mut(&key) else { return };
        endpoint.all = true;
        let at = now.max(endpoint.last + DUE_PACE);
        self.schedule(&key, at);
    }

    /// Lets an endpoint report at this time, or earlier.
    fn schedule(&mut self, key: &LimitKey, at: Instant) {
        let Some(endpoint) = self.endpoints.get_mut(key) else { return };
        if endpoint.next.is_some_and(|next| next <= at) {
            return;
        }
        if let Some(next) = endpoint.next.replace(at) {
            self.schedule.remove(&(next, key.clone()));
        }
        self.schedule.insert((at, key.clone()));
    }

    /// Publishes an event with the next sync.
    pub(super) fn publish(&mut self, event: Event, now: Instant) {
        if self.outbox.len() < OUTBOX {
            self.outbox.push_back((now, event));
        }
    }

    /// Returns the next request if one is due.
    ///
    /// # Errors
    /// Returns the time at which one may be due.
    pub(super) fn next_request(&mut self, now: Instant) -> Result<(SyncRequest, Outgoing), Instant> {
        self.stop_if_expired(now);
        if let Some((retry_at, _)) = self.contact.retry.filter(|(at, _)| *at > now) {
            return Err(self.stop_at().map_or(retry_at, |stop_at| stop_at.min(retry_at)));
        }
        let beat = now >= self.heartbeat_at || self.is_lost();
        if beat {
            self.begin_heartbeat(now);
        }
        let reported = self.reports(now);
        if reported.is_empty() && self.outbox.is_empty() && !beat {
            return Err(self.next_due());
        }
        Ok(self.outgoing(reported, now))
    }

    fn next_due(&self) -> Instant {
        let first = self.schedule.first().map_or(self.heartbeat_at, |(at, _)| *at);
        let stop_at = self.stop_at().unwrap_or(first);
        first.min(self.heartbeat_at).min(stop_at)
    }

    fn begin_heartbeat(&mut self, now: Instant) {
        let heartbeat = self.config.heartbeat;
        let next = if mem::take(&mut self.hurries) { heartbeat / 4 } else { heartbeat };
        self.heartbeat_at = now + next;
        self.unvisited = self.endpoints.keys().cloned().collect();
        self.refreshes = (self.endpoints.len() / REFRESHED).max(ENOUGH_REPORTS);
        self.note_outcomes(now);
    }

    /// Returns the due reports, as many as fit into one sync.
    fn reports(&mut self, now: Instant) -> Vec<(Reported, Report)> {
        let mut reports = Vec::new();
        while reports.len() < ENOUGH_REPORTS {
            let due = self.schedule.first().filter(|(at, _)| *at <= now).map(|(_, key)| key.clone());
            let Some(key) = due.or_else(|| self.unvisited.pop()) else { break };
            let Some(endpoint) = self.endpoints.get_mut(&key) else { continue };
            if let Some(next) = endpoint.next.take() {
                self.schedule.remove(&(next, key.clone()));
            }
            let before = reports.len();
            let event = endpoint.report((&key, now), &mut reports, &mut self.refreshes);
            let returns = endpoint.return_at;
            event.into_iter().for_each(|event| self.publish(event, now));
            if let (Some(at), true) = (returns, reports.len() == before) {
                self.schedule(&key, at);
            }
        }
        reports
    }

    fn outgoing(&mut self, reports: Vec<(Reported, Report)>, now: Instant) -> (SyncRequest, Outgoing) {
        self.seq += 1;
        let (reported, reports) = reports.into_iter().unzip();
        let aged = |(at, event): &(Instant, Event)| event.after(now.saturating_duration_since(*at));
        self.outbox.retain(|entry| aged(entry).is_some());
        let request = SyncRequest {
            replica: self.replica,
            seq: self.seq,
            generation: self.generation,
            leaving: false,
            reports,
            events: self.outbox.iter().filter_map(aged).collect(),
        };
        let deadline = now + self.config.timeout;
        let deadline = self.stop_at().map_or(deadline, |stop_at| stop_at.min(deadline));
        let outgoing = Outgoing { deadline, sent: now, events: request.events.len(), reported };
        (request, outgoing)
    }

    /// Returns the last requests of this replica.
    pub(super) fn last_requests(&mut self, now: Instant) -> Vec<SyncRequest> {
        let mut reports = Vec::new();
        for (key, endpoint) in &mut self.endpoints {
            endpoint.disconnect(key, now, &mut reports);
        }
        let mut requests = Vec::new();
        loop {
            let rest = reports.split_off(reports.len().min(ENOUGH_REPORTS));
            let (request, _) = self.outgoing(mem::replace(&mut reports, rest), now);
            requests.push(SyncRequest { leaving: true, events: Vec::new(), ..request });
            if reports.is_empty() {
                return requests;
            }
        }
    }

    /// Applies the server hold of an endpoint at another replica.
    pub(super) fn hold_endpoint(&mut self, key: &LimitKey, remaining: Duration) {
        self.endpoints.get_mut(key).into_iter().for_each(|endpoint| endpoint.hold(remaining));
    }

    /// Returns the time by which this replica's probe of an endpoint is later than that of the replica that began the
    /// cooldown: the first result reaches the others before they probe.
    pub(super) fn probe_delay(&self) -> Duration {
        // Below the number of replicas, which is small.
        PROBE_INTERVAL * u32::try_from(self.contact.rank + 1).unwrap_or(u32::MAX)
    }

    /// Returns the time at which all permits must be given up.
    fn stop_at(&self) -> Option<Instant> {
        let stops = self.config.when_isolated == WhenIsolated::Stop && self.contact.stopped.is_none();
        self.contact.sent.filter(|_| stops).map(|sent| sent + self.config.lease_time)
    }

    fn stop_if_expired(&mut self, now: Instant) {
        if self.stop_at().is_some_and(|at| at <= now) {
            self.contact.stopped = Some(now);
            for meters in self.endpoints.values().filter_map(|endpoint| endpoint.meters.upgrade()) {
                meters.give_up();
            }
        }
    }
}
