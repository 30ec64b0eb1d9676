//! The ledger of replicas beside the server: [`join`], [`check`].

use std::process::ExitCode;

use serde_json::{Value, json};
use tollgate_redis::{RedisLedgerError, ServerInfo};

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
    let registry = state.registry().clone();
    let joined = Joined::start(member.clone(), registry, settings).map_err(failed("cannot use Redis"))?;
    Ok((state.with_member(member), Some(joined)))
}

/// Connects to the server of the ledger, and returns a line about it. A gateway starts also without the server.
pub(super) fn check(settings: &ReplicaSettings) -> String {
    let (server, namespace) = (&settings.server, &settings.namespace);
    match info(settings) {
        Ok(info) => {
            let hint = if evicts(&info) {
                "; its `maxmemory-policy` may evict the limits: use `noeviction`"
            } else {
                ""
            };
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

/// Connects to the server of the ledger, and returns a report about it.
pub(super) fn check_json(settings: &ReplicaSettings) -> Value {
    let info = info(settings);
    json!({
        "server": settings.server.to_string(),
        "namespace": &*settings.namespace,
        "expected": settings.replicas,
        "version": info.as_ref().ok().map(|info| &info.version),
        "may_evict_limits": info.as_ref().ok().map(evicts),
        "error": info.as_ref().err().map(ToString::to_string),
    })
}

/// Returns the description of the server.
///
/// # Errors
///
/// If an address is invalid, or the server does not respond.
fn info(settings: &ReplicaSettings) -> Result<ServerInfo, RedisLedgerError> {
    let ledger = crate::replicas::ledger(settings)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| RedisLedgerError::Server(error.into()))?.block_on(ledger.info())
}

/// Returns true if the server may evict the limits when its memory is full.
fn evicts(info: &ServerInfo) -> bool {
    info.eviction.as_ref().is_some_and(|policy| policy.starts_with("allkeys-"))
}
