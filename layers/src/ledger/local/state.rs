//! The data of a ledger, without a clock: [`LedgerState`].

use std::{
    collections::{BTreeMap, HashMap},
    task::Waker,
};

use super::{
    super::{Event, Lease, LedgerConfig, LimitKey, ReplicaId, Report, SyncRequest, SyncResponse},
    limit::{LimitState, Response, Shared},
    log::{Audience, EventLog},
    millis,
};

/// The time after the last sync of a replica at which it is forgotten: ten minutes.
const FORGET_TIME: u64 = 600_000;

/// The leases of all limits, and the events. Times are milliseconds of the ledger's clock, from 1.
#[derive(Debug)]
pub(in crate::ledger) struct LedgerState {
    config: LedgerConfig,
    /// Zero before the first sync, and after a loss.
    generation: u64,
    last_generation: u64,
    /// The time of the last sync of any replica.
    last: u64,
    /// The time of the last sync of each replica, without those that have shut down.
    heard: BTreeMap<ReplicaId, u64>,
    limits: HashMap<LimitKey, LimitState>,
    pub(in crate::ledger) events: EventLog,
}

impl LedgerState {
    pub(in crate::ledger) fn new(config: LedgerConfig) -> Self {
        Self {
            config,
            generation: 0,
            last_generation: 0,
            last: 0,
            heard: BTreeMap::new(),
            limits: HashMap::new(),
            events: EventLog::default(),
        }
    }

    pub(in crate::ledger) fn clear(&mut self) {
        self.generation = 0;
        self.last = 0;
        self.heard.clear();
        self.limits.clear();
        self.events.clear();
    }

    #[cfg(test)]
    pub(super) fn evict(&mut self, key: &LimitKey) {
        self.limits.remove(key);
    }

    /// Returns the response to a sync, and the tasks that wait for the events that it published.
    pub(in crate::ledger) fn sync(&mut self, request: &SyncRequest, now: u64) -> (SyncResponse, Vec<Waker>) {
        let now = self.advance(now);
        let seen = self.events.last();
        self.heard.insert(request.replica, now);
        let leases = request.reports.iter().map(|report| self.report(request, report, now)).collect();
        if request.leaving {
            self.heard.remove(&request.replica);
        }
        for event in &request.events {
            self.events.publish(Audience::AllBut(request.replica), event.clone(), now);
        }
        let lease_time = millis(self.config.lease_time);
        let live = || self.heard.iter().filter(|(_, last)| now - **last <= lease_time);
        let response = SyncResponse {
            generation: self.generation,
            replicas: live().count() as u64,
            rank: live().filter(|(replica, _)| **replica < request.replica).count() as u64,
            leases,
        };
        (response, self.events.woken(seen))
    }

    /// Returns the time, which never goes back. If no replica has synced for long, the ledger could not be reached, and
    /// that is not the silence of any of them.
    fn advance(&mut self, now: u64) -> u64 {
        let now = now.max(self.last);
        if self.generation == 0 {
            self.generation = now.max(self.last_generation + 1);
            self.last_generation = self.generation;
            self.last = now;
        }
        let gap = now - self.last;
        if gap > millis(self.config.lease_time) / 2 {
            self.heard.values_mut().for_each(|last| *last += gap);
        }
        self.last = now;
        self.heard.retain(|_, last| now - *last < FORGET_TIME);
        now
    }

    fn report(&mut self, request: &SyncRequest, report: &Report, now: u64) -> Lease {
        let shared = Shared {
            now,
            lease_time: millis(self.config.lease_time),
            grace: millis(self.config.grace),
            generation: self.generation,
            heard: &self.heard,
        };
        let limit = self.limits.entry(report.key.clone()).or_insert_with(|| LimitState::new(report, now));
        if limit.has_expired(now) {
            *limit = LimitState::new(report, now);
        }
        let Response { lease, due } = limit.report(request, report, &shared);
        if !due.is_empty() {
            let event = Event::SyncDue { key: report.key.clone() };
            self.events.publish(Audience::Only(due), event, now);
        }
        lease
    }
}
