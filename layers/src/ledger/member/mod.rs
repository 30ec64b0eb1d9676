//! The membership of a process in a ledger: [`Member`].

mod events;
mod run;
mod state;

use std::{
    collections::BTreeSet,
    future::Future,
    mem,
    sync::{Arc, PoisonError, Weak},
    task::Waker,
    time::Duration,
};

use tokio::time::Instant;

pub use self::run::Run;
use self::state::MemberState;
use super::{ChangeListener, Ledger, LimitKey, ReplicaId};
use crate::{
    cooldown::EndpointHealth,
    quota::{Account, Meters},
    sync::{Mutex, MutexGuard},
};

/// The behaviour of a replica that cannot reach the ledger for longer than a lease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenIsolated {
    /// The replica keeps its permits. If the ledger is down, nothing is exceeded and nothing is lost. If only this replica
    /// cannot reach it, the others take over its permits one by one. A refusal by the backend shows that: the replica
    /// reduces that limit to an even share then.
    #[default]
    Keep,
    /// The replica uses no permits, and never exceeds a limit.
    Stop,
}

/// The times and the behaviour of a [`Member`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberConfig {
    /// The time between two syncs without demand. A quarter of it while a limit counts over less than five heartbeats.
    pub heartbeat: Duration,
    /// The time after which a sync has failed.
    pub timeout: Duration,
    /// The lease time of the ledger: [`LedgerConfig::lease_time`](super::LedgerConfig::lease_time).
    pub lease_time: Duration,
    /// The expected number of replicas. While the ledger has never responded, each uses this part of a limit.
    pub replicas: u64,
    /// The behaviour without the ledger.
    pub when_isolated: WhenIsolated,
}

impl Default for MemberConfig {
    /// Returns a heartbeat of 1 s, a timeout of 250 ms, a lease of 5 s, and one replica.
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(1),
            timeout: Duration::from_millis(250),
            lease_time: Duration::from_secs(5),
            replicas: 1,
            when_isolated: WhenIsolated::default(),
        }
    }
}

/// The state of a [`Member`], for metrics and a status page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberSnapshot {
    /// True if the last sync succeeded.
    pub in_touch: bool,
    /// The number of live replicas by the last response; zero before the first.
    pub replicas: u64,
    /// The time since the last response, or since the start if there was none.
    pub stale: Duration,
    /// The number of syncs that succeeded.
    pub syncs: u64,
    /// The number of syncs that failed.
    pub failures: u64,
    /// The duration of the last sync that succeeded.
    pub sync_time: Duration,
}

/// A limit, as this replica and as the others know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedLimit {
    /// The key of the limit.
    pub key: LimitKey,
    /// The limit as this replica knows it.
    pub limit: u64,
    /// The limit in force: the smallest that a replica knows. If it is lower than `limit`, the configurations differ.
    pub in_force: u64,
}

/// The membership of this process in a ledger. Clones are the same member.
///
/// A member keeps meters, accounts and the health of endpoints in step with those of other processes. The owner polls
/// [`Member::run`] beside its own work; nothing is spawned. Requests never wait for the ledger.
///
/// ```
/// use tollgate_layers::{ledger::{LimitKey, LocalLedger, Member, MemberConfig, ReplicaId}, quota::{Limits, Meters}};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let meters = Meters::new(Limits { requests: Some(600), ..Limits::default() });
/// let member = Member::new(ReplicaId::random(), MemberConfig::default());
/// member.share(&LimitKey::from("a deployment"), &meters);
/// let shutdown = async { /* serve */ };
/// member.run(LocalLedger::default(), shutdown).await;
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Member {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    replica: ReplicaId,
    state: Mutex<MemberState>,
    /// The sources that have changed, and the task to wake.
    changes: Mutex<Changes>,
}

#[derive(Debug, Default)]
struct Changes {
    sources: BTreeSet<SourceId>,
    waker: Option<Waker>,
}

/// An object with changes that other replicas should receive.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum SourceId {
    Endpoint(LimitKey),
    Account(LimitKey),
    Health(LimitKey),
}

