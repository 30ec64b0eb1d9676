//! The shared handles of each deployment, which outlive a tree: [`Registry`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::{Duration, Instant};
use tollgate_layers::{
    cooldown::{EndpointHealth, HealthSnapshot, HealthState},
    quota::{Account, Limits, MeterSnapshot, Meters},
};

use crate::{shared_map::SharedMap, spend::Budget};

/// The meters and the health of all deployments. Clones share them. Locked when a tree is built and when they are read
/// for an operator, never by a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Registry {
    handles: Arc<Mutex<Handles>>,
}

/// The handles of each deployment, by the deployment's id.
#[derive(Debug, Default)]
pub(crate) struct Handles {
    pub(crate) meters: SharedMap<Arc<str>, Meters>,
    /// The health of each deployment, and the fingerprint of the target that it was recorded for.
    pub(crate) health: SharedMap<Arc<str>, (u64, EndpointHealth)>,
    pub(crate) accounts: SharedMap<AccountKey, Account>,
    /// The meters of each client key, by its name.
    pub(crate) clients: SharedMap<Arc<str>, Meters>,
    /// The budgets of client keys, by the name of the key.
    pub(crate) budgets: SharedMap<Arc<str>, Arc<Budget>>,
    /// The budget of the whole gateway.
    pub(crate) gateway_budget: Option<Arc<Budget>>,
}

/// The key of an account: a `quota_group`, or a single deployment.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) enum AccountKey {
    /// The name of a `quota_group`, which its deployments share.
    Group(Arc<str>),
    /// The id of a deployment without a `quota_group`.
    Deployment(Arc<str>),
}

/// The state of a deployment at one time.
#[derive(Clone, Debug)]
pub(crate) struct DeploymentState {
    pub(crate) health: HealthSnapshot,
    pub(crate) meters: MeterSnapshot,
    /// The configured limits.
    pub(crate) limits: Limits,
}

impl DeploymentState {
    /// Returns the present state.
    pub(crate) fn read(health: &EndpointHealth, meters: &Meters) -> Self {
        Self { health: health.snapshot(), meters: meters.snapshot(), limits: meters.limits() }
    }

    /// Returns true if the deployment cools down, or is half open after a cooldown.
    pub(crate) const fn cools_down(&self) -> bool {
        match self.health.state {
            HealthState::CoolingDown | HealthState::HalfOpen | HealthState::Probing => true,
            HealthState::Healthy | HealthState::SlowStart | HealthState::Drained => false,
        }
    }
}

impl Handles {
    /// Returns all budgets, those of client keys with the name of the key.
    #[cfg(feature = "redis")]
    pub(crate) fn all_budgets(&self) -> Vec<(Option<Arc<str>>, Arc<Budget>)> {
        let of_keys = self.budgets.to_vec().into_iter().map(|(name, budget)| (Some(name), budget));
        of_keys.chain(self.gateway_budget.clone().map(|budget| (None, budget))).collect()
    }
}

impl Registry {
    /// Returns the handles, for a change.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Handles> {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops the handles that nothing else has used since `grace` before `now`.
    pub(crate) fn prune(&self, now: Instant, grace: Duration) {
        let mut handles = self.lock();
        handles.meters.prune(now, grace);
        handles.health.prune(now, grace);
        handles.accounts.prune(now, grace);
        handles.clients.prune(now, grace);
        handles.budgets.prune(now, grace);
    }

    /// Returns the state of the deployments with these ids, in their order. The handles are copied first, so that the lock
    /// is not held while they are read.
    pub(crate) fn states<'a>(&self, ids: impl IntoIterator<Item = &'a str>) -> Vec<Option<DeploymentState>> {
        let handles = self.lock();
        let found = ids.into_iter().map(|id| {
            let (_, health) = handles.health.get(id)?;
            Some((health.clone(), handles.meters.get(id)?.clone()))
        });
        let found: Vec<_> = found.collect();
        drop(handles);
        found
            .into_iter()
            .map(|found| found.map(|(health, meters)| DeploymentState::read(&health, &meters)))
            .collect()
    }
}
