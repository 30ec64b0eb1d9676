//! The gateway as one of several replicas, which share their limits through a ledger: [`Joined`].

mod budgets;
mod log;
mod servers;

use std::time::Duration;

use tokio::{sync::oneshot, task::JoinHandle, time::timeout};
use tollgate_layers::ledger::{Member, MemberConfig, ReplicaId, WhenIsolated};
use tollgate_redis::redis::RedisResult;

pub(crate) use self::servers::ledger;
use self::{budgets::BudgetSharing, log::LogChanges};
use crate::{config::ReplicaSettings, registry::Registry};

/// The time for which the end of the process waits until the ledger has the permits.
const LAST_SYNC: Duration = Duration::from_secs(2);

/// Returns the member of this process, which shares nothing yet.
pub(crate) fn member(settings: &ReplicaSettings) -> Member {
    let when_isolated = if settings.stops_when_isolated { WhenIsolated::Stop } else { WhenIsolated::Keep };
    let config = MemberConfig {
        heartbeat: settings.heartbeat,
        lease_time: settings.lease,
        replicas: settings.replicas,
        when_isolated,
        ..MemberConfig::default()
    };
    Member::new(ReplicaId::random(), config)
}

/// The task that keeps a member in step with its ledger.
pub(crate) struct Joined {
    task: JoinHandle<()>,
    end: oneshot::Sender<()>,
}

impl Joined {
    /// Starts the task. It shares the budgets of the registry too.
    ///
    /// # Errors
    /// If an address of the server is invalid.
    pub(crate) fn start(member: Member, registry: Registry, settings: &ReplicaSettings) -> RedisResult<Self> {
        let ledger = ledger(settings)?;
        let budgets = BudgetSharing { registry, replica: member.replica(), ledger: ledger.clone() };
        let (end, ended) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let shutdown = async {
                // The sender is dropped only with the process.
                let _ended = ended.await;
            };
            tokio::select! {
                () = member.run(LogChanges::new(ledger), shutdown) => {}
                () = budgets.run() => {}
            }
            budgets.exchange(true).await;
        });
        Ok(Self { task, end })
    }

    /// Gives the permits back, reports what was spent, and ends the task. No request may be served afterwards.
    pub(crate) async fn leave(self) {
        // Without a response the permits go to the others when the lease has expired.
        let _ended = (self.end.send(()), timeout(LAST_SYNC, self.task).await);
    }
}
