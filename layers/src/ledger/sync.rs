//! A sync of one replica with the ledger: [`SyncRequest`], [`SyncResponse`].

use std::time::Duration;

use super::{Event, Lease, ReplicaId, Report};

/// The times of a ledger, equal for all replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerConfig {
    /// The time without a sync after which a replica counts as silent: its free permits are locked, then given to others.
    pub lease_time: Duration,
    /// The time after a loss of the ledger's data in which replicas declare what they hold, and none gets more.
    pub grace: Duration,
}

impl Default for LedgerConfig {
    /// Returns a lease of 5 s, five heartbeats, and a grace of 2 s.
    fn default() -> Self {
        Self { lease_time: Duration::from_secs(5), grace: Duration::from_secs(2) }
    }
}

/// A replica's declaration to the ledger. A request without reports is a heartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncRequest {
    /// The replica.
    pub replica: ReplicaId,
    /// The number of this request, greater than that of every earlier one of this replica. The ledger ignores a report
    /// that comes after a later one for the same limit.
    pub seq: u64,
    /// The generation of the last response; zero before the first.
    pub generation: u64,
    /// True for the last request of a replica that shuts down. It reports every limit, and uses no permit afterwards.
    pub leaving: bool,
    /// The limits of which the ledger should learn: see [the contract](super#the-contract-of-a-replica).
    pub reports: Vec<Report>,
    /// The events to publish. An event may be delivered twice if a request is sent again.
    pub events: Vec<Event>,
}

impl SyncRequest {
    /// Returns a request of a replica that has not synced yet, without reports: a value for `..`.
    #[must_use]
    pub const fn new(replica: ReplicaId) -> Self {
        Self { replica, seq: 0, generation: 0, leaving: false, reports: Vec::new(), events: Vec::new() }
    }
}

/// The response to a [`SyncRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncResponse {
    /// The generation of the ledger's data, a new one after each loss.
    pub generation: u64,
    /// The number of live replicas, including the sender.
    pub replicas: u64,
    /// The number of live replicas with a smaller id than the sender's.
    pub rank: u64,
    /// A lease for each report, in their order.
    pub leases: Vec<Lease>,
}
