//! The state that outlives a tree: [`State`].
//!
//! Quota meters, health, connections and metrics, keyed by the id of the deployment. A new tree over the same state
//! keeps the used quota, the cooldowns and the open connections.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;
use tollgate_layers::{
    BoxError, Outcome,
    cooldown::{CooldownConfig, EndpointHealth},
    ledger::{LimitKey, Member},
    quota::{Account, Accounting, DailyLimits, Limits, Meters, RateWindow},
    retry::Budget,
};
use tower::{Layer, Service};

use crate::{
    body::{UpstreamBody, held_events::HeldEvents},
    classify::{OutcomeKind, counted, kind_of},
    config::{
        BudgetLimit, ClientKey, Config, Deployment, Group, Pattern, RateLimits, RetryBudget, Settings,
        TokenAccounting,
    },
    deployment::{
        access_token::AccessTokens,
        mock::MockUpstream,
        upstream::{Client, ServiceUpstream, Upstream, UpstreamCall, UpstreamService},
    },
    error::TransportError,
    front::paths::Draining,
    metrics::{Format, Metrics},
    record::{RecordReader, Recorder, Sampler, TrustedProxies},
    registry::{AccountKey, Handles, Registry},
    request::{self, GroupNames},
    spend,
    status::{DeploymentHandles, GroupHandles, NewestStatus, Status},
};

/// A function that returns the upstream of a deployment.
type Connect = Box<dyn Fn(&Deployment, &Settings) -> Arc<dyn Upstream> + Send + Sync>;

/// The state that outlives a tree. Two gateways with separate states share nothing.
pub struct State {
    /// The metrics of the gateway.
    pub(crate) metrics: Metrics,
    /// The flag that the process is draining before its shutdown.
    pub draining: Draining,
    connect: Connect,
    registry: Registry,
    held_events: HeldEvents,
    grace: Duration,
    readers: Vec<Arc<dyn RecordReader>>,
    proxies: TrustedProxies,
    sampler: Option<Sampler>,
    /// The member of the ledger by which replicas share limits; none in a gateway alone.
    member: Option<Member>,
    started: Instant,
    /// The beginning of a day in UTC.
    midnight: Instant,
    newest_status: NewestStatus,
}

/// The time for which the state of a deployment that no tree has is kept, in case a reload brings it back.
const GRACE: Duration = Duration::from_secs(300);

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}

impl State {
    /// Creates a state without usage, cooldowns or connections. Deployments are called over HTTP; mock deployments
    /// respond in the process.
    ///
    /// # Errors
    /// Returns an error if the TLS client cannot be set up.
    pub fn new() -> Result<Self, BoxError> {
        let metrics = Metrics::default();
        let client = Client::new(metrics.connections())?;
        let tokens = AccessTokens::default();
        let connect: Connect = Box::new(move |deployment, settings| match &deployment.mock {
            Some(mock) => Arc::new(MockUpstream::new(mock, Arc::clone(&deployment.target.model))),
            None => {
                let (target, idle_timeout) = (&deployment.target, settings.upstream_keepalive_timeout);
                let upstream = match target.http2 {
                    true => client.http2(target.tls.as_ref(), idle_timeout),
                    false => client.http1(&target.base, target.tls.as_ref(), idle_timeout),
                };
                tokens.around(upstream, target, (&client, idle_timeout))
            }
        });
        Ok(Self::with_connect(connect, metrics))
    }

    /// Creates a state with the upstreams that `connect` returns: for a simulation, or for an application with its own
    /// transport.
    pub fn with_upstreams(
        connect: impl Fn(&Deployment) -> Arc<dyn Upstream> + Send + Sync + 'static,
    ) -> Self {
        Self::with_connect(Box::new(move |deployment, _| connect(deployment)), Metrics::default())
    }

    /// Sets the service that responds for the deployment with this id (`model_info.id`), in place of a call over HTTP: a
    /// model in the process, or a transport of the application's own.
    ///
    /// The service receives each call in the dialect of the deployment, below all layers of the gateway. Every call is on
    /// a clone of it.
    ///
    /// ```
    /// use tollgate::{state::State, upstream::{TransportError, UpstreamBody, UpstreamCall}};
    /// use tower::service_fn;
    ///
    /// let model = service_fn(|_: UpstreamCall| async {
    ///     let json = r#"{"object": "chat.completion", "choices": []}"#;
    ///     Ok::<_, TransportError>(http::Response::new(UpstreamBody::full(json)))
    /// });
    /// let state = State::new()?.with_upstream("in-process", model);
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    #[must_use]
    pub fn with_upstream<S>(mut self, id: &str, service: S) -> Self
    where
        S: Service<UpstreamCall, Response = http::Response<UpstreamBody>, Error = TransportError>,
        S: Clone + Send + Sync + 'static,
        S::Future: Send,
    {
        let (id, others) = (Arc::<str>::from(id), self.connect);
        let upstream: Arc<dyn Upstream> = Arc::new(ServiceUpstream::new(service));
        self.connect =
            Box::new(
                move |deployment, settings| {
                    if deployment.id == id { Arc::clone(&upstream) } else { others(deployment, settings) }
                },
            );
        self
    }

