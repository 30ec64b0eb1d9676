//! The state of the gateway for an operator: [`Status`], which renders it as JSON for the [page] and changes the health of
//! deployments by hand.

mod data;
pub(crate) mod page;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::time::Instant;
use tollgate_layers::{
    cooldown::{EndpointHealth, HealthState},
    ledger::Member,
    quota::Meters,
};

use self::data::Data;
use crate::{
    config::{Diagnostic, LeftOut},
    error::OperatorError,
    metrics::ScopeMetrics,
    request::Client,
    spend::Budget,
};

/// The handles of all that a tree serves, and the facts about its configuration. Reading them takes no lock that a tree is
/// built under.
#[derive(Debug)]
pub(crate) struct Status {
    /// The start of the gateway.
    pub started: Instant,
    /// The limit of admission control.
    pub max_in_flight: usize,
    /// The metrics of the whole gateway.
    pub gateway: Arc<ScopeMetrics>,
    /// The groups, in the order of the configuration.
    pub groups: Vec<GroupHandles>,
    /// The entries of the configuration that are not served.
    pub left_out: Vec<LeftOut>,
    /// The warnings of the configuration.
    pub warnings: Vec<Diagnostic>,
    /// The member of the ledger of replicas; none in a gateway alone.
    pub member: Option<Member>,
    /// The clients with a key of their own.
    pub clients: Vec<Arc<Client>>,
    /// The budget of the whole gateway.
    pub budget: Option<Arc<Budget>>,
}

/// The handles of one group.
#[derive(Debug)]
pub(crate) struct GroupHandles {
    pub name: Arc<str>,
    pub metrics: Arc<ScopeMetrics>,
    pub deployments: Vec<DeploymentHandles>,
}

/// The handles of one deployment.
#[derive(Debug)]
pub(crate) struct DeploymentHandles {
    pub id: Arc<str>,
    /// The model with the prefix of its vendor, as in the configuration.
    pub model: String,
    pub health: EndpointHealth,
    pub meters: Meters,
    pub metrics: Arc<ScopeMetrics>,
}

/// The status of the newest tree, for a reader that outlives the trees.
#[derive(Clone, Debug, Default)]
pub(crate) struct NewestStatus(Arc<Mutex<Weak<Status>>>);

impl NewestStatus {
    pub(crate) fn set(&self, status: &Arc<Status>) {
        *self.lock() = Arc::downgrade(status);
    }

    /// Returns the status, unless its tree is gone.
    pub(crate) fn get(&self) -> Option<Arc<Status>> {
        self.lock().upgrade()
    }

    fn lock(&self) -> MutexGuard<'_, Weak<Status>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The rights of a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Reads the status: the rights of the read-only key.
    Read,
    /// Reads the status and operates deployments: the rights of the master key.
    Operate,
}

impl Access {
    /// Returns the rights as JSON. A page asks for them first: a browser would report a 401 as an error of the page.
    pub(crate) const fn json(access: Option<Self>) -> &'static str {
        match access {
            Some(Self::Operate) => r#"{"access":"operate"}"#,
            Some(Self::Read) => r#"{"access":"read"}"#,
            None => r#"{"access":"none"}"#,
        }
    }
}

/// An operation on a deployment, which lasts until the next start or reload at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Begins a cooldown.
    CoolDown,
    /// Ends a cooldown or a drain.
    Revive,
    /// Sends no further call.
    Drain,
}

/// The longest cooldown that is begun by hand: a day.
const LONGEST_COOLDOWN: u64 = 86_400;

/// The length of a cooldown that is begun by hand without a length.
const COOLDOWN: u64 = 60;

impl Status {
    /// Returns the status as JSON. For ten thousand deployments this takes some milliseconds.
    pub(crate) fn render(&self, access: Access, draining: bool) -> Vec<u8> {
        serde_json::to_vec(&Data::read(self, access, draining)).unwrap_or_default()
    }

    /// Applies an action to the deployment with this id. `query` may name the length of a cooldown: `seconds=60`. Returns the
    /// new state as JSON.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no such deployment, the length is invalid, or the deployment has no cooldowns.
    pub(crate) fn operate(
        &self,
        action: Action,
        id: &str,
        query: Option<&str>,
    ) -> Result<Vec<u8>, OperatorError> {
        let mut deployments = self.groups.iter().flat_map(|group| &group.deployments);
        let deployment = deployments.find(|deployment| *deployment.id == *id);
        let deployment = deployment.ok_or(OperatorError::UnknownDeployment)?;
        let health = &deployment.health;
        match action {
            Action::CoolDown if !health.cool_down(cooldown_length(query)?) => {
                return Err(OperatorError::NoCooldowns);
            }
            Action::CoolDown => {}
            Action::Revive => health.revive(),
            Action::Drain => health.set_drained(true),
        }
        let state = state_name(health.snapshot().state);
        tracing::warn!(deployment = id, state, "an operator has changed the state of a deployment");
        let changed = serde_json::json!({"deployment": id, "state": state});
        Ok(changed.to_string().into_bytes())
    }
}

/// Returns the length of a cooldown from a query.
fn cooldown_length(query: Option<&str>) -> Result<Duration, OperatorError> {
    let pairs = query.unwrap_or_default().split('&');
    let seconds = pairs.filter_map(|pair| pair.strip_prefix("seconds=")).next_back();
    let seconds = seconds.map_or(Ok(COOLDOWN), |seconds| seconds.parse().map_err(|_| OperatorError::Length));
    match seconds? {
        seconds @ 1..=LONGEST_COOLDOWN => Ok(Duration::from_secs(seconds)),
        _ => Err(OperatorError::Length),
    }
}

/// Returns the name of a state in the JSON.
const fn state_name(state: HealthState) -> &'static str {
    match state {
        HealthState::Healthy => "healthy",
        HealthState::SlowStart => "slow_start",
        HealthState::CoolingDown => "cooling_down",
        HealthState::HalfOpen => "half_open",
        HealthState::Probing => "probing",
        HealthState::Drained => "drained",
    }
}

/// Returns the milliseconds since 1970.
fn unix_millis(time: SystemTime) -> u64 {
    millis(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_a_cooldown_is_read_from_the_query() {
        for (query, seconds) in [
            (None, Some(60)),
            (Some(""), Some(60)),
            (Some("seconds=1"), Some(1)),
            (Some("a=b&seconds=86400"), Some(86_400)),
            (Some("seconds=0"), None),
            (Some("seconds=86401"), None),
            (Some("seconds=-1"), None),
            (Some("seconds=1.5"), None),
            (Some("seconds="), None),
        ] {
            assert_eq!(cooldown_length(query).ok().map(|length| length.as_secs()), seconds, "{query:?}");
        }
    }
}