/// The listener of one such object.
#[derive(Debug)]
struct Source {
    id: SourceId,
    member: Weak<Shared>,
}

impl ChangeListener for Source {
    fn changed(&self) {
        let Some(member) = self.member.upgrade() else { return };
        let mut changes = member.changes();
        let waker = if changes.sources.insert(self.id.clone()) { changes.waker.take() } else { None };
        drop(changes);
        waker.into_iter().for_each(Waker::wake);
    }
}

impl Member {
    /// Returns a member that shares nothing yet.
    #[must_use]
    pub fn new(replica: ReplicaId, config: MemberConfig) -> Self {
        let state = Mutex::new(MemberState::new(replica, config));
        Self { shared: Arc::new(Shared { replica, state, changes: Mutex::default() }) }
    }

    /// Returns the id of this replica.
    #[must_use]
    pub fn replica(&self) -> ReplicaId {
        self.shared.replica
    }

    /// Shares the limits and the server hold of an endpoint. `key` must be equal in all replicas, and unique.
    ///
    /// No call is admitted before the first response of the ledger, or the first failure. The member does not keep the
    /// meters alive; their permits go back when they are dropped. Sharing them again changes nothing.
    pub fn share(&self, key: &LimitKey, meters: &Meters) {
        let (id, weak) = (SourceId::Endpoint(key.clone()), meters.downgrade());
        let is_known = |state: &mut MemberState, _| state.has_endpoint(key, &weak);
        if self.with(is_known) {
            return;
        }
        let listener = self.listen_to(id, |state, source| state.add_endpoint(key, weak, source));
        meters.share_among(self.with(|state, _| state.config.replicas), listener);
        if self.with(|state, _| state.is_lost()) {
            meters.ledger_lost(None);
        }
        self.wake();
    }

    /// Shares the hold of an account.
    pub fn share_account(&self, key: &LimitKey, account: &Account) {
        let (id, weak) = (SourceId::Account(key.clone()), account.downgrade());
        account.on_change(self.listen_to(id, |state, source| state.add_account(key, weak, source)));
    }

    /// Shares the cooldowns of an endpoint, and its failures.
    pub fn share_health(&self, key: &LimitKey, health: &EndpointHealth) {
        let (id, weak) = (SourceId::Health(key.clone()), health.downgrade());
        health.on_change(self.listen_to(id, |state, source| state.add_health(key, weak, source)));
    }

    /// Returns the present state.
    #[must_use]
    pub fn snapshot(&self) -> MemberSnapshot {
        self.with(|state, now| state.snapshot(now))
    }

    /// Returns the shared limits, as of their last responses.
    #[must_use]
    pub fn limits(&self) -> Vec<SharedLimit> {
        self.with(|state, _| state.limits())
    }

    /// Keeps in step with the ledger until `shutdown` completes, then gives back all permits.
    ///
    /// No call should be made after that. One task at a time may poll such a future of this member.
    pub fn run<L: Ledger, F: Future<Output = ()>>(&self, ledger: L, shutdown: F) -> Run<L, F> {
        Run::new(self, ledger, shutdown)
    }

    /// Adds a source of changes to the state, which keeps it alive. Returns its listener.
    fn listen_to(
        &self,
        id: SourceId,
        add: impl FnOnce(&mut MemberState, Arc<Source>),
    ) -> Weak<dyn ChangeListener> {
        let source = Arc::new(Source { id, member: Arc::downgrade(&self.shared) });
        let listener: Arc<dyn ChangeListener> = Arc::<Source>::clone(&source);
        self.with(|state, _| add(state, source));
        Arc::downgrade(&listener)
    }

    fn with<T>(&self, f: impl FnOnce(&mut MemberState, Instant) -> T) -> T {
        f(&mut self.shared.state(), Instant::now())
    }

    fn wake(&self) {
        let waker = self.shared.changes().waker.take();
        waker.into_iter().for_each(Waker::wake);
    }

    /// Returns the sources that have changed since the last call.
    fn take_changes(&self) -> BTreeSet<SourceId> {
        mem::take(&mut self.shared.changes().sources)
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, MemberState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
