//! The ledger of replicas beside the server: [`join`], [`check`].

use std::process::ExitCode;

use super::failed;
use crate::{
    config::{Config, ReplicaSettings},
    replicas::{Joined, member},
    state::State,
};

/// Returns the state as that of a replica, and its membership, if the configuration names a ledger.
///
/// # Errors
///
/// Returns the exit code after printing the error.
pub(super) fn join(state: State, config: &Config) -> Result<(State, Option<Joined>), ExitCode> {
    let Some(settings) = &config.settings.replicas else { return Ok((state, None)) };
    let member = member(settings);
    let joined = Joined::start(member.clone(), settings).map_err(failed("cannot use Redis"))?;
    Ok((state.with_member(member), Some(joined)))
}

/// Connects to the server of the ledger, and returns a line about it. A gateway starts also without the server.
pub(super) fn check(settings: &ReplicaSettings) -> String {
    let info = crate::replicas::ledger(settings).map_err(Into::into);
    let info = info.and_then(|ledger| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let info = runtime.map(|runtime| runtime.block_on(ledger.info()));
        info.map_err(|error| tollgate_redis::RedisLedgerError::Server(error.into()))?
    });
    let (server, namespace) = (&settings.server, &settings.namespace);
    match info {
        Ok(info) => {
            let evicts = info.eviction.is_some_and(|policy| policy.starts_with("allkeys-"));
            let hint =
                if evicts { "; its `maxmemory-policy` may evict the limits: use `noeviction`" } else { "" };
            format!("replicas: {} at {server} responds, namespace `{namespace}`{hint}", info.version)
        }
        Err(error) => {
            let part = match settings.replicas {
                1 => "the whole".to_owned(),
                replicas => format!("1/{replicas}"),
            };
            format!(
                "replicas: no response from {server} ({error}): until there is one, {part} of each limit is used"
            )
        }
    }
}