    /// Adds a tower layer around the upstreams of all deployments: it receives each call as it would be sent, and the
    /// response as it was received. It signs requests, for example, or records them.
    #[must_use]
    pub fn with_upstream_layer<L>(mut self, layer: L) -> Self
    where
        L: Layer<UpstreamService> + Send + Sync + 'static,
        L::Service: Service<UpstreamCall, Response = http::Response<UpstreamBody>, Error = TransportError>,
        L::Service: Clone + Send + Sync + 'static,
        <L::Service as Service<UpstreamCall>>::Future: Send,
    {
        let connect = self.connect;
        self.connect = Box::new(move |deployment, settings| {
            let upstream = connect(deployment, settings);
            let service = layer.layer(UpstreamService(Arc::clone(&upstream)));
            Arc::new(ServiceUpstream::like(&*upstream, service))
        });
        self
    }

    fn with_connect(connect: Connect, metrics: Metrics) -> Self {
        Self {
            draining: Draining::default(),
            connect,
            registry: metrics.registry().clone(),
            metrics,
            held_events: HeldEvents::default(),
            grace: GRACE,
            readers: Vec::new(),
            proxies: TrustedProxies::default(),
            sampler: None,
            member: None,
            started: Instant::now(),
            midnight: next_midnight(),
            newest_status: NewestStatus::default(),
        }
    }

    /// Shares the limits, server holds and cooldowns of all deployments with other processes, by this member of a ledger. The
    /// owner polls [`Member::run`] beside the gateway.
    #[must_use]
    pub fn with_member(mut self, member: Member) -> Self {
        self.metrics.set_member(member.clone());
        self.member = Some(member);
        self
    }

    /// Returns the shared handles of all deployments and client keys.
    #[cfg(feature = "redis")]
    pub(crate) const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Adds a reader of the records of all requests.
    #[must_use]
    pub(crate) fn with_reader(mut self, reader: Arc<dyn RecordReader>) -> Self {
        self.readers.push(reader);
        self
    }

    /// Sets the proxies that are believed when they report the address of a client.
    #[must_use]
    pub(crate) fn with_trusted_proxies(mut self, proxies: TrustedProxies) -> Self {
        self.proxies = proxies;
        self
    }

    /// Traces requests: their trace goes on to the upstreams, and `sampler` chooses those whose spans are exported.
    #[cfg(feature = "otlp")]
    #[must_use]
    pub(crate) fn with_traces(mut self, sampler: Sampler) -> Self {
        self.sampler = Some(sampler);
        self
    }

    /// Begins a day in UTC now: a simulation does not depend on the time of the day at which it runs.
    #[must_use]
    pub(crate) fn at_midnight(mut self) -> Self {
        self.midnight = Instant::now();
        self
    }

    /// Returns true if the records of requests are read.
    pub(crate) fn has_readers(&self) -> bool {
        !self.readers.is_empty()
    }

    /// Returns a recorder for the readers, if there are any.
    pub(crate) fn recorder(&self) -> Option<Recorder> {
        self.has_readers()
            .then(|| Recorder::new(self.readers.clone(), self.proxies.clone()).with_traces(self.sampler))
    }

    /// Sets the time for which the meters, the health and the metrics of a deployment are kept after the last tree with it
    /// was dropped and its last call has ended; five minutes by default.
    #[must_use]
    pub const fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Returns the time for which the state of an unused deployment is kept.
    pub(crate) const fn grace(&self) -> Duration {
        self.grace
    }

    /// Drops the meters, health and metrics that neither a tree nor a call in flight has used for the grace. Called with
    /// each new tree; call it once more after the grace if no other tree follows.
    pub fn prune(&self) {
        let now = Instant::now();
        self.registry.prune(now, self.grace);
        self.metrics.prune(now, self.grace);
    }

    /// Returns all metrics in Prometheus' text format, as `/metrics` does.
    pub fn render_metrics(&self) -> String {
        self.metrics.render(Format::Prometheus)
    }

    /// Returns the upstream of a deployment.
    pub(crate) fn upstream(&self, deployment: &Deployment, settings: &Settings) -> Arc<dyn Upstream> {
        (self.connect)(deployment, settings)
    }

