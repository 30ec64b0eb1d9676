//! The state of one limit of a ledger: [`LimitState`].

use std::{collections::BTreeMap, time::Duration};

use super::{
    super::{Lease, ReplicaId, Report, SyncRequest},
    millis,
    record::Record,
    standing::Standing,
};

/// The time without a refusal after which a longer window is tried: ten minutes.
const CLEAN_TIME: u64 = 600_000;
/// The time after the last report of a limit at which its data expire: ten minutes.
const KEEP_TIME: u64 = 600_000;

/// The window over which the permits of a limit are counted.
#[derive(Clone, Copy, Debug)]
struct Rule {
    window: u64,
    /// The number of changes of the window.
    epoch: u64,
    /// The time of the last change, or of the last refusal that taught the window.
    since: u64,
}

/// The records of one limit.
#[derive(Debug)]
pub(super) struct LimitState {
    rule: Rule,
    born: u64,
    /// The time of the last report.
    touched: u64,
    /// True if a replica has declared permits that this ledger did not give it: there was a loss.
    recovering: bool,
    pub(super) records: BTreeMap<ReplicaId, Record>,
}

/// The ledger's data that concern all limits, at the time of one sync.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shared<'a> {
    pub(super) now: u64,
    pub(super) lease_time: u64,
    pub(super) grace: u64,
    pub(super) generation: u64,
    /// The time of the last sync of each replica.
    pub(super) heard: &'a BTreeMap<ReplicaId, u64>,
}

/// The response to a report, and the replicas that should report in their turn.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) lease: Lease,
    pub(super) due: Vec<ReplicaId>,
}

impl Shared<'_> {
    /// Returns the time of the last sync of the replica with this record.
    pub(super) fn last(&self, replica: ReplicaId, record: &Record) -> u64 {
        self.heard.get(&replica).copied().unwrap_or(record.at)
    }

    /// Returns true if a replica has synced within the lease time and was not shut down.
    pub(super) fn is_live(&self, replica: ReplicaId, record: &Record) -> bool {
        !record.leaving && self.now - self.last(replica, record) <= self.lease_time
    }
}

impl LimitState {
    /// Returns the state that a report finds if it is the first one.
    pub(super) fn new(report: &Report, now: u64) -> Self {
        let rule = Rule { window: millis(report.window), epoch: report.epoch, since: now };
        Self { rule, born: now, touched: now, recovering: false, records: BTreeMap::new() }
    }

    pub(super) const fn has_expired(&self, now: u64) -> bool {
        now - self.touched >= KEEP_TIME
    }

    pub(super) fn report(&mut self, request: &SyncRequest, report: &Report, shared: &Shared<'_>) -> Response {
        let earlier = self.records.get(&request.replica);
        if let Some(earlier) = earlier.filter(|earlier| earlier.seq >= request.seq) {
            return Response { lease: self.repeated(earlier), due: Vec::new() };
        }
        let freed = earlier.is_some_and(|earlier| report.held < earlier.held);
        // The generation is older, or there was none and permits were used without a ledger.
        let of_before = report.held > 0 || ![0, shared.generation].contains(&request.generation);
        let undeclared = earlier.is_none() && of_before;
        self.recovering |= undeclared;
        // Only this limit was lost. After a loss of all data the replicas declare what they hold without a request.
        let lost = undeclared && self.records.is_empty() && shared.now >= shared.generation + shared.grace;
        let changed = self.is_new_limit(report, earlier, shared);
        let record = Record::new(request, report, (earlier, shared.now));
        self.touched = shared.now;
        let changed = self.learn(report, shared.now) | changed;
        self.records.insert(request.replica, record);
        self.drop_expired(shared);
        let mut response = self.deal(request.replica, freed, shared);
        if lost {
            response.due = shared.heard.keys().copied().filter(|other| *other != request.replica).collect();
        } else if changed {
            response.due = self.others(request.replica, shared);
        }
        response
    }

