//! The gateway as one of several replicas, which share their limits through a ledger: [`Joined`].

mod log;
mod servers;

use std::time::Duration;

use tokio::{sync::oneshot, task::JoinHandle, time::timeout};
use tollgate_layers::ledger::{Member, MemberConfig, ReplicaId, WhenIsolated};
use tollgate_redis::redis::RedisResult;

use self::log::LogChanges;
pub(crate) use self::servers::ledger;
use crate::config::ReplicaSettings;

/// The time for which the end of the process waits until the ledger has the permits.
const LAST_SYNC: Duration = Duration::from_secs(2);

/// Returns the member of this process, which shares nothing yet.
pub(crate) fn member(settings: &ReplicaSettings) -> Member {
    let when_isolated = if settings.stops_when_isolated { WhenIsolated::Stop } else { WhenIsolated::Keep };
    let config = MemberConfig { replicas: settings.replicas, when_isolated, ..MemberConfig::default() };
    Member::new(ReplicaId::random(), config)
}

/// The task that keeps a member in step with its ledger.
pub(crate) struct Joined {
    task: JoinHandle<()>,
    end: oneshot::Sender<()>,
}

impl Joined {
    /// Starts the task.
    ///
    /// # Errors
    /// If an address of the server is invalid.
    pub(crate) fn start(member: Member, settings: &ReplicaSettings) -> RedisResult<Self> {
        let ledger = LogChanges::new(ledger(settings)?);
        let (end, ended) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let shutdown = async {
                // The sender is dropped only with the process.
                let _ended = ended.await;
            };
            member.run(ledger, shutdown).await;
        });
        Ok(Self { task, end })
    }

    /// Gives the permits back, and ends the task. No request may be served afterwards.
    pub(crate) async fn leave(self) {
        // Without a response the permits go to the others when the lease has expired.
        let _ended = (self.end.send(()), timeout(LAST_SYNC, self.task).await);
    }
}