    /// Returns the retry budget, set to the values of `settings`.
    pub(crate) fn budget(&self, settings: &Settings) -> Budget {
        let RetryBudget { percent, reserve } = settings.retry_budget;
        self.metrics.budget().set(percent, reserve);
        self.metrics.budget().clone()
    }

    /// Returns the unfinished events of all streams, with the limit of `settings`.
    pub(crate) fn held_events(&self, settings: &Settings) -> HeldEvents {
        self.held_events.set_max(settings.max_held_events);
        self.held_events.clone()
    }

    /// Returns the quota meters of a deployment, with the limits of the current configuration. The meters keep their
    /// usage, unless the deployment has moved to another account: then they start at zero.
    pub(crate) fn meters(&self, deployment: &Deployment, settings: &Settings) -> Meters {
        let mut registry = self.registry.lock();
        let account = account(&mut registry, deployment);
        let daily = daily_limits(deployment, self.midnight);
        let limits = Limits { account: Some(account.clone()), daily, ..limits(deployment, settings) };
        let meters = match registry.meters.get(&deployment.id) {
            Some(meters) if meters.limits().account == limits.account => {
                meters.set_limits(limits);
                meters.clone()
            }
            Some(_) | None => {
                let meters = Meters::new(limits);
                registry.meters.insert(Arc::clone(&deployment.id), meters.clone());
                meters
            }
        };
        if let Some(member) = &self.member {
            member.share(&LimitKey::from(Arc::clone(&deployment.limit_key)), &meters);
            if let Some(group) = &deployment.info.quota_group {
                member.share_account(&LimitKey::from(format!("quota_group:{group}")), &account);
            }
        }
        meters
    }

    /// Returns the clients with a key of their own. A client keeps the usage that was recorded under the name of its key.
    pub(crate) fn clients(&self, config: &Config) -> Vec<Arc<request::Client>> {
        if config.keys.is_empty() {
            return Vec::new();
        }
        let groups = Arc::new(GroupNames::new(config));
        let mut registry = self.registry.lock();
        let client = |key: &ClientKey| {
            let create = || Meters::new(key_limits(key));
            let meters = registry.clients.get_or_insert_with(Arc::clone(&key.name), create);
            meters.set_limits(key_limits(key));
            if let Some(member) = &self.member {
                member.share(&LimitKey::from(format!("client:{}", key.name)), &meters);
            }
            let budget = key.budget.map(|limit| budget(&mut registry, &key.name, limit));
            let handles = (meters, self.metrics.key(&key.name));
            Arc::new(request::Client::new(key, &groups, handles, budget))
        };
        config.keys.iter().map(client).collect()
    }

    /// Returns the budget of the whole gateway. What is spent stays when its limit changes.
    pub(crate) fn gateway_budget(&self, config: &Config) -> Option<Arc<spend::Budget>> {
        let mut registry = self.registry.lock();
        registry.gateway_budget = config.settings.budget.map(|limit| {
            let known = registry.gateway_budget.take();
            let budget = known.unwrap_or_else(|| Arc::new(spend::Budget::new(limit)));
            budget.set_limit(limit);
            budget
        });
        registry.gateway_budget.clone()
    }

    /// Returns the handles of all that `config` serves, for the status page. The tree of `config` was built before.
    pub(crate) fn status(&self, config: &Config, clients: &[Arc<request::Client>]) -> Arc<Status> {
        let registry = self.registry.lock();
        let deployment = |d: &Deployment| {
            let (_, health) = registry.health.get(&d.id)?;
            Some(DeploymentHandles {
                id: Arc::clone(&d.id),
                model: format!("{}/{}", d.target.vendor.prefix, d.target.model),
                health: health.clone(),
                meters: registry.meters.get(&d.id)?.clone(),
                metrics: self.metrics.deployment(&d.group, &d.id),
            })
        };
        let group = |group: &Group| GroupHandles {
            name: Arc::clone(&group.name),
            metrics: self.metrics.group(&group.name),
            deployments: group.deployments.iter().filter_map(deployment).collect(),
        };
        let status = Arc::new(Status {
            started: self.started,
            max_in_flight: config.settings.max_in_flight,
            gateway: self.metrics.gateway(),
            groups: config.groups.iter().map(group).collect(),
            left_out: config.left_out.clone(),
            warnings: config.warnings.clone(),
            member: self.member.clone(),
            clients: clients.to_vec(),
            budget: registry.gateway_budget.clone(),
        });
        self.newest_status.set(&status);
        status
    }

    /// Returns the status of the newest tree.
    pub(crate) fn newest_status(&self) -> NewestStatus {
        self.newest_status.clone()
    }