    /// Returns true if a report changes the limit of its replica, or adds a replica with another limit than that of the
    /// others, which should report: the limit in force may be another one.
    fn is_new_limit(&self, report: &Report, earlier: Option<&Record>, shared: &Shared<'_>) -> bool {
        let differs = |(replica, record): (&ReplicaId, &Record)| {
            record.limit != report.limit && shared.is_live(*replica, record)
        };
        earlier.map_or_else(|| self.records.iter().any(differs), |earlier| earlier.limit != report.limit)
    }

    /// Updates the rule by a report. Returns true if the window changed.
    fn learn(&mut self, report: &Report, now: u64) -> bool {
        let Rule { window, epoch, since } = self.rule;
        let reported = millis(report.window);
        let is_firm = report.learned || report.wider.is_none() || report.epoch == epoch;
        self.rule = if report.epoch > epoch {
            // After a loss of data: the replica has received this epoch from the ledger.
            Rule { window: reported, epoch: report.epoch, since: now }
        } else if reported < window && is_firm {
            Rule { window: reported, epoch: epoch + 1, since: now }
        } else if report.learned {
            Rule { since: now, ..self.rule }
        } else {
            match report.wider.map(millis) {
                Some(wider) if reported == window && now - since >= CLEAN_TIME => {
                    Rule { window: wider, epoch: epoch + 1, since: now }
                }
                _ => self.rule,
            }
        };
        self.rule.window != window
    }

    /// Removes the records of silent replicas, once all that they may have used is free.
    fn drop_expired(&mut self, shared: &Shared<'_>) {
        let window = self.rule.window;
        self.records.retain(|replica, record| {
            let silent = shared.now - shared.last(*replica, record);
            silent <= shared.lease_time + window.max(record.window)
        });
    }

    fn deal(&mut self, replica: ReplicaId, freed: bool, shared: &Shared<'_>) -> Response {
        let standing = Standing::new(&self.records, self.rule.window, shared);
        let Some(place) = standing.place(replica) else {
            // The replica counts over another window, or has shut down.
            let due = if freed { standing.first_waiting(None) } else { None };
            return Response { lease: self.closed(), due: due.into_iter().collect() };
        };
        let is_frozen = self.recovering && shared.now < self.born + shared.grace;
        let granted = if is_frozen { 0 } else { standing.grant(place) };
        let permits = if granted > 0 { standing.held(place) + granted } else { standing.lowered(place) };
        let lease = Lease {
            permits,
            limit: standing.limit(),
            window: Duration::from_millis(self.rule.window),
            epoch: self.rule.epoch,
            wanted: standing.others_wait(place),
            spare: standing.has_spare(place, granted),
        };
        let mut due = standing.due(place, granted, shared.now);
        if freed && !is_frozen && standing.has_unassigned(granted) {
            due.extend(standing.first_waiting(Some(place)));
        }
        if let Some(record) = self.records.get_mut(&replica) {
            record.grant(granted, shared.now);
            record.leased = permits;
            record.told = if lease.wanted { shared.now } else { 0 };
        }
        Response { lease, due }
    }

    /// Returns all live replicas but one.
    fn others(&self, replica: ReplicaId, shared: &Shared<'_>) -> Vec<ReplicaId> {
        let others = self
            .records
            .iter()
            .filter(|(other, record)| **other != replica && shared.is_live(**other, record));
        others.map(|(other, _)| *other).collect()
    }

    /// Returns the response to a request that was received before: the permits of the record.
    fn repeated(&self, record: &Record) -> Lease {
        let permits = if record.window == self.rule.window { record.held } else { 0 };
        Lease { permits, limit: record.limit, ..self.closed() }
    }

    /// Returns a lease without permits.
    const fn closed(&self) -> Lease {
        Lease {
            permits: 0,
            limit: 0,
            window: Duration::from_millis(self.rule.window),
            epoch: self.rule.epoch,
            wanted: false,
            spare: false,
        }
    }
}
