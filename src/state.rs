//! What outlives a tree: [`State`].
//!
//! Meters, benches, connections and metric handles, keyed by the id of the deployment. A new tree over the same state
//! remembers what was used, who is ill, and whom it is connected to.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tollgate_layers::{
    BoxError, Outcome,
    cooldown::{CooldownConfig, EndpointHealth},
    quota::{Account, Accounting, Limits, Meters, RateWindow},
    retry::Budget,
};

use crate::{
    classify::{OutcomeKind, counted, kind_of},
    config::{Deployment, Pattern, RetryBudget, Settings, TokenAccounting},
    deployment::{
        mock::MockUpstream,
        upstream::{Client, Upstream},
    },
    front::paths::Draining,
    metrics::Metrics,
};

/// Finds the upstream of a deployment.
type Connect = Box<dyn Fn(&Deployment) -> Arc<dyn Upstream> + Send + Sync>;

/// What outlives a tree. Two gateways with a state each share nothing.
pub struct State {
    /// What is counted.
    pub(crate) metrics: Metrics,
    /// The one retry budget of the gateway.
    budget: Budget,
    /// Whether the process is about to go.
    pub draining: Draining,
    connect: Connect,
    kept: Mutex<Kept>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Kept {
    meters: HashMap<Arc<str>, Meters>,
    /// With the fingerprint of the target that each was filled by.
    health: HashMap<Arc<str>, (u64, EndpointHealth)>,
    accounts: HashMap<Paying, Account>,
}

/// Who is paid from an account: all of a `quota_group`, or one deployment.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Paying {
    Group(Arc<str>),
    Alone(Arc<str>),
}

impl State {
    /// Nothing used, nobody ill, no connection. Deployments are called over the wire, mocks answer themselves.
    ///
    /// # Errors
    /// When the TLS client cannot be made.
    pub fn new() -> Result<Self, BoxError> {
        let client = Client::new()?;
        Ok(Self::with_upstreams(move |deployment| match &deployment.mock {
            Some(mock) => Arc::new(MockUpstream::new(mock, Arc::clone(&deployment.target.model))),
            None if deployment.target.http2 => client.http2(),
            None => client.http1(&deployment.target.base),
        }))
    }

    /// The same with upstreams of one's own: for a simulation, or an embedder with a transport of his own.
    pub fn with_upstreams(
        connect: impl Fn(&Deployment) -> Arc<dyn Upstream> + Send + Sync + 'static,
    ) -> Self {
        let (metrics, budget) = (Metrics::default(), Budget::default());
        metrics.watch(budget.clone());
        Self {
            metrics,
            budget,
            draining: Draining::default(),
            connect: Box::new(connect),
            kept: Mutex::default(),
        }
    }

    /// Returns all metrics in Prometheus' text format, as `/metrics` does.
    ///
    /// # Errors
    /// When the encoder refuses a value, which would be a fault of the gateway.
    pub fn render_metrics(&self) -> Result<String, fmt::Error> {
        self.metrics.render()
    }

    /// The upstream of a deployment.
    pub(crate) fn upstream(&self, deployment: &Deployment) -> Arc<dyn Upstream> {
        (self.connect)(deployment)
    }

    /// The retry budget, by the terms of today.
    pub(crate) fn budget(&self, settings: &Settings) -> Budget {
        let RetryBudget { percent, reserve } = settings.retry_budget;
        self.budget.set(percent, reserve);
        self.budget.clone()
    }

    /// The meters of a deployment: the same as before, by the limits of today. One that is paid from another account
    /// since then has used nothing of that.
    pub(crate) fn meters(&self, deployment: &Deployment, settings: &Settings) -> Meters {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let account = Some(kept.account(deployment));
        let limits = Limits { account, ..limits(deployment, settings) };
        match kept.meters.get(&deployment.id) {
            Some(meters) if meters.limits().account == limits.account => {
                meters.set_limits(limits);
                meters.clone()
            }
            Some(_) | None => {
                let meters = Meters::new(limits);
                kept.meters.insert(Arc::clone(&deployment.id), meters.clone());
                meters
            }
        }
    }

    /// Returns the health of a deployment: the same as before, by the policy of today. One that is called elsewhere or with
    /// another key since then has a clean record: whoever corrects a key need not wait.
    pub(crate) fn health(&self, deployment: &Deployment, settings: &Settings) -> EndpointHealth {
        let policy = policy(deployment, settings);
        let fingerprint = deployment.target.fingerprint();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        match kept.health.get(&deployment.id) {
            Some((known, health)) if *known == fingerprint => {
                health.set_config(policy);
                health.clone()
            }
            Some(_) | None => {
                let health = EndpointHealth::new(policy);
                kept.health.insert(Arc::clone(&deployment.id), (fingerprint, health.clone()));
                health
            }
        }
    }
}

impl Kept {
    /// The account that a deployment is paid from: its own, unless it says with whom it shares one.
    fn account(&mut self, deployment: &Deployment) -> Account {
        let paying = match &deployment.info.quota_group {
            Some(group) => Paying::Group(Arc::clone(group)),
            None => Paying::Alone(Arc::clone(&deployment.id)),
        };
        let used_up = |outcome: &Outcome| kind_of(outcome) == OutcomeKind::QuotaExhausted;
        self.accounts.entry(paying).or_insert_with(|| Account::new(used_up)).clone()
    }
}

/// Without the account, which is shared.
fn limits(deployment: &Deployment, settings: &Settings) -> Limits {
    let limits = &deployment.limits;
    Limits {
        requests: limits.rpm,
        tokens: limits.tpm,
        in_flight: limits.parallel,
        window: limits.rate_window.map(|seconds| match seconds {
            ..=1 => RateWindow::S1,
            2..=10 => RateWindow::S10,
            11.. => RateWindow::S60,
        }),
        settle: match limits.accounting {
            TokenAccounting::Azure => Accounting::Estimated,
            TokenAccounting::Billed => Accounting::Actual,
        },
        longest_guess: deployment.cooldown_time.unwrap_or(settings.cooldown_time),
        // Each model has limits of its own.
        learns: deployment.patterns().is_none(),
        account: None,
    }
}

fn policy(deployment: &Deployment, settings: &Settings) -> CooldownConfig {
    let by_error = settings.allowed_fails_policy.clone();
    // One name that does not exist says nothing about the others that a pattern serves.
    let never = || Pattern::parse(&deployment.group).map(|_| Duration::ZERO);
    CooldownConfig::new(deployment.cooldown_time.or_else(never).unwrap_or(settings.cooldown_time))
        .with_allowed_fails(deployment.allowed_fails.or(settings.allowed_fails))
        .with_allowance(move |outcome| counted(&by_error, kind_of(outcome)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn a_pattern_whose_model_is_one_closes_as_long_as_any_other_where_a_refusal_names_no_time() {
        let entry =
            |name, model| format!("- {{model_name: {name}, litellm_params: {{model: openai/{model}}}}}\n");
        let yaml = format!("model_list:\n{}{}", entry("all-*", "one"), entry("one", "one"));
        let (config, _) = Config::from_yaml(&yaml, "", &|_| None).unwrap();
        let limits = |group: usize| limits(&config.groups[group].deployments[0], &config.settings);
        assert_eq!(limits(0), limits(1));
    }
}