    /// Returns the health of a deployment, with the cooldown policy of the current configuration. If the deployment's
    /// URL or key has changed, its health starts clean: a corrected key takes effect without waiting for a cooldown.
    pub(crate) fn health(&self, deployment: &Deployment, settings: &Settings) -> EndpointHealth {
        let policy = policy(deployment, settings);
        let fingerprint = deployment.target.fingerprint();
        let mut registry = self.registry.lock();
        let health = match registry.health.get(&deployment.id) {
            Some((recorded, health)) if *recorded == fingerprint => {
                health.set_config(policy);
                // A drain by hand lasts until a reload.
                health.set_drained(false);
                health.clone()
            }
            Some(_) | None => {
                let health = EndpointHealth::new(policy);
                registry.health.insert(Arc::clone(&deployment.id), (fingerprint, health.clone()));
                health
            }
        };
        if let Some(member) = &self.member {
            member.share_health(&LimitKey::from(Arc::clone(&deployment.limit_key)), &health);
        }
        health
    }
}

/// Returns the account of a deployment: its own, or the one of its `quota_group`.
fn account(registry: &mut Handles, deployment: &Deployment) -> Account {
    let key = match &deployment.info.quota_group {
        Some(group) => AccountKey::Group(Arc::clone(group)),
        None => AccountKey::Deployment(Arc::clone(&deployment.id)),
    };
    let quota_exhausted = |outcome: &Outcome| kind_of(outcome) == OutcomeKind::QuotaExhausted;
    registry.accounts.get_or_insert_with(key, || Account::new(quota_exhausted))
}

/// Returns the budget under this name, with this limit.
fn budget(registry: &mut Handles, name: &Arc<str>, limit: BudgetLimit) -> Arc<spend::Budget> {
    let create = || Arc::new(spend::Budget::new(limit));
    let budget = registry.budgets.get_or_insert_with(Arc::clone(name), create);
    budget.set_limit(limit);
    budget
}

/// Returns the limits of a deployment, without its account.
fn limits(deployment: &Deployment, settings: &Settings) -> Limits {
    let limits = &deployment.limits;
    Limits {
        requests: limits.rpm,
        tokens: limits.tpm,
        input_tokens: limits.itpm,
        output_tokens: limits.otpm,
        daily: None,
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
        // Each model behind a pattern has limits of its own, so one model's limits must not be learned for all.
        learns: deployment.patterns().is_none(),
        account: None,
    }
}

/// Returns the limits per day of a deployment, if it has any.
fn daily_limits(deployment: &Deployment, midnight: Instant) -> Option<DailyLimits> {
    let RateLimits { rpd: requests, tpd: tokens, daily_reset, .. } = deployment.limits;
    (requests.is_some() || tokens.is_some()).then(|| DailyLimits {
        requests,
        tokens,
        begins: midnight + daily_reset,
    })
}

/// Returns the time at which the next day in UTC begins.
fn next_midnight() -> Instant {
    const DAY: u64 = 86_400;
    let today = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs() % DAY;
    Instant::now() + Duration::from_secs(DAY - today)
}

/// Returns the limits of a client key. The whole limit of a minute may be used at once.
fn key_limits(key: &ClientKey) -> Limits {
    Limits {
        requests: key.rpm_limit,
        tokens: key.tpm_limit,
        in_flight: key.max_parallel_requests,
        window: Some(RateWindow::S60),
        // The limits that a response reports are those of a deployment.
        learns: false,
        ..Limits::default()
    }
}

/// Returns the cooldown policy of a deployment.
fn policy(deployment: &Deployment, settings: &Settings) -> CooldownConfig {
    let (own, general) = (deployment.allowed_fails_policy.clone(), settings.allowed_fails_policy.clone());
    // A pattern serves many models: the error of one model must not close the deployment for the others.
    let no_cooldown = || Pattern::parse(&deployment.group).map(|_| Duration::ZERO);
    CooldownConfig::new(deployment.cooldown_time.or_else(no_cooldown).unwrap_or(settings.cooldown_time))
        .with_allowed_fails(deployment.allowed_fails.or(settings.allowed_fails))
        .with_allowance(move |outcome| {
            let kind = kind_of(outcome);
            counted(&own, kind).or_else(|| counted(&general, kind))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn a_pattern_group_with_one_fixed_model_has_the_limits_of_a_plain_group() {
        let entry =
            |name, model| format!("- {{model_name: {name}, litellm_params: {{model: openai/{model}}}}}\n");
        let yaml = format!("model_list:\n{}{}", entry("all-*", "one"), entry("one", "one"));
        let (config, _) = Config::from_yaml(&yaml, "", &|_| None).unwrap();
        let limits = |group: usize| limits(&config.groups[group].deployments[0], &config.settings);
        assert_eq!(limits(0), limits(1));
    }
}
